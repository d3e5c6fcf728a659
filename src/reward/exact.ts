import type {Question, RewardFunction, RewardInput} from '../types.js';
import {boxedAnswer} from './boxed-answer.js';

/** Correct when the last box holds the gold answer, blanks aside. Well-formed when there is a filled box and the answer ended by itself. */
export const exactReward: RewardFunction = Object.assign(
  (input: RewardInput) => {
    const answer = boxedAnswer(input);
    if (answer === undefined) return {isWellFormed: false, isCorrect: false};
    return {isWellFormed: true, isCorrect: isSame(answer, input.question.answer), answer: normalise(answer)};
  },
  {accepts: ({answer}: Question) => answer.trim() !== '', sameAnswer: isSame},
);

function isSame(a: string, b: string): boolean {
  return normalise(a) === normalise(b);
}

function normalise(text: string): string {
  return text.trim().replace(/\s+/g, ' ');
}
