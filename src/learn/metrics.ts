import type {UpdateResult} from '../policy.js';
import {mean, sum} from '../statistics.js';
import type {Group, Rollout, SoloEvaluation, Stage, Strategy} from '../types.js';
import {stages, type TrainableGroup} from './batch.js';
import type {StageCalibration} from './calibration.js';
import type {Refill} from './outcome.js';
import {hasSpread} from './rounds.js';

/** Paths and values; what is undefined or not finite is left out of the metrics. */
export type Figures = Readonly<Record<string, number | undefined>>;

/** Of one stage's groups of one agent: over the graded rollouts, but length and truncation over all. */
export function stageFigures(stage: Stage, groups: readonly Group[]): Figures {
  const all = groups.flatMap((group) => group.rollouts);
  const graded = all.filter((rollout) => rollout.failure === undefined);
  return {
    [`reward/${stage}`]: mean(graded.map((rollout) => rollout.reward)),
    [`accuracy/${stage}`]: shareOf(graded, (rollout) => rollout.isCorrect),
    [`wellFormed/${stage}`]: shareOf(graded, (rollout) => rollout.isWellFormed),
    [`truncated/${stage}`]: shareOf(all, ({completion}) => completion.finishReason !== 'stop'),
    [`length/${stage}`]: mean(all.map(({completion}) => completion.ids.length)),
    [`overlong_penalty/${stage}`]: mean(all.flatMap(({overlongPenalty}) => overlongPenalty ?? [])),
    ...partFigures(stage, graded),
  };
}

/** Of a composed reward: what each part gave, unweighted. */
function partFigures(stage: Stage, graded: readonly Rollout[]): Figures {
  const names = new Set(graded.flatMap(({parts}) => Object.keys(parts ?? {})));
  return Object.fromEntries(
    [...names].map((name) => [`reward/${name}/${stage}`, mean(graded.flatMap(({parts}) => parts?.[name] ?? []))]),
  );
}

export interface DialogueCounts {
  readonly strategies: readonly Strategy[];
  readonly truncatedAnalyses: number;
  /** Dialogues whose peers' text was cut to fit, of those held. */
  readonly cutPeers: number;
  readonly held: number;
}

export function dialogueFigures(input: DialogueCounts | undefined): Figures {
  if (input === undefined) return {};
  return {
    'strategy/cooperative': shareOf(input.strategies, (strategy) => strategy === 'cooperative'),
    'truncated/analysis': input.truncatedAnalyses / input.held,
    'dialogue/cut_peers_fraction': input.cutPeers / input.held,
    'dialogue/skipped': input.strategies.length - input.held,
  };
}

export function calibrationFigures(calibrations: readonly StageCalibration[]): Figures {
  const total = (pick: (stage: StageCalibration) => number) => sum(calibrations.map(pick));
  return {
    'calibration/clipped_fraction': total((stage) => stage.clippedTerms) / total((stage) => stage.terms),
    'calibration/changed_groups_fraction':
      total((stage) => stage.changedGroups) / total((stage) => stage.groups.length),
    'calibration/zero_range_fraction': total((stage) => stage.zeroRangePeers) / total((stage) => stage.peers),
  };
}

/** Of a step's minibatches, weighted by their trained tokens; the extremes are extremes. */
export function updateFigures(updates: readonly UpdateResult[]): Figures {
  const weight = (update: UpdateResult) => Math.max(1, update.trainedTokens);
  // Over the minibatches that have the figure: one whose tokens are all masked has none.
  const average = (pick: (update: UpdateResult) => number) => {
    const having = updates.filter((update) => !Number.isNaN(pick(update)));
    return sum(having.map((update) => weight(update) * pick(update))) / sum(having.map(weight));
  };
  const largest = (pick: (update: UpdateResult) => number) =>
    Math.max(...updates.map(pick).filter((value) => !Number.isNaN(value)));
  const all = (pick: (update: UpdateResult) => number) => sum(updates.map(pick));
  const last = updates.at(-1);
  return {
    loss: average((update) => update.loss),
    entropy: average((update) => update.entropy),
    grad_norm: average((update) => update.gradNorm),
    learning_rate: last?.learningRate,
    ratio_mean: average((update) => update.ratioMean),
    ratio_max: largest((update) => update.ratioMax),
    ratio_clipped_fraction: average((update) => update.ratioClippedFraction),
    ratio_clipped_low_fraction: average((update) => update.ratioClippedLowFraction),
    ratio_clipped_high_fraction: average((update) => update.ratioClippedHighFraction),
    kl: average((update) => update.kl),
    'importance/mean': average((update) => update.importanceMean),
    'importance/max': largest((update) => update.importanceMax),
    off_policy_dropped_fraction: average((update) => update.offPolicyDroppedFraction),
    entropy_dropped_fraction: average((update) => update.entropyDroppedFraction),
    // Only the first minibatch is scored by the weights that sampled it.
    'sampler/kl': updates[0]?.samplerKl,
    'sampler/max_abs_diff': updates[0]?.samplerMaxAbsDiff,
    'groups/zero_spread_fraction': all((update) => update.zeroSpreadGroups) / all((update) => update.groups),
    skipped_steps: all((update) => (update.skipped ? 1 : 0)),
    'tokens/trained': all((update) => update.trainedTokens),
  };
}

/** Rollouts that are not trained on: their reward function threw, was late, or said `null`. */
export function failureFigures(groups: readonly Group[]): Figures {
  return {failures: groups.flatMap((group) => group.rollouts).filter(({failure}) => failure !== undefined).length};
}

/** [stages] what was subtracted from the rewards. */
export function baselineFigures(used: readonly number[] | undefined): Figures {
  return Object.fromEntries(stages.map((stage, s) => [`baseline/${stage}`, used?.[s]]));
}

/** Of dynamic sampling, over all groups that were sampled: those trained all have spread. */
export function refillFigures(refill: Refill | undefined, groups: readonly TrainableGroup[]): Figures {
  if (refill === undefined) return {};
  return {
    'groups/zero_spread_fraction': shareOf(groups, (group) => !hasSpread(group)),
    'refill/questions': refill.questions,
    'refill/tokens': refill.tokens,
    'refill/left': refill.left,
  };
}

export function evaluationFigures(result: SoloEvaluation | undefined): Figures {
  return {
    'eval/greedy': mean(result?.greedy ?? []),
    'eval/sampled': mean(result?.sampled ?? []),
    'eval/wellFormed': result?.wellFormed,
  };
}

/** The figures of each agent, its name before each path. */
export function perAgent(agents: readonly string[], figures: (index: number) => Figures): Record<string, number> {
  const entries = agents.flatMap((agent, i) =>
    Object.entries(finite(figures(i))).map(([path, value]) => [`${agent}/${path}`, value] as const),
  );
  return Object.fromEntries(entries);
}

/** Without the figures that are not there: a stage without groups, a skipped update. */
export function finite(figures: Figures): Record<string, number> {
  const entries = Object.entries(figures).filter((entry): entry is [string, number] => Number.isFinite(entry[1]));
  return Object.fromEntries(entries);
}

function shareOf<T>(items: readonly T[], isCounted: (item: T) => boolean): number {
  return items.filter(isCounted).length / items.length;
}
