import {type Node, numberOf, reciprocal} from './ast.js';
import {Budget, TooComplex} from './budget.js';
import {choiceOf, goldChoice, optionOf, proseChoice, sameChoices} from './choice.js';
import {clean, maxAnswerLength} from './clean.js';
import {areEqual, type CompareOptions} from './compare.js';
import {NotMathematics} from './cursor.js';
import {behindThinking, type Extracted, type Extractor, extractAnswer, saidIn} from './extract.js';
import {numberToken} from './literal.js';
import {parse} from './parse.js';
import {areSameTimes} from './time.js';
import {isName as isMathematicalName} from './tokens.js';
import {areOtherAngles, areOtherCounts, unitSizes, withoutUnits} from './units.js';
import {areSameWords, nodeOfWords} from './words.js';

export interface MathGradeOptions extends CompareOptions {
  /** Where the answer is looked for; everywhere when left out. */
  readonly extract?: readonly Extractor[];
}

export interface MathGrade {
  /** `null`: the gold answer cannot be graded. */
  readonly correct: boolean | null;
  /** The answer as it was found; undefined where there was none. */
  readonly extracted?: string;
  readonly gold: string;
  readonly reason: string;
}

/** Steps of one grading: some milliseconds. */
const steps = 25_000;

/**
Grades an answer against a gold answer. Neither is ever run or evaluated as a program; the work is bounded whatever they hold.

@param gold - The gold answer, bare, in math delimiters, in a box or behind `####`.
@param answer - A completion, or a bare answer.
*/
export function gradeMath(gold: string, answer: string, options: MathGradeOptions = {}): MathGrade {
  const wanted = goldAnswer(gold);
  if (wanted === undefined)
    return {correct: null, gold: gold.slice(0, 200), reason: 'the gold answer is empty or too long'};
  const letter = goldChoice(wanted);
  if (letter !== undefined && answer.length <= 300 && choiceOf(clean(answer)) === letter)
    return {correct: true, extracted: letter, gold: wanted, reason: 'the same choice'};
  if (answer.length <= 300 && areSameWords(clean(wanted), clean(answer)))
    return {correct: true, extracted: answer.trim(), gold: wanted, reason: 'the same words'};
  const extracted = answerOf(answer, options.extract);
  const isBoxed = extracted !== undefined && ['boxed', 'hashes'].includes(extracted.by);
  // A sentence in a box; not `C + 1`.
  const inBox = isBoxed && /\p{L}{2,}\s+\p{L}{2,}/u.test(extracted.text) ? extracted.text : '';
  const said = isBoxed ? inBox : options.extract === undefined ? behindThinking(answer) : '';
  if (letter !== undefined && proseChoice(said) === letter)
    return {correct: true, extracted: letter, gold: wanted, reason: 'the same choice'};
  if (extracted === undefined) return {correct: false, gold: wanted, reason: 'no answer was found'};
  const grade = gradeAnswer(wanted, extracted.text, options);
  if (grade.correct !== false) return grade;
  // Two boxes may be one answer, or two steps of which the last is the answer; beside its letter, an option counts as well.
  for (const [gold, found] of [
    [wanted, extracted.last],
    [wanted, isBoxed ? saidIn(extracted.text) : undefined],
    [wanted, letter === undefined ? optionOf(extracted.text)?.text : undefined],
    [optionOf(wanted)?.text, extracted.text],
  ]) {
    if (gold === undefined || found === undefined) continue;
    const other = gradeAnswer(gold, found, options);
    if (other.correct) return {...other, gold: wanted};
  }
  return grade;
}

function gradeAnswer(wanted: string, found: string, options: MathGradeOptions): MathGrade {
  const grade = (correct: boolean | null, reason: string): MathGrade => ({
    correct,
    extracted: found,
    gold: wanted,
    reason,
  });
  if (found.length > maxAnswerLength) return grade(false, 'the answer is too long');
  const budget = new Budget(steps);
  try {
    const goldReading = read(wanted, budget);
    if (goldReading === 'too complex') return grade(null, 'the gold answer asks for too much work');
    if (goldReading.text === '') return grade(null, 'the gold answer says nothing');
    const verdict = judge(goldReading, read(found, budget), options, budget);
    if (verdict[0]) return grade(...verdict);
    const bare = unitSizes(wanted, found) ? undefined : withoutUnits(wanted, found);
    if (bare === undefined) return grade(...verdict);
    const bareGold = read(bare.gold, budget);
    return grade(
      ...(bareGold === 'too complex' ? verdict : judge(bareGold, read(bare.answer, budget), options, budget)),
    );
  } catch (error) {
    if (!(error instanceof TooComplex)) throw error;
    return isTooComplex(wanted, options)
      ? grade(null, 'the gold answer asks for too much work')
      : grade(false, error.message);
  }
}

/** Whether a gold answer alone is more work than the budget pays for. */
function isTooComplex(gold: string, options: MathGradeOptions): boolean {
  const budget = new Budget(steps);
  try {
    const reading = read(gold, budget);
    return (
      reading === 'too complex' ||
      (reading.node !== undefined && !areEqual(reading.node, reading.node, options, budget))
    );
  } catch (error) {
    if (error instanceof TooComplex) return true;
    throw error;
  }
}

/** Whether a gold answer can be graded. */
export function isGradable(gold: string): boolean {
  const wanted = goldAnswer(gold);
  return wanted !== undefined && gradeMath(wanted, `\\boxed{${wanted}}`).correct === true;
}

