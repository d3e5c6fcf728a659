import {createReadStream} from 'node:fs';
import {lastBoxed} from '../boxed.js';
import {IlrError} from '../errors.js';
import type {Question} from '../types.js';

/** Part of `RunConfig['data']`. */
export interface QuestionFormat {
  readonly fields: {readonly id: string; readonly question: string; readonly answer: string; readonly level: string};
  /** Where the gold answer stands in the answer field: all of it, after the last `####`, or in the last `\boxed{}`. */
  readonly answer: 'field' | 'gsm8k' | 'boxed';
}

export interface QuestionFile {
  readonly questions: readonly Question[];
  /** What is odd about the file but does not stop a run. */
  readonly warnings: readonly string[];
}

const maxLineBytes = 16 * 2 ** 20;
/** MATH has a row with an empty `\boxed{}`: such rows are left out while they are rare; more of them means a wrong `data.answer`. */
const maxUnansweredShare = 0.01;

/**
Reads a question file: JSON lines, one object a line, UTF-8. Blank lines are skipped; a question without an id gets its line number.

@throws IlrError `ILR_INVALID_DATA` naming file and line on a line that is not a question, an id that stands twice, or a file without questions, or
when more than a hundredth of the answer fields hold no answer in the wanted form (fewer are left out with a warning); `ILR_IO` when it cannot be read.
*/
export async function readQuestions(file: string, format: QuestionFormat): Promise<QuestionFile> {
  const questions: Question[] = [];
  const lineOfId = new Map<string, number>();
  const unanswered: IlrError[] = [];
  const oddLevels: number[] = [];
  for await (const {number, bytes} of readLines(file)) {
    const problem = (expected: string, got: string) =>
      new IlrError('ILR_INVALID_DATA', `${file}:${number}: expected ${expected}, got ${got}`);
    const fail: Fail = (expected, got) => {
      throw problem(expected, got);
    };
    const text = decode(bytes, fail);
    if (text.trim() === '') continue;
    const {question, rawAnswer, hasOddLevel} = toQuestion(parseObject(text, fail), number, format, fail);
    const earlier = lineOfId.get(question.id);
    if (earlier) fail('each id once', `${JSON.stringify(question.id)}, which line ${earlier} has already`);
    lineOfId.set(question.id, number);
    if (hasOddLevel) oddLevels.push(number);
    const answer = extractAnswer(rawAnswer, format.answer);
    if (answer) questions.push({...question, answer});
    else unanswered.push(problem(answerWords[format.answer], quote(rawAnswer.slice(-60))));
  }
  if (lineOfId.size === 0)
    throw new IlrError('ILR_INVALID_DATA', `${file}: expected at least one question, got an empty file`);
  if (unanswered[0] && unanswered.length > maxUnansweredShare * lineOfId.size) throw unanswered[0];
  return {questions, warnings: warningsOf(file, unanswered, oddLevels)};
}

function warningsOf(file: string, unanswered: readonly IlrError[], oddLevels: readonly number[]): string[] {
  const warnings: string[] = [];
  if (unanswered[0]) warnings.push(`${unanswered[0].message}; ${unanswered.length} such questions were left out`);
  if (oddLevels[0])
    warnings.push(`${file}:${oddLevels[0]}: expected a level, got none; ${oddLevels.length} questions go without`);
  return warnings;
}

type Fail = (expected: string, got: string) => never;
type Row = Readonly<Record<string, unknown>>;

function decode(bytes: Buffer, fail: Fail): string {
  try {
    return new TextDecoder('utf-8', {fatal: true}).decode(bytes);
  } catch {
    return fail('UTF-8', 'bytes that are not');
  }
}

function parseObject(text: string, fail: Fail): Row {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return fail('one JSON object', `${quote(text)} (${(error as Error).message})`);
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Row)
    : fail('one JSON object', quote(text));
}

function toQuestion(row: Row, line: number, format: QuestionFormat, fail: Fail) {
  const {fields} = format;
  const get = (name: string) => (Object.hasOwn(row, name) ? row[name] : undefined);
  const text = get(fields.question);
  if (typeof text !== 'string' || text.trim() === '')
    return fail(`text in the field ${JSON.stringify(fields.question)}`, describe(text, row));
  const raw = get(fields.answer);
  if (typeof raw !== 'string' && typeof raw !== 'number')
    return fail(`text or a number in the field ${JSON.stringify(fields.answer)}`, describe(raw, row));
  const id = get(fields.id) ?? line;
  if (typeof id !== 'string' && typeof id !== 'number')
    return fail(`text or a number in the field ${JSON.stringify(fields.id)}`, describe(id, row));
  const levelField = get(fields.level);
  const level = toLevel(levelField);
  const question = {id: String(id), text, ...(level !== undefined && {level})};
  return {question, rawAnswer: String(raw), hasOddLevel: levelField != null && level === undefined};
}

const answerWords = {
  field: 'an answer',
  gsm8k: 'an answer after #### (data.answer: gsm8k)',
  boxed: 'an answer in \\boxed{} (data.answer: boxed)',
};

/** Empty or undefined where the wanted form is not there. */
function extractAnswer(raw: string, where: QuestionFormat['answer']): string | undefined {
  if (where === 'field') return raw.trim();
  const found = where === 'boxed' ? (lastBoxed(raw) ?? lastBareBox(raw)) : raw.split('####').slice(1).at(-1);
  return found?.trim();
}

/** `\boxed 2`, as some solutions of MATH have it. */
function lastBareBox(raw: string): string | undefined {
  return [...raw.matchAll(/\\boxed\s+([^\s${}]+)/g)].at(-1)?.[1];
}

/** A number, or text such as `Level 3`. */
function toLevel(value: unknown): number | undefined {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  const digits = typeof value === 'string' ? /^(?:level\s*)?(\d+)$/i.exec(value.trim())?.[1] : undefined;
  return digits === undefined ? undefined : Number(digits);
}

function describe(value: unknown, row: Row): string {
  // Not JSON.stringify: it overflows the stack on text that JSON.parse has read, when lists lie in lists deeply.
  if (typeof value === 'object' && value !== null)
    return Array.isArray(value) ? `a list of ${value.length}` : 'an object';
  if (value !== undefined) return quote(JSON.stringify(value));
  const names = Object.keys(row).map((name) => JSON.stringify(name));
  return `no such field; the line has ${names.slice(0, 12).join(', ') || 'none'}. data.fields names the fields`;
}

function quote(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return JSON.stringify(short);
}

/** Split on \n only: other separators, U+2028 for one, may stand inside JSON text. */
async function* readLines(file: string): AsyncGenerator<{readonly number: number; readonly bytes: Buffer}> {
  let number = 1;
  let rest: Buffer[] = [];
  let restBytes = 0;
  try {
    for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
      let start = 0;
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
        yield {number: number++, bytes: Buffer.concat([...rest, chunk.subarray(start, end)])};
        rest = [];
        restBytes = 0;
        start = end + 1;
      }
      rest.push(chunk.subarray(start));
      restBytes += chunk.length - start;
      if (restBytes > maxLineBytes)
        throw new IlrError('ILR_INVALID_DATA', `${file}:${number}: expected lines of at most ${maxLineBytes} bytes`);
    }
  } catch (cause) {
    if (IlrError.is(cause)) throw cause;
    throw new IlrError('ILR_IO', `${file}: could not be read: ${(cause as Error).message}`, {cause});
  }
  if (restBytes > 0) yield {number, bytes: Buffer.concat(rest)};
}
