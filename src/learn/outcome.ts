import type {RunConfig} from '../config.js';
import {IlrError} from '../errors.js';
import type {UpdateResult} from '../policy.js';
import {mean, spearman, sum} from '../statistics.js';
import type {Group, Question, Rollout, StepMetrics, TrainerState} from '../types.js';
import type {BaselineStep} from './baseline.js';
import {
  baselineFigures,
  calibrationFigures,
  dialogueFigures,
  failureFigures,
  finite,
  perAgent,
  refillFigures,
  stageFigures,
  updateFigures,
} from './metrics.js';
import type {Sampled, Talk} from './rounds.js';

/** What a step brought, by agent. */
export interface Outcome extends Sampled {
  readonly updates: readonly (readonly UpdateResult[])[];
  /** [N] with `advantage.baseline: ema`. */
  readonly baselines?: readonly BaselineStep[];
  /** [N] with dynamic sampling. */
  readonly refills?: readonly Refill[];
}

/** What dynamic sampling drew for an agent in place of questions without spread. */
export interface Refill {
  readonly questions: number;
  readonly tokens: number;
  /** Questions without spread in the last round. */
  readonly left: number;
}

/** [N] of the rounds behind the first. */
export function refillsOf(rounds: readonly Sampled[], left: readonly number[]): Refill[] {
  return left.map((each, i) => ({
    questions: sum(rounds.slice(1).map(({solo}) => solo[i]?.length ?? 0)),
    tokens: sum(rounds.slice(1).map((round) => generatedTokens(round, i))),
    left: each,
  }));
}

/** What the step changes in the state. */
export function advance(last: TrainerState, outcome: Outcome, ability: RunConfig['ability']): TrainerState {
  const {solo, updates} = outcome;
  const add = (to: readonly number[], of: (agent: number) => number) => to.map((value, i) => value + of(i));
  const refresh = (value: number, i: number) => ability.decay * value + (1 - ability.decay) * passRateOf(solo[i] ?? []);
  const {failedSteps = 0, ...before} = last;
  return {
    ...before,
    ...(isAllFailed(outcome, last.agents.length) && {failedSteps: failedSteps + 1}),
    step: last.step + 1,
    abilities: ability.refresh === 'ema' ? last.abilities.map(refresh) : last.abilities,
    positions: add(last.positions, (i) => solo[i]?.length ?? 0),
    generatedTokens: add(last.generatedTokens, (i) => generatedTokens(outcome, i)),
    trainedTokens: add(last.trainedTokens, (i) => sum((updates[i] ?? []).map((result) => result.trainedTokens))),
    soloCompletions: add(last.soloCompletions, (i) => sum((solo[i] ?? []).map((group) => group.rollouts.length))),
    soloTokens: add(last.soloTokens, (i) => tokensOf(solo[i] ?? [])),
    ...(outcome.baselines && {baselines: outcome.baselines.map(({next}) => next)}),
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
      ...(state.method === 'ilr'
        ? {...stageFigures('fusion', fusionOf(talk, i)), ...dialogueFigures(talk.counts[i])}
        : {}),
      ...calibrationFigures(stages.flatMap((stage) => stage[i] ?? [])),
      ...updateFigures(updates[i] ?? []),
      ...baselineFigures(outcome.baselines?.[i]?.used),
      ...refillFigures(
        outcome.refills?.[i],
        stages.flatMap((stage) => stage[i]?.groups ?? []),
      ),
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

export function groupsOf({solo, talk}: Sampled, agent: number): Group[] {
  return [...(solo[agent] ?? []), ...fusionOf(talk, agent)];
}

function generatedTokens(sampled: Sampled, agent: number): number {
  return tokensOf(groupsOf(sampled, agent)) + (sampled.talk.analysisTokens[agent] ?? 0);
}

function tokensOf(groups: readonly Group[]): number {
  return sum(groups.flatMap((group) => group.rollouts.map((rollout) => rollout.completion.ids.length)));
}

/**
A reward function that fails on everything would train nothing, to the last step. One step may be bad luck; of two in a row nothing comes.

@throws IlrError `ILR_REWARD` when it graded nothing of the step, and nobody was trained before, or nothing of the one before either.
*/
export function requireGraded(sampled: Sampled, last: TrainerState): void {
  if (!isAllFailed(sampled, last.agents.length)) return;
  if (sum(last.trainedTokens) > 0 && last.failedSteps === undefined) return;
  const rollouts = rolloutsOf(sampled, last.agents.length);
  const step = last.step + 1;
  const when = last.failedSteps === undefined ? `step ${step}` : `step ${step}, or of step ${last.step} before it`;
  throw new IlrError(
    'ILR_REWARD',
    `Expected the reward function to grade at least one of the ${rollouts.length} completions of ${when}, got none; ` +
      `the first: ${rollouts[0]?.failure}. Mend reward.function, or the answers that it compares with` +
      `${last.step > 0 ? '; then the run goes on with --resume' : ''}.`,
  );
}

export function isUngraded(error: unknown): boolean {
  return IlrError.is(error) && error.code === 'ILR_REWARD';
}

function isAllFailed(sampled: Sampled, numAgents: number): boolean {
  const rollouts = rolloutsOf(sampled, numAgents);
  return rollouts.length > 0 && rollouts.every(({failure}) => failure !== undefined);
}

function rolloutsOf(sampled: Sampled, numAgents: number): Rollout[] {
  return Array.from({length: numAgents}, (_, i) => groupsOf(sampled, i)).flatMap((groups) =>
    groups.flatMap((group) => group.rollouts),
  );
}
