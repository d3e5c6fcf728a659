import {overlongPenalty} from '../overlong.js';
import type {Group} from '../types.js';

export interface OverlongOptions {
  readonly cache: number;
  /** What the longest completions lose. */
  readonly weight: number;
  readonly maxTokens: number;
}

/** The group with each graded rollout's reward less its penalty. */
export function penaliseOverlong(group: Group, {cache, weight, maxTokens}: OverlongOptions): Group {
  const rollouts = group.rollouts.map((rollout) => {
    if (rollout.failure !== undefined) return rollout;
    const penalty = weight * overlongPenalty(rollout.completion.ids.length, maxTokens, cache);
    return {...rollout, reward: rollout.reward - penalty, overlongPenalty: penalty};
  });
  return {...group, rollouts};
}
