import type {CodeTests} from '../types.js';
import {readRow} from './grade-input.js';

export const fieldNames = ['tests', 'answer', 'entry_point', 'setup', 'prefix'] as const;
type FieldName = (typeof fieldNames)[number];

/** Where the fields stand, in place of their own names. */
export type FieldNames = Readonly<Partial<Record<FieldName, string>>>;

/** What a line asks for. */
export interface CodeJob {
  readonly tests: CodeTests;
  readonly answer: string;
}

/** Or what is wrong with the line. */
export function readJob(line: string, names: FieldNames): CodeJob | string {
  const row = readRow(line);
  if (typeof row === 'string') return row;
  const get = (field: FieldName) => {
    const name = names[field] ?? field;
    return Object.hasOwn(row, name) && row[name] !== null ? row[name] : undefined;
  };
  const problem = (field: FieldName, expected: string) =>
    `expected ${expected} in "${names[field] ?? field}"; --field ${field}=<name> names another field`;
  const [asserts, answer, setup] = [textsOf(get('tests')), get('answer'), textsOf(get('setup') ?? [])];
  const [entryPoint, prefix] = [get('entry_point'), get('prefix')];
  if (asserts === undefined || asserts.length === 0) return problem('tests', 'text or a list of texts');
  if (typeof answer !== 'string') return problem('answer', 'text');
  if (setup === undefined) return problem('setup', 'text or a list of texts');
  if (entryPoint !== undefined && typeof entryPoint !== 'string') return problem('entry_point', 'text');
  if (prefix !== undefined && typeof prefix !== 'string') return problem('prefix', 'text');
  const tests = {
    asserts,
    ...(setup.length > 0 && {setup: setup.join('\n')}),
    ...(entryPoint !== undefined && {entryPoint}),
    ...(prefix !== undefined && {prefix}),
  };
  return {tests, answer};
}

function textsOf(value: unknown): readonly string[] | undefined {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;
}
