import type {TrainingBatch} from '../policy.js';
import {ragged} from '../ragged.js';
import type {Random} from '../random.js';
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
}

const stageIndex = {solo: 0, fusion: 1} as const;

/** The rollouts of a group that can be trained on; none when fewer than two are left, for one alone has no advantage. */
export function trainableRollouts(group: Group): Rollout[] {
  const graded = group.rollouts.filter(({failure, completion}) => failure === undefined && completion.ids.length > 0);
  return graded.length < 2 ? [] : graded;
}

/** Deals the groups round-robin, in a seeded order, to at most `minibatches` batches, none empty. */
export function buildBatches(groups: readonly TrainableGroup[], options: BatchOptions): TrainingBatch[] {
  const shuffled = options.random.shuffle(groups);
  const count = Math.min(options.minibatches, shuffled.length);
  return Array.from({length: count}, (_, m) =>
    batchOf(
      shuffled.filter((_, i) => i % count === m),
      [options.soloWeight, options.fusionWeight],
    ),
  );
}

/** Each group's prompt stands once; every completion token is trained. */
function batchOf(groups: readonly TrainableGroup[], stageWeights: readonly number[]): TrainingBatch {
  const rows = groups.flatMap(({group, rollouts, rewards}, groupIndex) =>
    rollouts.map(({completion}, k) => ({
      completion,
      groupIndex,
      stage: stageIndex[group.stage],
      reward: rewards[k] as number,
    })),
  );
  const completions = ragged(rows.map((row) => row.completion.ids));
  const groupIndex = Int32Array.from(rows, (row) => row.groupIndex);
  const samplerLogprobs = new Float32Array(completions.ids.length);
  rows.forEach((row, i) => {
    samplerLogprobs.set(row.completion.logprobs, completions.offsets[i]);
  });
  return {
    prompts: ragged(groups.map(({group}) => group.promptIds)),
    completions: {
      ...completions,
      promptIndex: groupIndex.slice(),
      mask: new Uint8Array(completions.ids.length).fill(1),
      samplerLogprobs,
    },
    rewards: Float64Array.from(rows, (row) => row.reward),
    groupIndex,
    extraAdvantage: new Float64Array(rows.length),
    stage: Uint8Array.from(rows, (row) => row.stage),
    stageWeights: Float64Array.from(stageWeights),
  };
}
