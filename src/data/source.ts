import {existsSync} from 'node:fs';
import path from 'node:path';
import type {Env} from '../cache.js';
import {nearest} from '../config-keys.js';
import {IlrError} from '../errors.js';
import {type Benchmark, type Split, splits} from './benchmark.js';
import {benchmarkNames, findBenchmark, isBenchmark, readBenchmark} from './benchmarks.js';
import {type QuestionFile, type QuestionFormat, readQuestions} from './questions.js';

export interface SourceOptions {
  /** Of files; data sets that are named know theirs. */
  readonly format: QuestionFormat;
  /** Of a data set that is named without one. */
  readonly split: Split;
  /** Where data sets that are named lie; `$ILR_DATA`, then the cache, when left out. */
  readonly folder?: string;
  readonly env: Env;
}

/** A data set by name, `gsm8k` or `math:train`; what has an ending or a path is a file. */
export function isNamed(source: string): boolean {
  return parseName(source) !== undefined;
}

/**
The questions of a file, or of a data set by name.

@throws IlrError `ILR_INVALID_ARGUMENT` on an unknown split, `ILR_IO` with the nearest known name for a word that is no file; else as `readQuestions` and `readBenchmark`.
*/
export async function readSource(source: string, {format, split, folder, env}: SourceOptions): Promise<QuestionFile> {
  const named = parseName(source);
  if (named === undefined) return readFile(source, format);
  return readBenchmark(named.benchmark.name, {split: named.split ?? split, folder, env});
}

/** A word without ending or path that is no file was meant for a data set. */
async function readFile(source: string, format: QuestionFormat): Promise<QuestionFile> {
  // A configuration's file has been given its folder.
  const [, word] = /^([\w-]+)(?::\w*)?$/.exec(path.basename(source)) ?? [];
  if (word !== undefined && !existsSync(source)) {
    const near = nearest(word, benchmarkNames);
    throw new IlrError(
      'ILR_IO',
      `${JSON.stringify(source)} is neither a file nor a data set that is known by name` +
        `${near === undefined ? ` (${benchmarkNames.join(', ')})` : `. Did you mean ${near}?`}`,
    );
  }
  return readQuestions(source, format);
}

/** The data set that a source names; undefined for a file. */
export function benchmarkOf(source: string): Benchmark | undefined {
  return parseName(source)?.benchmark;
}

function parseName(source: string): {readonly benchmark: Benchmark; readonly split?: Split} | undefined {
  const [, name = '', split] = /^([\w-]+)(?::(\w*))?$/.exec(source) ?? [];
  if (!isBenchmark(name)) return undefined;
  const benchmark = findBenchmark(name);
  if (split === undefined) return {benchmark};
  const known = splits.find((each) => each === split);
  if (known !== undefined && benchmark.splits.includes(known)) return {benchmark, split: known};
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `Expected ${benchmark.splits.map((each) => `${benchmark.name}:${each}`).join(' or ')}, got ${JSON.stringify(source)}.`,
  );
}
