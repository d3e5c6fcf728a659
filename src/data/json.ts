import {IlrError} from '../errors.js';
import {readBytes} from './bytes.js';
import {quote, Row, type Values} from './row.js';

const maxLineBytes = 16 * 2 ** 20;
/** Blank ones too: a small packed file can hold billions. */
const maxLines = 10_000_000;
/** Of a file that is one JSON value, which must be held whole; JSON lines are not bounded. */
const maxJsonBytes = 256 * 2 ** 20;

/** JSON lines: one object a line, UTF-8; blank lines are skipped. */
export async function* readJsonLines(file: string): AsyncGenerator<Row> {
  for await (const {number, bytes} of readLines(file)) {
    const place = new Row(file, number, `:${number}`, {});
    const text = decode(bytes, place);
    if (text.trim() !== '') yield new Row(file, number, `:${number}`, parseObject(text, place));
  }
}

/** A JSON array of objects, or `{"data": [...]}`; a file of JSON lines with this ending is read as such. */
export async function* readJson(file: string): AsyncGenerator<Row> {
  const text = await readText(file);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (isObjectText(text.slice(0, text.indexOf('\n') + 1))) {
      yield* readJsonLines(file);
      return;
    }
    throw new IlrError('ILR_INVALID_DATA', `${file}: expected JSON, got: ${(error as Error).message}`, {cause: error});
  }
  const list = isObject(value) && Array.isArray(value.data) ? value.data : value;
  if (!Array.isArray(list)) {
    // One object alone is JSON lines of one line, were it not for a line break within.
    if (isObject(list)) yield new Row(file, 1, ': row 1', list);
    else
      throw new IlrError(
        'ILR_INVALID_DATA',
        `${file}: expected a list of JSON objects, got ${quote(text.slice(0, 100))}`,
      );
    return;
  }
  for (const [i, item] of list.entries()) {
    const place = new Row(file, i + 1, `: row ${i + 1}`, {});
    if (!isObject(item)) place.fail('a JSON object', place.describe(item));
    yield new Row(file, i + 1, `: row ${i + 1}`, item as Values);
  }
}

function isObject(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isObjectText(text: string): boolean {
  try {
    return isObject(JSON.parse(text));
  } catch {
    return false;
  }
}

async function readText(file: string): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of readBytes(file)) {
    length += chunk.length;
    if (length > maxJsonBytes)
      throw new IlrError(
        'ILR_INVALID_DATA',
        `${file}: expected JSON of at most ${maxJsonBytes} bytes, got more; JSON lines (.jsonl) may be larger`,
      );
    chunks.push(chunk);
  }
  return decode(Buffer.concat(chunks), new Row(file, 1, '', {}));
}

function decode(bytes: Buffer, place: Row): string {
  try {
    return new TextDecoder('utf-8', {fatal: true}).decode(bytes);
  } catch {
    return place.fail('UTF-8', 'bytes that are not');
  }
}

function parseObject(text: string, place: Row): Values {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return place.fail('one JSON object', `${quote(text)} (${(error as Error).message})`);
  }
  return isObject(value) ? value : place.fail('one JSON object', quote(text));
}

/** Split on \n only: other separators, U+2028 for one, may stand inside JSON text. */
async function* readLines(file: string): AsyncGenerator<{readonly number: number; readonly bytes: Buffer}> {
  let number = 1;
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const chunk of readBytes(file)) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      if (number > maxLines) throw tooManyLines(file);
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
  if (restBytes > 0) yield {number, bytes: Buffer.concat(rest)};
}

function tooManyLines(file: string): IlrError {
  return new IlrError('ILR_INVALID_DATA', `${file}: expected at most ${maxLines} lines, got more`);
}
