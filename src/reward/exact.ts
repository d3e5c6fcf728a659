import {lastBoxed} from '../boxed.js';
import type {RewardFunction, RewardInput} from '../types.js';

/** Correct when the last box holds the gold answer, blanks aside. Well-formed when there is a filled box and the answer ended by itself. */
export const exactReward: RewardFunction = Object.assign(
  ({question, text, completion}: RewardInput) => {
    const boxed = lastBoxed(text);
    const isWellFormed = boxed !== undefined && boxed.trim() !== '' && completion.finishReason === 'stop';
    return {isWellFormed, isCorrect: isWellFormed && normalise(boxed) === normalise(question.answer)};
  },
  {accepts: ({answer}: {readonly answer: string}) => answer.trim() !== ''},
);

function normalise(text: string): string {
  return text.trim().replace(/\s+/g, ' ');
}
