import {once} from 'node:events';
import {createReadStream} from 'node:fs';
import type {Readable, Writable} from 'node:stream';
import {StringDecoder} from 'node:string_decoder';
import {IlrError, messageOf} from '../errors.js';
import {jsonText} from './terminal.js';

/** A file, or standard input where none is named. @throws IlrError `ILR_IO` */
export async function openInput(file: string | undefined): Promise<Readable> {
  if (file === undefined) return process.stdin;
  const stream = createReadStream(file);
  await new Promise((resolve, reject) => {
    stream.once('open', resolve);
    stream.once('error', (cause) =>
      reject(new IlrError('ILR_IO', `${file}: could not be read: ${cause.message}`, {cause})),
    );
  });
  return stream;
}

/** Of a longer line the rest is dropped, so that it is no JSON: an endless one would fill the memory. */
const maxLine = 2 ** 24;

/** Lines end with \n alone: readline takes U+2028, which may stand in a JSON text, for an end too. @throws IlrError `ILR_IO` */
export async function* readLines(input: Readable): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let line = '';
  try {
    for await (const chunk of input) {
      const [first = '', ...others] = (typeof chunk === 'string' ? chunk : decoder.write(chunk)).split('\n');
      line += first.slice(0, maxLine - line.length);
      for (const next of others) {
        yield line;
        line = next;
      }
    }
  } catch (cause) {
    throw new IlrError('ILR_IO', `The input could not be read: ${messageOf(cause)}`, {cause});
  }
  line += decoder.end();
  if (line !== '') yield line;
}

/** An object of a JSON line, or what is wrong with the line. */
export function readRow(line: string): Readonly<Record<string, unknown>> | string {
  let row: unknown;
  try {
    row = JSON.parse(line.replace(/^\ufeff/, ''));
  } catch (error) {
    return `expected a JSON object, got: ${(error as Error).message}`;
  }
  if (typeof row !== 'object' || row === null || Array.isArray(row)) return 'expected a JSON object';
  return row as Readonly<Record<string, unknown>>;
}

/** Waits where the reader is slower. */
export async function writeLine(output: Writable, value: unknown): Promise<void> {
  if (!output.write(`${jsonText(value)}\n`)) await once(output, 'drain');
}
