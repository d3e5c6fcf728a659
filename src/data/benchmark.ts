import type {CodeTests, Question, Tolerance} from '../types.js';
import type {Reading} from './collect.js';
import {quote, type Row} from './row.js';

export const splits = ['train', 'validation', 'test'] as const;
export type Split = (typeof splits)[number];

/** A data set that is known by name: where its files are, and how a row of them is a question. */
export interface Benchmark {
  /** Also the name of its folder. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** The reward function that grades it. */
  readonly reward: 'math' | 'code';
  /** What a model is asked in place of `dialogue.prompts.share`, where that does not suit; `{question}` is filled in. */
  readonly prompt?: string;
  readonly splits: readonly Split[];
  /** The repository on the Hugging Face hub (`datasets/<repo>`), and the files of it that are read. */
  readonly hub: {readonly repo: string; readonly revision?: string; readonly files: readonly string[]};
  /** Per split, sets of files relative to the folder: each set is a whole layout, and the first that is there is read, file by file. */
  readonly layouts: Readonly<Partial<Record<Split, readonly (readonly string[])[]>>>;
  /** Reads a row of any of the layouts; text: why it is left out, as a warning says it. */
  readonly read: (row: Row, place: RowPlace) => Reading | string;
}

/** Where a row stands in its split, for an id where the set gives none. */
export interface RowPlace {
  readonly split: Split;
  /** Among all rows of the split, from 1. */
  readonly number: number;
  /** The file's path in the folder, and the row's number in it. */
  readonly file: string;
}

/** The parts of a question as a preset finds them. */
export interface Parts {
  readonly id?: unknown;
  readonly text: string;
  readonly answer?: string;
  readonly level?: number;
  readonly subject?: string;
  readonly tolerance?: Tolerance;
  readonly tests?: CodeTests;
}

type Definition = Omit<Benchmark, 'splits' | 'hub' | 'layouts'> & {
  readonly repo: string;
  /** Our own file names (JSON lines) and the hub's, per split. */
  readonly files: Readonly<
    Partial<Record<Split, {readonly local?: readonly string[]; readonly hub?: readonly string[]}>>
  >;
};

export function benchmark({repo, files, ...rest}: Definition): Benchmark {
  const known = splits.filter((split) => files[split] !== undefined);
  return {
    ...rest,
    splits: known,
    hub: {repo, files: known.flatMap((split) => files[split]?.hub ?? [])},
    layouts: Object.fromEntries(
      known.map((split) => [split, [files[split]?.local, files[split]?.hub].filter((layout) => layout !== undefined)]),
    ),
  };
}

/** A question of a preset; without an id of its own it is called by split and place. */
export function reading(row: Row, {split, number}: RowPlace, {id, text, answer = '', ...rest}: Parts): Reading {
  const hasId = (typeof id === 'string' && id.trim() !== '') || typeof id === 'number';
  const question: Question = {
    id: hasId ? String(id).trim() : `${split}/${number}`,
    text,
    answer: answer.trim(),
    ...(rest.level !== undefined && {level: rest.level}),
    ...(rest.subject !== undefined && {subject: rest.subject}),
    ...(rest.tolerance !== undefined && {tolerance: rest.tolerance}),
    ...(rest.tests !== undefined && {tests: rest.tests}),
  };
  return {question, noAnswer: () => row.problem('an answer', quote(answer))};
}
