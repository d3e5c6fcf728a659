import type {Readable, Writable} from 'node:stream';
import {type Command, InvalidArgumentError, Option} from 'commander';
import {type Extractor, extractors} from '../reward/math/extract.js';
import {gradeMath, type MathGradeOptions} from '../reward/math/grade.js';
import {openInput, readLines, readRow, writeLine} from './grade-input.js';
import {count} from './options.js';
import {print} from './terminal.js';

export interface GradeStreamOptions extends MathGradeOptions {
  readonly goldField?: string;
  readonly answerField?: string;
}

export interface GradeCounts {
  readonly lines: number;
  readonly correct: number;
  /** Lines that are no JSON object with both fields as text or numbers. */
  readonly malformed: number;
  /** Gold answers that cannot be graded. */
  readonly ungradable: number;
}

/** Grades JSON lines, in order and one at a time: memory does not grow with their number. */
export async function gradeLines(input: Readable, output: Writable, options: GradeStreamOptions): Promise<GradeCounts> {
  const counts = {lines: 0, correct: 0, malformed: 0, ungradable: 0};
  for await (const line of readLines(input)) {
    if (line.trim() === '') continue;
    counts.lines++;
    const pair = readPair(line, options);
    const grade =
      typeof pair === 'string'
        ? {correct: null, reason: `line ${counts.lines}: ${pair}`}
        : gradeMath(pair.gold, pair.answer, options);
    if (typeof pair === 'string') counts.malformed++;
    else if (grade.correct === null) counts.ungradable++;
    else if (grade.correct) counts.correct++;
    const {correct, reason, ...rest} = grade;
    await writeLine(output, {correct, ...rest, reason});
  }
  return counts;
}

function readPair(
  line: string,
  {goldField = 'gold', answerField = 'answer'}: GradeStreamOptions,
): {gold: string; answer: string} | string {
  const row = readRow(line);
  if (typeof row === 'string') return row;
  const [gold, answer] = [goldField, answerField].map((name) => (Object.hasOwn(row, name) ? row[name] : undefined));
  const isAnswer = (value: unknown): value is string | number => typeof value === 'string' || typeof value === 'number';
  if (!isAnswer(gold)) return `expected text or a number in "${goldField}"; --field gold=<name> names another field`;
  if (!isAnswer(answer))
    return `expected text or a number in "${answerField}"; --field answer=<name> names another field`;
  return {gold: String(gold), answer: String(answer)};
}

const help = `
One JSON object a line in, one a line out, in the same order:
  $ echo '{"gold": "\\\\frac12", "answer": "so it is \\\\boxed{0.5}"}' | ilr-native grade math
  {"correct":true,"extracted":"0.5","gold":"\\\\frac12","reason":"equal"}
"correct" is null where the gold answer cannot be graded. Nothing in an answer is ever run, and the work for one is bounded.`;

export function registerMath(grade: Command): void {
  grade
    .command('math')
    .description(
      'compare answers with gold answers, as numbers, expressions, sets, intervals, matrices, units, choices or words',
    )
    .argument('[file]', 'JSON lines; standard input when left out')
    .option('--field <name=field>', 'gold=<field> or answer=<field>: where they stand (repeatable)', fields)
    .addOption(
      new Option(
        '--extract <places>',
        `where the answer is looked for, separated by commas: ${extractors.join(', ')} (default: all)`,
      ).argParser(places),
    )
    .addOption(
      new Option('--percent <how>', '28% is 28 as well as 0.28, or 0.28 alone')
        .choices(['ignore', 'strict'])
        .default('ignore'),
    )
    .option('--decimals <count>', "compare decimals at so many places (default: the gold's own)", count)
    .addHelpText('after', help)
    .action(async (file: string | undefined, options) => {
      const {field, extract, percent, decimals} = options;
      const input = await openInput(file);
      const counts = await gradeLines(input, process.stdout, {
        goldField: field?.gold,
        answerField: field?.answer,
        extract,
        percent,
        decimals,
      });
      const {lines, correct, malformed, ungradable} = counts;
      print(
        process.stderr,
        `${lines} graded: ${correct} correct, ${ungradable} with a gold answer that cannot be graded, ${malformed} malformed\n`,
      );
      if (malformed > 0) process.exitCode = 1;
    });
}

function fields(value: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const match = /^(gold|answer)=(.+)$/.exec(value);
  if (!match) throw new InvalidArgumentError('Expected gold=<field> or answer=<field>.');
  return {...before, [match[1] as string]: match[2] as string};
}

function places(value: string): Extractor[] {
  return value.split(',').map((place) => {
    const found = extractors.find((extractor) => extractor === place.trim());
    if (found === undefined) throw new InvalidArgumentError(`Expected some of ${extractors.join(', ')}, got ${place}.`);
    return found;
  });
}
