import {lastBoxed} from '../boxed.js';
import type {Question, RewardFunction, RewardInput} from '../types.js';
import {gradeMath, isGradable} from './math/grade.js';

/** Correct when the box says what the gold answer says (`math/`). Well-formed when there is a filled box and the answer ended by itself. */
export const mathReward: RewardFunction = Object.assign(
  ({question, text, completion}: RewardInput) => {
    const isWellFormed = Boolean(lastBoxed(text)?.trim()) && completion.finishReason === 'stop';
    const {correct} = gradeMath(question.answer, isWellFormed ? text : '', {extract: ['boxed']});
    return correct === null ? null : {isWellFormed, isCorrect: correct};
  },
  {accepts: ({answer}: Question) => isGradable(answer)},
);
