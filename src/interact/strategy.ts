import type {RunConfig} from '../config.js';
import {Random} from '../random.js';
import {mean} from '../statistics.js';
import type {Strategy} from '../types.js';

/**
P(q, i) that agent i answers question q alone, the one-parameter logistic model of item response theory.

@param ability - γ_i in [0, 1].
@param difficulty - D_q in [0, 1].
@returns a probability, 0.5 where they are equal.

ILR, arXiv 2509.26306, Dynamic Interaction: 1 / (1 + exp(−1.7 (γ_i − D_q))).
*/
export function successProbability(ability: number, difficulty: number): number {
  return 1 / (1 + Math.exp(-1.7 * (ability - difficulty)));
}

export interface StrategyInput {
  readonly numAgents: number;
  /** [N] γ; not read when the share is fixed. */
  readonly abilities: readonly number[];
  /** [Q] D of the step's questions. */
  readonly difficulties: readonly number[];
  readonly seed: number;
  readonly step: number;
  /** Of dynamic sampling. */
  readonly round?: number;
}

/**
The strategy of every dialogue of a step.

@returns [N][Q]; `cooperative` where P < 0.5.
Departure: per (question, agent) by default, as the index (q, i) of the paper suggests; it does not say.
*/
export function chooseStrategies(options: RunConfig['strategy'], input: StrategyInput): Strategy[][] {
  const {abilities, difficulties} = input;
  switch (options.choose) {
    case 'agent':
      return adaptive(input);
    case 'question': {
      const row = difficulties.map((difficulty) =>
        strategyOf(mean(abilities.map((ability) => successProbability(ability, difficulty)))),
      );
      return abilities.map(() => [...row]);
    }
    case 'fixed':
      return Array.from({length: input.numAgents}, (_, agent) => {
        const random = strategyRandom(input, agent);
        return difficulties.map(() => (random.next() < options.cooperativeShare ? 'cooperative' : 'competitive'));
      });
    case 'shuffled':
      return adaptive(input).map((row, agent) => strategyRandom(input, agent).shuffle(row));
  }
}

function adaptive({abilities, difficulties}: StrategyInput): Strategy[][] {
  return abilities.map((ability) =>
    difficulties.map((difficulty) => strategyOf(successProbability(ability, difficulty))),
  );
}

function strategyOf(probability: number): Strategy {
  return probability < 0.5 ? 'cooperative' : 'competitive';
}

function strategyRandom({seed, step, round}: StrategyInput, agent: number): Random {
  return new Random({seed, purpose: 'strategy', agent, step, round});
}
