import {IlrError} from '../errors.js';
import {overlongPenalty} from '../overlong.js';
import type {ScoreFunction} from '../types.js';

export interface LengthOptions {
  /** The last tokens, over which the score falls. */
  readonly cache: number;
  /** The longest that is asked for; the stage's `maxNewTokens` when left out. */
  readonly maxTokens?: number;
}

/** DAPO's length reward (arXiv 2503.14476, Eq. 13): 0 up to maxTokens − cache, then falling linearly to −1 at maxTokens and above. */
export function lengthReward({cache, maxTokens}: LengthOptions): ScoreFunction {
  return ({completion, maxNewTokens}) => {
    const most = maxTokens ?? maxNewTokens;
    if (most === undefined) {
      throw new IlrError(
        'ILR_INVALID_ARGUMENT',
        'Expected the most tokens of a completion (maxNewTokens), got none. Give length.maxTokens.',
      );
    }
    return 0 - overlongPenalty(completion.ids.length, most, cache);
  };
}
