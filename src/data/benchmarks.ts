import {stat} from 'node:fs/promises';
import path from 'node:path';
import {datasetsFolder, type Env} from '../cache.js';
import {IlrError} from '../errors.js';
import type {Benchmark, Split} from './benchmark.js';
import {Collector, type QuestionFile} from './collect.js';
import {codeBenchmarks} from './presets/code.js';
import {mathsBenchmarks} from './presets/maths.js';
import {scienceBenchmarks} from './presets/science.js';
import {readRows} from './rows.js';

export type {Benchmark, Split} from './benchmark.js';

export const benchmarks: readonly Benchmark[] = [...mathsBenchmarks, ...codeBenchmarks, ...scienceBenchmarks];
export const benchmarkNames: readonly string[] = benchmarks.map(({name}) => name);

/** Names in other spellings too: `MATH-500`, `mmlu-stem`. */
const byKey: ReadonlyMap<string, Benchmark> = new Map(benchmarks.map((each) => [keyOf(each.name), each]));

export function isBenchmark(name: string): boolean {
  return byKey.has(keyOf(name));
}

/** @throws IlrError `ILR_INVALID_ARGUMENT` that lists the names. */
export function findBenchmark(name: string): Benchmark {
  const found = byKey.get(keyOf(name));
  if (found !== undefined) return found;
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `Expected a data set of ${benchmarkNames.join(', ')}, got ${JSON.stringify(name)}. A file is named with its ending or a path.`,
  );
}

export interface BenchmarkOptions {
  /** `test` when left out. */
  readonly split?: Split;
  /** The folder that holds the set's own; `$ILR_DATA`, then the cache, where `pull` puts it, when left out. */
  readonly folder?: string;
  readonly env: Env;
}

/**
The questions of a split, from the files of any layout that is there: JSON lines `<split>.jsonl`, or the files of the hub's repository.

@throws IlrError `ILR_INVALID_ARGUMENT` on an unknown name or split; `ILR_IO` where the set is not there, with the command that gets it;
`ILR_INVALID_DATA` that names file and row.
*/
export async function readBenchmark(
  name: string,
  {split = 'test', folder, env}: BenchmarkOptions,
): Promise<QuestionFile> {
  const found = findBenchmark(name);
  const layouts = found.layouts[split];
  // Only some sets have a split to train on.
  if (layouts === undefined)
    throw new IlrError(
      'ILR_INVALID_ARGUMENT',
      `Expected a split of ${found.name} that it has, ${found.splits.map((each) => `${found.name}:${each}`).join(' or ')}, got ${JSON.stringify(split)}.`,
    );
  const place = await findFiles(found, split, {folder, env});
  if (place === undefined) throw missing(found, split, foldersOf(found.name, folder, env));
  return readFiles(found, split, place.folder, place.files);
}

/** Whether the files of a split are there. */
export async function isThere(name: string, {split = 'test', folder, env}: BenchmarkOptions): Promise<boolean> {
  return (await findFiles(findBenchmark(name), split, {folder, env})) !== undefined;
}

async function findFiles(
  {name, layouts}: Benchmark,
  split: Split,
  {folder, env}: BenchmarkOptions,
): Promise<{readonly folder: string; readonly files: readonly string[]} | undefined> {
  for (const own of foldersOf(name, folder, env)) {
    for (const files of layouts[split] ?? []) if (await areThere(own, files)) return {folder: own, files};
  }
  return undefined;
}

/** Where a set of this name is looked for. */
function foldersOf(name: string, folder: string | undefined, env: Env): string[] {
  const roots = folder === undefined ? [...(env.ILR_DATA ? [env.ILR_DATA] : []), datasetsFolder(env)] : [folder];
  return roots.map((root) => path.resolve(root, name));
}

async function readFiles(
  found: Benchmark,
  split: Split,
  folder: string,
  files: readonly string[],
): Promise<QuestionFile> {
  const collector = new Collector();
  let number = 0;
  for (const file of files) {
    for await (const row of readRows(path.join(folder, file))) {
      const result = found.read(row, {split, number: ++number, file});
      if (typeof result === 'string') collector.leaveOut(result);
      else collector.add(row, result);
    }
  }
  return collector.finish(`${found.name}:${split}`);
}

async function areThere(folder: string, files: readonly string[]): Promise<boolean> {
  const there = await Promise.all(
    files.map((file) =>
      stat(path.join(folder, file)).then(
        (info) => info.isFile(),
        () => false,
      ),
    ),
  );
  return there.every(Boolean);
}

function missing({name, layouts}: Benchmark, split: Split, folders: readonly string[]): IlrError {
  const wanted = (layouts[split] ?? []).map(
    ([first, ...more]) => `${first}${more.length > 0 ? ` and ${more.length} more` : ''}`,
  );
  return new IlrError(
    'ILR_IO',
    `Expected the split ${split} of ${name} (${wanted.join(', or ')}) in ${folders.join(' or ')}, found nothing. ` +
      `Get it with: ilr-native pull ${name}. Or name the folder that holds ${name}/ with ILR_DATA, or with data.folder in a configuration (--data-folder of eval, --folder of data).`,
  );
}

function keyOf(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '');
}
