import {lastBoxed} from '../boxed.js';
import type {Question, RewardFunction, RewardInput} from '../types.js';
import {type Extractor, extractAnswer} from './math/extract.js';
import {gradeMath, isGradable, type MathGradeOptions} from './math/grade.js';

export interface MathRewardOptions extends Omit<MathGradeOptions, 'extract'> {
  /** Where an answer may stand; only in a box when left out. */
  readonly extract?: readonly Extractor[];
}

/** Correct when the answer says what the gold answer says (`math/`). Well-formed when there is one in the asked place and it ended by itself. */
export function mathRewardWith({extract = ['boxed'], ...options}: MathRewardOptions = {}): RewardFunction {
  const isBoxOnly = extract.every((place) => place === 'boxed');
  const hasAnswer = (text: string) =>
    Boolean((isBoxOnly ? lastBoxed(text) : extractAnswer(text, extract)?.text)?.trim());
  const isSame = (gold: string, answer: string) =>
    gradeMath(gold, `\\boxed{${answer}}`, {...options, extract: ['boxed']}).correct === true;
  return Object.assign(
    ({question, text, completion}: RewardInput) => {
      const isWellFormed = completion.finishReason === 'stop' && hasAnswer(text);
      const {answer: gold, tolerance} = question;
      const grade = gradeMath(gold, isWellFormed ? text : '', {...options, extract, ...(tolerance && {tolerance})});
      if (grade.correct === null) return null;
      const answer = isWellFormed ? grade.extracted : undefined;
      return {isWellFormed, isCorrect: grade.correct, ...(answer !== undefined && {answer})};
    },
    {
      accepts: ({answer}: Question) => isGradable(answer),
      // What rounds to the other says the same, whichever is the longer.
      sameAnswer: (a: string, b: string) => a === b || isSame(a, b) || isSame(b, a),
    },
  );
}

export const mathReward: RewardFunction = mathRewardWith();
