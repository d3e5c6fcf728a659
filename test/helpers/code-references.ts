import {readFileSync} from 'node:fs';
import type {CodeTests} from '../../src/types.js';
import {sharedPath} from './shared.js';

/** A task of a public set with the program that its authors wrote. */
export interface Reference {
  readonly id: string;
  readonly tests: CodeTests;
  readonly program: string;
}

type Row = Readonly<Record<string, string>> & {
  readonly test_list: readonly string[];
  readonly test_imports: readonly string[];
};

function rows(set: string, split: string): readonly Row[] {
  const file = sharedPath('data', set, `${split}.jsonl`);
  if (!file) throw new Error(`no ${set}/${split}.jsonl`);
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const both = (set: string) => ['train', 'test'].flatMap((split) => rows(set, split));

/** Undefined where ../shared is not there. */
export function references(set: 'mbpp' | 'mbpp_sanitized' | 'humaneval'): readonly Reference[] | undefined {
  if (!sharedPath('data', set)) return undefined;
  if (set === 'humaneval') {
    return rows(set, 'test').map((row) => ({
      id: String(row.task_id),
      tests: {asserts: [row.test as string], entryPoint: row.entry_point, prefix: row.prompt},
      program: `${row.prompt}${row.canonical_solution}`,
    }));
  }
  return both(set).map((row) => ({
    id: String(row.task_id),
    tests: {asserts: row.test_list, setup: row.test_setup_code ?? row.test_imports.join('\n')},
    program: row.code as string,
  }));
}

/** Ways to make a right program wrong: appended to it, they replace the functions of the given names. */
export const spoilers = {
  none: (names: readonly string[]) => names.map((name) => `${name} = lambda *a, **k: None`).join('\n'),
  word: (names: readonly string[]) => names.map((name) => `${name} = lambda *a, **k: "no answer"`).join('\n'),
  number: (names: readonly string[]) => names.map((name) => `${name} = lambda *a, **k: -987654321`).join('\n'),
  changed: (names: readonly string[]) => `
def __change(value):
    if isinstance(value, bool): return not value
    if isinstance(value, (int, float, complex)): return value + 1 + abs(value) / 100
    if isinstance(value, str): return value + "x"
    if isinstance(value, list): return value + [None]
    if isinstance(value, tuple): return value + (None,)
    if isinstance(value, dict): return dict(value, x=None)
    if isinstance(value, set): return value | {"x"}
    return 0 if value is None else None
def __wrap(f):
    return lambda *a, **k: __change(f(*a, **k))
${names.map((name) => `${name} = __wrap(${name})`).join('\n')}`,
} as const;
