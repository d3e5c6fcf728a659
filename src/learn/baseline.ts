import {mean} from '../statistics.js';
import type {Stage} from '../types.js';
import {stages, type TrainableGroup} from './batch.js';

/** [stages] moving averages of one agent's rewards; null: no reward yet. */
export type Baselines = readonly (number | null)[];

export interface BaselineStep {
  /** [stages] subtracted from this step's rewards: the average before it, so that it does not depend on them. */
  readonly used: readonly number[];
  readonly next: Baselines;
}

/**
The baseline of each stage, an exponential moving average of an agent's calibrated rewards: b ← decay·b + (1 − decay)·mean.

SPIRAL's role-conditioned advantage estimation (arXiv 2506.24119), a role being an agent and a stage.
Departure: the average is moved after it was used, and starts at the first step's mean, for which that step itself stands in.
*/
export function stepBaselines(
  groups: readonly TrainableGroup[],
  last: Baselines | undefined,
  decay: number,
): BaselineStep {
  const steps = stages.map((stage, s) => stepBaseline(rewardsOf(groups, stage), last?.[s] ?? null, decay));
  return {used: steps.map(({used}) => used), next: steps.map(({next}) => next)};
}

function stepBaseline(rewards: readonly number[], last: number | null, decay: number) {
  if (rewards.length === 0) return {used: last ?? 0, next: last};
  const average = mean(rewards);
  if (last === null) return {used: average, next: average};
  return {used: last, next: decay * last + (1 - decay) * average};
}

function rewardsOf(groups: readonly TrainableGroup[], stage: Stage): number[] {
  return groups.filter(({group}) => group.stage === stage).flatMap(({rewards}) => rewards);
}
