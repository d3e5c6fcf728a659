import {lastBoxed} from '../boxed.js';
import type {RewardInput} from '../types.js';

/** What stands in the last box of an answer that ended by itself; undefined where there is none, or it is empty. */
export function boxedAnswer({text, completion}: RewardInput): string | undefined {
  const boxed = lastBoxed(text);
  return boxed?.trim() === '' || completion.finishReason !== 'stop' ? undefined : boxed;
}
