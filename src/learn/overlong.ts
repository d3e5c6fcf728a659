import type {Group} from '../types.js';

/**
DAPO's soft overlong punishment (arXiv 2503.14476, Eq. 13), turned round: what is taken off.

@param length - Of a completion, in tokens.
@returns 0 up to maxTokens − cache, then rising linearly to 1 at maxTokens.
*/
export function overlongPenalty(length: number, maxTokens: number, cache: number): number {
  return Math.min(1, Math.max(0, (length - (maxTokens - cache)) / cache));
}

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
