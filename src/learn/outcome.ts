import type {RunConfig} from '../config.js';
import type {UpdateResult} from '../policy.js';
import {mean, spearman, sum} from '../statistics.js';
import type {Group, Question, StepMetrics, TrainerState} from '../types.js';
import type {StageCalibration} from './calibration.js';
import {
  calibrationFigures,
  type Figures,
  failureFigures,
  finite,
  perAgent,
  stageFigures,
  updateFigures,
} from './metrics.js';

/** What a step brought, by agent. */
export interface Outcome {
  readonly solo: readonly (readonly Group[])[];
  readonly talk: Talk;
  readonly stages: readonly (readonly StageCalibration[])[];
  readonly updates: readonly (readonly UpdateResult[])[];
}

/** Idea3 behind the shared ideas; empty for `grpo`. */
export interface Talk {
  /** [N][Q]; undefined where the dialogue did not fit. */
  readonly fusion: readonly (readonly (Group | undefined)[])[];
  /** [N] */
  readonly figures: readonly Figures[];
  /** [N] */
  readonly analysisTokens: readonly number[];
}

export const noTalk: Talk = {fusion: [], figures: [], analysisTokens: []};

/** What the step changes in the state. */
export function advance(last: TrainerState, outcome: Outcome, ability: RunConfig['ability']): TrainerState {
  const {solo, talk, updates} = outcome;
  const add = (to: readonly number[], of: (agent: number) => number) => to.map((value, i) => value + of(i));
  const refresh = (value: number, i: number) => ability.decay * value + (1 - ability.decay) * passRateOf(solo[i] ?? []);
  return {
    ...last,
    step: last.step + 1,
    abilities: ability.refresh === 'ema' ? last.abilities.map(refresh) : last.abilities,
    positions: add(last.positions, (i) => solo[i]?.length ?? 0),
    generatedTokens: add(last.generatedTokens, (i) => tokensOf(groupsOf(outcome, i)) + (talk.analysisTokens[i] ?? 0)),
    trainedTokens: add(last.trainedTokens, (i) => sum((updates[i] ?? []).map((result) => result.trainedTokens))),
    soloCompletions: add(last.soloCompletions, (i) => sum((solo[i] ?? []).map((group) => group.rollouts.length))),
    soloTokens: add(last.soloTokens, (i) => tokensOf(solo[i] ?? [])),
  };
}

/** The step's figures, without those of its evaluation. */
export function metricsOf(last: TrainerState, state: TrainerState, outcome: Outcome, seconds: number): StepMetrics {
  const {solo, talk, stages, updates} = outcome;
  const generated = state.generatedTokens.map((tokens, i) => tokens - (last.generatedTokens[i] as number));
  const trained = state.trainedTokens.map((tokens, i) => tokens - (last.trainedTokens[i] as number));
  return {
    step: state.step,
    seconds,
    tokensPerSecond: sum(generated) / seconds,
    'tokens/generated': sum(generated),
    'tokens/trained': sum(trained),
    ...finite({'difficulty/pass_rate_correlation': passRateCorrelation(state, solo)}),
    ...perAgent(state.agents, (i) => ({
      questions: solo[i]?.length,
      'tokens/generated': generated[i],
      ability: state.abilities[i],
      ...failureFigures(groupsOf(outcome, i)),
      ...stageFigures('solo', solo[i] ?? []),
      ...(state.method === 'ilr' ? {...stageFigures('fusion', fusionOf(talk, i)), ...talk.figures[i]} : {}),
      ...calibrationFigures(stages.flatMap((stage) => stage[i] ?? [])),
      ...updateFigures(updates[i] ?? []),
    })),
  };
}

/** How well D_q foretells the step's failures: Spearman with 1 − pass rate, where all agents answered the same questions. */
function passRateCorrelation(state: TrainerState, solo: Outcome['solo']): number | undefined {
  if (state.difficulty === undefined || state.method !== 'ilr') return undefined;
  const questions = solo[0] ?? [];
  return spearman(
    questions.map(({question}) => difficultyOf(state, question)),
    questions.map((_, q) => 1 - mean(solo.map((row) => passRateOf([row[q] as Group])))),
  );
}

/** D_q; 0.5 where no strategy asks for it. */
export function difficultyOf(state: TrainerState, {id}: Question): number {
  return state.difficulty?.difficulties[id] ?? 0.5;
}

function passRateOf(groups: readonly Group[]): number {
  return mean(groups.flatMap((group) => group.rollouts.map((rollout) => (rollout.isCorrect ? 1 : 0))));
}

function fusionOf({fusion}: Talk, agent: number): Group[] {
  return (fusion[agent] ?? []).filter((group) => group !== undefined);
}

export function groupsOf({solo, talk}: Outcome, agent: number): Group[] {
  return [...(solo[agent] ?? []), ...fusionOf(talk, agent)];
}

function tokensOf(groups: readonly Group[]): number {
  return sum(groups.flatMap((group) => group.rollouts.map((rollout) => rollout.completion.ids.length)));
}
