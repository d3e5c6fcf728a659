import {answerOf} from './answer.js';
import {isBroken} from './broken.js';
import {Budget, TooComplex} from './budget.js';
import {choiceOf, goldChoice, optionOf, proseChoice} from './choice.js';
import {clean, maxAnswerLength} from './clean.js';
import {areEqual, type CompareOptions} from './compare.js';
import {behindThinking, type Extractor, extractAnswer, saidIn} from './extract.js';
import {judge, read} from './judge.js';
import {unitSizes, withoutUnits} from './units.js';
import {areSameWords} from './words.js';

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
const steps = 16_000;

/**
Grades an answer against a gold answer. Neither is ever run or evaluated as a program; the work is bounded whatever they hold.

@param gold - The gold answer, bare, in math delimiters, in a box or behind `####`.
@param answer - A completion, or a bare answer.
*/
export function gradeMath(gold: string, answer: string, options: MathGradeOptions = {}): MathGrade {
  const wanted = goldAnswer(gold);
  if (wanted === undefined)
    return {correct: null, gold: gold.slice(0, 200), reason: 'the gold answer is empty or too long'};
  if (isUnreadable(wanted)) return {correct: null, gold: wanted, reason: 'the gold answer cannot be read'};
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
  // `(b)` in prose is a choice where the gold answer is written so.
  const isSmall = /^\W*[a-j]\)/.test(wanted);
  const choices = isSmall ? said.replace(/\(([a-j])\)/g, (mark) => mark.toUpperCase()) : said;
  if (letter !== undefined && proseChoice(choices) === letter)
    return {correct: true, extracted: letter, gold: wanted, reason: 'the same choice'};
  if (extracted === undefined) return {correct: false, gold: wanted, reason: 'no answer was found'};
  const budget = new Budget(steps);
  const grade = gradeAnswer(wanted, extracted.text, options, budget);
  if (grade.correct !== false) return grade;
  // Two boxes may be one answer, or two steps of which the last is the answer; beside its letter, an option counts as well.
  for (const [gold, found] of [
    [wanted, unitSizes(wanted, extracted.text) ? undefined : extracted.last],
    [wanted, isBoxed ? saidIn(extracted.text) : undefined],
    [wanted, letter === undefined ? optionOf(extracted.text)?.text : undefined],
    [optionOf(wanted)?.text, extracted.text],
  ]) {
    if (gold === undefined || found === undefined) continue;
    const other = gradeAnswer(gold, found, options, budget);
    if (other.correct) return {...other, gold: wanted};
  }
  return grade;
}

function gradeAnswer(wanted: string, found: string, options: MathGradeOptions, budget: Budget): MathGrade {
  const grade = (correct: boolean | null, reason: string): MathGrade => ({
    correct,
    extracted: found,
    gold: wanted,
    reason,
  });
  if (found.length > maxAnswerLength) return grade(false, 'the answer is too long');
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

/** Neither mathematics nor words. */
function isUnreadable(gold: string): boolean {
  if (/^[-\d.]*\d$/.test(gold) || goldChoice(gold) !== undefined || !isBroken(clean(gold))) return false;
  const reading = read(gold, new Budget(steps));
  // One that asks for too much work is told so where it is compared.
  return reading !== 'too complex' && reading.text !== '' && reading.node === undefined;
}

/** Whether a gold answer can be graded. */
export function isGradable(gold: string): boolean {
  const wanted = goldAnswer(gold);
  return wanted !== undefined && gradeMath(wanted, `\\boxed{${wanted}}`).correct === true;
}

function goldAnswer(gold: string): string | undefined {
  const trimmed = gold.trim();
  const boxed = extractAnswer(
    trimmed,
    trimmed.length > 300 ? ['boxed', 'final-answer', 'hashes', 'answer', 'math'] : ['boxed', 'hashes'],
  );
  const text = boxed?.text ?? trimmed;
  return text === '' || text.length > maxAnswerLength ? undefined : text;
}