interface Reading {
  readonly raw: string;
  readonly text: string;
  readonly node?: Node;
}

function read(raw: string, budget: Budget): Reading | 'too complex' {
  const text = clean(raw);
  try {
    return {raw, text, node: nodeOfWords(text) ?? parse(text, budget)};
  } catch (error) {
    if (error instanceof NotMathematics) return {raw, text};
    if (error instanceof TooComplex) return 'too complex';
    throw error;
  }
}

function judge(
  gold: Reading,
  answer: Reading | 'too complex',
  options: MathGradeOptions,
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
    const [g, a] = [sizes.gold, sizes.answer].map(({size, value}): Node => {
      const number = parse(clean(value), budget);
      return {kind: 'product', items: [numberToken(String(size)), number]};
    }) as [Node, Node];
    return areEqual(g, a, options, budget) ? [true, 'equal, in other units'] : [false, 'other units'];
  }
  const isSameTime = areSameTimes(gold.text, answer.text);
  if (isSameTime !== undefined) return [isSameTime, isSameTime ? 'the same time' : 'another time'];
  if (sameChoices(gold.text, answer.text)) return [true, 'the same choices'];
  if (/\.\.\.$|\\[lc]?dots$/.test(answer.text) !== /\.\.\.$|\\[lc]?dots$/.test(gold.text))
    return [false, 'one of them goes on'];
  if (gold.node === undefined) return [false, 'other words'];
  if (answer.node === undefined) return [false, 'the answer is no mathematics that can be read'];
  if (areEqual(gold.node, answer.node, options, budget)) return [true, 'equal'];
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
    [withPoint(gold, 2), answer],
    [gold, withPoint(answer, 1)],
  ] as const) {
    if (!g || !a) continue;
    const [goldPoint, answerPoint] = [read(g.text, budget), read(a.text, budget)];
    if (goldPoint === 'too complex' || answerPoint === 'too complex' || !goldPoint.node || !answerPoint.node) continue;
    if (areEqual(goldPoint.node, answerPoint.node, options, budget)) return [true, 'equal, with a decimal comma'];
  }
  return [false, 'not equal'];
}

const pi: Node = {kind: 'symbol', name: 'π'};

function goldAnswer(gold: string): string | undefined {
  const trimmed = gold.trim();
  const boxed = extractAnswer(
    trimmed,
    trimmed.length > 300 ? ['boxed', 'final-answer', 'hashes', 'answer', 'math'] : ['boxed', 'hashes'],
  );
  const text = boxed?.text ?? trimmed;
  return text === '' || text.length > maxAnswerLength ? undefined : text;
}

/** The whole text where it is short and all mathematics, else what it says its answer is. */
function answerOf(answer: string, extract: MathGradeOptions['extract']): Extracted | undefined {
  const trimmed = answer.trim();
  const isBare =
    trimmed.length <= 300 &&
    !/\\(?:boxed|fbox)|####|answer|\$[^$]*[A-Za-z]{2,}\s[^$]*\$.*\$/i.test(trimmed) &&
    extract === undefined;
  // Without a word, nothing in it is prose about the answer.
  const isWordless = trimmed.length <= 40 && !/\n|\$|\p{L}/u.test(trimmed.replace(/\\[A-Za-z]+/g, ''));
  if (isBare && (isWordless || isAllMathematics(trimmed))) return {text: trimmed, by: 'whole'};
  const found = extractAnswer(answer, extract);
  if (found) return found;
  const said = behindThinking(trimmed).trim();
  return extract === undefined && said !== '' && said.length <= 100 ? {text: said, by: 'whole'} : undefined;
}

/** A number and its unit in words. */
const quantity = /^\\?\$?[-+−]?[\d.,/]+\s+[A-Za-z]{2,}(?:\s+(?:per\s+)?[A-Za-z]{2,})?\.?$/;

function isAllMathematics(text: string): boolean {
  if (quantity.test(text)) return true;
  // A formula in a sentence is for the extractors.
  const outside = text
    .replace(/(?<=[\d)\]}])(?:or|and)(?=[A-Z(\d\\-])/g, ' and ')
    .replace(/\$\$?[^$]+\$\$?|\\\[[\s\S]*\\\]|\\\(.*\\\)/g, ' ');
  if (
    (outside.replace(/\\[A-Za-z]+(?:\{[A-Za-z ]*\})?/g, ' ').match(/\p{L}{3,}/gu) ?? []).some(
      (word) =>
        !isMathematicalName(word) &&
        !/^(?:and|percent|pct|percentage|cents?|dollars?|degrees?|radians?|thousand|million|billion|trillion)$/i.test(
          word,
        ),
    )
  )
    return false;
  if (/\$\s*\n|\\\(\s*\n/.test(text) && !/\$\$/.test(text)) return false;
  try {
    parse(clean(text), new Budget(5000));
    return true;
  } catch {
    return false;
  }
}

/** `1000,99` with a decimal point. Of a gold answer, `0,1` is rather a list. */
function withPoint({text}: Reading, fewest: number): {readonly text: string} | undefined {
  const match = /^(-?\d+),(\d+)$/.exec(text);
  return match && (match[2] as string).length >= fewest && !(match[2]?.length === 3 && match[1] !== '0')
    ? {text: `${match[1]}.${match[2]}`}
    : undefined;
}
