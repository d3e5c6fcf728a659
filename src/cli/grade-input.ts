import {once} from 'node:events';
import {createReadStream} from 'node:fs';
import type {Readable, Writable} from 'node:stream';
import {IlrError} from '../errors.js';
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

/** An object of a JSON line, or what is wrong with the line. */
export function readRow(line: string): Readonly<Record<string, unknown>> | string {
  let row: unknown;
  try {
    row = JSON.parse(line);
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
