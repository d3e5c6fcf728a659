import type {Question} from '../types.js';
import {findRepeated, type Overlap, type SharedQuestion} from './overlap.js';

/** What a set of questions holds. */
export interface DataDescription {
  readonly source: string;
  readonly rows: number;
  readonly questions: number;
  readonly warnings: readonly string[];
  /** Questions by level and by subject; empty where the set has none. */
  readonly levels: Readonly<Record<string, number>>;
  readonly subjects: Readonly<Record<string, number>>;
  /** Of the text, in characters. */
  readonly length: {readonly median: number; readonly longest: number};
  readonly first: readonly Question[];
  /** Questions with the words of an earlier one. */
  readonly repeated: readonly SharedQuestion[];
  /** What the reward function cannot grade; undefined where nobody asked it. */
  readonly ungradable?: {
    readonly reward: string;
    readonly questions: readonly {readonly id: string; readonly answer: string}[];
  };
  readonly overlaps: readonly (Overlap & {readonly against: string; readonly questions: number})[];
}

export function describeQuestions(questions: readonly Question[], shown: number) {
  const lengths = questions.map(({text}) => text.length).sort((a, b) => a - b);
  return {
    questions: questions.length,
    levels: countBy(questions.map(({level}) => level?.toString())),
    subjects: countBy(questions.map(({subject}) => subject)),
    length: {median: lengths[Math.floor(lengths.length / 2)] ?? 0, longest: lengths.at(-1) ?? 0},
    first: questions.slice(0, shown),
    repeated: findRepeated(questions),
  };
}

function countBy(values: readonly (string | undefined)[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  const byName = [...counts].sort(([a], [b]) => a.localeCompare(b, 'en', {numeric: true}));
  return Object.fromEntries(byName);
}
