import type {TrainingBatch} from '../policy.js';
import {ragged} from '../ragged.js';
import type {Random} from '../random.js';
import {sum} from '../statistics.js';
import type {Group, Rollout} from '../types.js';

/** What one group is trained on: its rollouts that could be graded, at least two, with their calibrated rewards. */
export interface TrainableGroup {
  readonly group: Group;
  readonly rollouts: readonly Rollout[];
  /** [rollouts] */
  readonly rewards: readonly number[];
}

export interface BatchOptions {
  readonly minibatches: number;
  /** w_s, w_f. */
  readonly soloWeight: number;
  readonly fusionWeight: number;
  readonly random: Random;
  /** Completions that did not end by themselves are not trained; their rewards count in the baseline. */
  readonly maskTruncated?: boolean;
  /** `batch`: a stage is divided by its trained tokens in all minibatches over their number (`stageTokens`). */
  readonly tokenCount?: 'minibatch' | 'batch';
  /** [stages] subtracted from the rewards (`baseline`); left out: the policy takes the group's own. */
  readonly baselines?: readonly number[];
}

/** A stage's number is its place here. */
export const stages = ['solo', 'fusion'] as const;

/** The rollouts of a group that can be trained on; none when fewer than two are left, for one alone has no advantage. */
export function trainableRollouts(group: Group): Rollout[] {
  const graded = group.rollouts.filter(({failure, completion}) => failure === undefined && completion.ids.length > 0);
  return graded.length < 2 ? [] : graded;
}

/** Deals the groups round-robin, in a seeded order, to at most `minibatches` batches, none empty. */
export function buildBatches(groups: readonly TrainableGroup[], options: BatchOptions): TrainingBatch[] {
  const shuffled = options.random.shuffle(groups);
  const count = Math.min(options.minibatches, shuffled.length);
  const batches = Array.from({length: count}, (_, m) =>
    batchOf(
      shuffled.filter((_, i) => i % count === m),
      options,
    ),
  );
  if (options.tokenCount !== 'batch') return batches;
  const inAll = stages.map((_, stage) => sum(batches.map((batch) => trainedTokens(batch, stage))));
  // A stage without any divides nothing, but by a positive number.
  const stageTokens = inAll.map((tokens) => Math.max(1, tokens) / count);
  return batches.map((batch) => ({...batch, stageTokens: Float64Array.from(stageTokens)}));
}

/** Each group's prompt stands once; every completion token is trained, but for truncated completions that are masked. */
function batchOf(groups: readonly TrainableGroup[], options: BatchOptions): TrainingBatch {
  const {soloWeight, fusionWeight, maskTruncated, baselines} = options;
  const rows = groups.flatMap(({group, rollouts, rewards}, groupIndex) =>
    rollouts.map(({completion}, k) => ({
      completion,
      groupIndex,
      stage: stages.indexOf(group.stage),
      reward: rewards[k] as number,
    })),
  );
  const completions = ragged(rows.map((row) => row.completion.ids));
  const groupIndex = Int32Array.from(rows, (row) => row.groupIndex);
  const samplerLogprobs = new Float32Array(completions.ids.length);
  const mask = new Uint8Array(completions.ids.length).fill(1);
  rows.forEach(({completion}, i) => {
    samplerLogprobs.set(completion.logprobs, completions.offsets[i]);
    const isMasked = maskTruncated && completion.finishReason !== 'stop';
    if (isMasked) mask.fill(0, completions.offsets[i], completions.offsets[i + 1]);
  });
  return {
    prompts: ragged(groups.map(({group}) => group.promptIds)),
    completions: {
      ...completions,
      promptIndex: groupIndex.slice(),
      mask,
      samplerLogprobs,
    },
    rewards: Float64Array.from(rows, (row) => row.reward),
    groupIndex,
    extraAdvantage: new Float64Array(rows.length),
    stage: Uint8Array.from(rows, (row) => row.stage),
    stageWeights: Float64Array.of(soloWeight, fusionWeight),
    ...(baselines && {baseline: Float64Array.from(rows, (row) => baselines[row.stage] as number)}),
  };
}

function trainedTokens({completions, stage}: TrainingBatch, wanted: number): number {
  return sum(
    Array.from(stage, (each, b) =>
      each === wanted ? sum([...completions.mask.subarray(completions.offsets[b], completions.offsets[b + 1])]) : 0,
    ),
  );
}
