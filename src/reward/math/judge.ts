import {type Node, numberOf, reciprocal} from './ast.js';
import {type Budget, TooComplex} from './budget.js';
import {choiceOf, goldChoice, sameChoices} from './choice.js';
import {clean} from './clean.js';
import {areEqual, type CompareOptions} from './compare.js';
import {NotMathematics} from './cursor.js';
import {numberToken} from './literal.js';
import {parse} from './parse.js';
import {areSameTimes} from './time.js';
import {areOtherAngles, areOtherCounts, unitSizes} from './units.js';
import {areSameWords, nodeOfWords} from './words.js';

/** An answer as it was written, cleaned, and read; without a node where it is words. */
export interface Reading {
  readonly raw: string;
  readonly text: string;
  readonly node?: Node;
}

export function read(raw: string, budget: Budget): Reading | 'too complex' {
  const text = clean(raw);
  try {
    return {raw, text, node: nodeOfWords(text) ?? parse(text, budget)};
  } catch (error) {
    if (error instanceof NotMathematics) {
      // `MRTS = …`: a name of several letters, and what it is.
      const value = /^(?:\\text\s*\{)?\p{L}[\p{L} ]{2,30}\}?\s*=(.*[\d\\+*/^].*)$/su.exec(text)?.[1];
      return value === undefined ? {raw, text} : readValue(value, {raw, text}, budget);
    }
    if (error instanceof TooComplex) return 'too complex';
    throw error;
  }
}

function readValue(value: string, unread: Reading, budget: Budget): Reading | 'too complex' {
  try {
    return {...unread, node: parse(value, budget)};
  } catch (error) {
    if (error instanceof NotMathematics) return unread;
    if (error instanceof TooComplex) return 'too complex';
    throw error;
  }
}

/** Whether an answer is the gold answer, and why. */
export function judge(
  gold: Reading,
  answer: Reading | 'too complex',
  options: CompareOptions,
  budget: Budget,
): [boolean, string] {
  if (answer === 'too complex') return [false, 'the answer asks for too much work'];
  if (gold.text === answer.text && gold.text !== '') return [true, 'the same text'];
  const choice = goldChoice(gold.text);
  if (choice !== undefined && choiceOf(answer.text) === choice) return [true, 'the same choice'];
  if (areSameWords(gold.text, answer.text)) return [true, 'the same words'];
  if (areOtherCounts(gold.raw, answer.raw)) return [false, 'other counts'];
  const sizes = unitSizes(gold.raw, answer.raw);
  if (sizes !== undefined) {
    if (sizes.gold.kind !== sizes.answer.kind) return [false, 'units of other kinds'];
    const [g, a] = [sizes.gold, sizes.answer].map(({size, over = 1, value}) => {
      const number = read(value, budget);
      return number === 'too complex' || number.node === undefined
        ? undefined
        : ({kind: 'product', items: [numberToken(String(size)), reciprocal(numberOf(over)), number.node]} as const);
    });
    const isEqual = g !== undefined && a !== undefined && areEqual(g, a, options, budget);
    return [isEqual, isEqual ? 'equal, in other units' : 'other units'];
  }
  if (isOtherJunction(gold.text, answer.text)) return [false, 'one says and, the other or'];
  const isSameTime = areSameTimes(gold.text, answer.text);
  if (isSameTime !== undefined) return [isSameTime, isSameTime ? 'the same time' : 'another time'];
  if (sameChoices(gold.text, answer.text)) return [true, 'the same choices'];
  if (/\.\.\.$|\\[lc]?dots$/.test(answer.text) !== /\.\.\.$|\\[lc]?dots$/.test(gold.text))
    return [false, 'one of them goes on'];
  if (gold.node === undefined) return [false, 'other words'];
  if (answer.node === undefined) return [false, 'the answer is no mathematics that can be read'];
  if (areEqual(gold.node, answer.node, options, budget)) return [true, 'equal'];
  const renamed = withConstant(gold.text, answer.text);
  const other = renamed === undefined ? undefined : read(renamed, budget);
  if (other !== undefined && other !== 'too complex' && other.node && areEqual(gold.node, other.node, options, budget))
    return [true, 'equal, with another constant'];
  if (areOtherAngles(gold.raw, answer.raw)) {
    // One of them comes in degrees: π is 180 of them.
    const inDegrees = (node: Node): Node => ({kind: 'product', items: [node, numberOf(180), reciprocal(pi)]});
    const isEqual = [
      [inDegrees(gold.node), answer.node],
      [gold.node, inDegrees(answer.node)],
    ].some(([g, a]) => areEqual(g as Node, a as Node, options, budget));
    if (isEqual) return [true, 'equal, in other units'];
  }
  for (const [g, a] of [
    [answer.node.kind === 'list' || answer.node.kind === 'set' ? asList(gold) : undefined, answer],
    [withPoint(gold, 2), answer],
    [gold, withPoint(answer, 1)],
  ] as const) {
    if (!g || !a) continue;
    const [goldPoint, answerPoint] = [read(g.text, budget), read(a.text, budget)];
    if (goldPoint === 'too complex' || answerPoint === 'too complex' || !goldPoint.node || !answerPoint.node) continue;
    if (areEqual(goldPoint.node, answerPoint.node, options, budget)) return [true, 'equal, its comma read otherwise'];
  }
  return [false, 'not equal'];
}

const pi: Node = {kind: 'symbol', name: 'π'};

/** The answer with the gold's constant of integration, whatever the letter: `x^2 + c` is `x^2 + C`. */
function withConstant(gold: string, answer: string): string | undefined {
  const [g, a] = [gold, answer].map((text) => /\+\s*([CcKk])$/.exec(text)) as [
    RegExpExecArray | null,
    RegExpExecArray | null,
  ];
  if (!g || !a || g[1] === a[1]) return undefined;
  const isElsewhere = [gold.slice(0, g.index), answer.slice(0, a.index)].some((text) =>
    /[CcKk]/.test(text.replace(/\\[A-Za-z]+/g, '')),
  );
  return isElsewhere ? undefined : `${answer.slice(0, a.index)}+${g[1]}`;
}

/** `70,110` as two numbers, where the answer has several. */
function asList({text}: Reading): {readonly text: string} | undefined {
  return /^\d{1,3},\d{3}$/.test(text) ? {text: text.replace(',', ', ')} : undefined;
}

/** `1000,99` with a decimal point. Of a gold answer, `0,1` is rather a list. */
function withPoint({text}: Reading, fewest: number): {readonly text: string} | undefined {
  const match = /^(-?\d+),(\d+)$/.exec(text);
  return match && (match[2] as string).length >= fewest && !(match[2]?.length === 3 && match[1] !== '0')
    ? {text: `${match[1]}.${match[2]}`}
    : undefined;
}

const [and, or] = [/\\(?:land|wedge)(?![a-z])/, /\\(?:lor|vee)(?![a-z])/];

/** `p \\land q`, `p \\lor q` */
function isOtherJunction(gold: string, answer: string): boolean {
  return (
    (and.test(gold) && !or.test(gold) && or.test(answer) && !and.test(answer)) ||
    (or.test(gold) && !and.test(gold) && and.test(answer) && !or.test(answer))
  );
}
