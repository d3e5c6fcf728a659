import type {FinishReason} from '../../src/policy.js';
import type {Question, RewardInput} from '../../src/types.js';

const question: Question = {id: 'q', text: '1+2=?', answer: '3'};

/** A completion of `length` tokens as a reward function sees it. */
export function rewardInput(
  text: string,
  changes: {
    readonly finishReason?: FinishReason;
    readonly ids?: readonly number[];
    readonly maxNewTokens?: number;
  } = {},
): RewardInput {
  const {finishReason = 'stop', ids = [1, 2], maxNewTokens} = changes;
  return {question, text, completion: {finishReason, ids: Int32Array.from(ids)}, stage: 'solo', maxNewTokens};
}
