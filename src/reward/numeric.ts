import type {Question, RewardFunction, RewardInput} from '../types.js';
import {boxedAnswer} from './boxed-answer.js';

/** A fraction in lowest terms is not needed: equality is cross-multiplication. `denominator` > 0. */
export interface Rational {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/** Longer answers are no numbers; a bound on the work that model text can ask for. */
const maxLength = 100;

/**
A number as answers write it: sign, `1,234`, `3.50`, `3/4`, `\frac{3}{4}`, with `$`, `%`, `\text{…}`, degrees and blanks around it ignored.

@returns undefined when `text` is not one number.
*/
export function parseNumber(text: string): Rational | undefined {
  if (text.length > maxLength) return undefined;
  const plain = text
    .replace(/\\(?:text|mathrm|mbox)\s*\{[^{}]*\}/g, '')
    .replace(/\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}/g, '($1)/($2)')
    .replace(/\\[dt]?frac\s*(\d)\s*(\d)/g, '($1)/($2)')
    .replace(/\{,\}/g, ',')
    .replace(/\\[!,;: ]|\\(?:left|right)(?![a-z])|\^\s*\{?\\circ\}?|\\?[$%]|\s/g, '')
    .replace(/[−–]/g, '-')
    .replace(/\.$/, '');
  const match = /^([+-]?)(.+?)(?:\/(.+))?$/.exec(plain);
  if (match === null) return undefined;
  const above = part(match[2] as string);
  const below = match[3] === undefined ? one : part(match[3]);
  if (above === undefined || below === undefined || below.numerator === 0n) return undefined;
  const sign = (match[1] === '-') !== below.numerator < 0n ? -1n : 1n;
  return {
    numerator: sign * above.numerator * below.denominator,
    denominator: above.denominator * (below.numerator < 0n ? -below.numerator : below.numerator),
  };
}

export function areEqual(a: Rational, b: Rational): boolean {
  return a.numerator * b.denominator === b.numerator * a.denominator;
}

/** Correct when the last box holds the gold number, exactly. Well-formed when there is a filled box and the answer ended by itself. */
export const numericReward: RewardFunction = Object.assign(
  (input: RewardInput) => {
    const gold = parseNumber(input.question.answer);
    if (gold === undefined) return null;
    const answer = boxedAnswer(input);
    if (answer === undefined) return {isWellFormed: false, isCorrect: false};
    const value = parseNumber(answer);
    return {isWellFormed: true, isCorrect: value !== undefined && areEqual(value, gold), answer: answer.trim()};
  },
  {
    accepts: (question: Question) => parseNumber(question.answer) !== undefined,
    sameAnswer(a: string, b: string) {
      const [left, right] = [parseNumber(a), parseNumber(b)];
      return a === b || (left !== undefined && right !== undefined && areEqual(left, right));
    },
  },
);

const one: Rational = {numerator: 1n, denominator: 1n};

/** One side of a fraction; a sign of its own needs brackets. */
function part(text: string): Rational | undefined {
  const inner = /^\(([^()]*)\)$/.exec(text)?.[1];
  if (inner === undefined && /^[+-]/.test(text)) return undefined;
  return decimal(inner ?? text);
}

/** Thousands are grouped by threes or not at all. */
function decimal(text: string): Rational | undefined {
  const match = /^([+-]?)(\d{1,3}(?:,\d{3})+|\d+)?(?:\.(\d+))?$/.exec(text);
  if (match === null || (match[2] === undefined && match[3] === undefined)) return undefined;
  const places = match[3] ?? '';
  const digits = BigInt(`${(match[2] ?? '').replaceAll(',', '')}${places}`);
  return {numerator: match[1] === '-' ? -digits : digits, denominator: 10n ** BigInt(places.length)};
}
