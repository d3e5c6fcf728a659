import type {Question} from '../types.js';

/** A question that is in both sets: the same but for case, blanks and punctuation, or nearly the same. */
export interface SharedQuestion {
  readonly id: string;
  /** In the other set. */
  readonly other: string;
  /** Share of the runs of five words that both have: of all that one of them has, or, where the shorter is nearly whole in the longer, of the shorter's. */
  readonly similarity: number;
}

/** Per question of the first set, its nearest of the other. */
export interface Overlap {
  readonly same: readonly SharedQuestion[];
  readonly near: readonly SharedQuestion[];
}

export interface OverlapOptions {
  /** From this similarity on two questions are nearly the same. */
  readonly threshold?: number;
}

const runLength = 5;
const minRuns = 6;
/** A question of so many runs is found in a longer one too, such as with options below it. */
const minContainedRuns = 12;
const containment = 0.9;
/** Sets made to be slow apart, nobody's question has as many that share its rarest words. */
const maxCandidates = 500;

/**
Which questions stand in another set too. None is missed: two that are similar share one of the rarest runs of either (prefix filtering, as in
all-pairs similarity search), so that few are compared, and the time grows with the sets, not with their product.

@param options.threshold - From 0 to 0.9.
*/
export function findOverlap(
  questions: readonly Question[],
  others: readonly Question[],
  {threshold = 0.7}: OverlapOptions = {},
): Overlap {
  const known = new Map<string, string>();
  const [mine, theirs] = [questions.map(wordsOf), others.map(wordsOf)];
  for (const [i, words] of theirs.entries()) {
    const key = words.join(' ');
    if (!known.has(key)) known.set(key, (others[i] as Question).id);
  }
  const same: SharedQuestion[] = [];
  const rest: Shingled[] = [];
  for (const [i, words] of mine.entries()) {
    const {id} = questions[i] as Question;
    const other = known.get(words.join(' '));
    if (other === undefined) rest.push({id, runs: runsOf(words)});
    else same.push({id, other, similarity: 1});
  }
  const base = theirs.map((words, i) => ({id: (others[i] as Question).id, runs: runsOf(words)}));
  return {same, near: nearPairs(rest, base, threshold)};
}

/** Questions of a set with the words of an earlier one of it. */
export function findRepeated(questions: readonly Question[]): SharedQuestion[] {
  const known = new Map<string, string>();
  return questions.flatMap((question) => {
    const key = wordsOf(question).join(' ');
    const earlier = known.get(key);
    if (earlier !== undefined) return [{id: question.id, other: earlier, similarity: 1}];
    known.set(key, question.id);
    return [];
  });
}

/** What a reader is told of questions that are trained on and tested with; one line each for validation and test. */
export function overlapWarnings(
  train: readonly Question[],
  tested: Readonly<Record<string, readonly Question[] | undefined>>,
): string[] {
  return Object.entries(tested).flatMap(([name, questions = []]) => {
    const {same, near} = findOverlap(questions, train);
    if (same.length + near.length === 0) return [];
    const examples = [...same.map(describeSame), ...nearestFirst(near).map(describeNear)].slice(0, 3);
    return [
      `${same.length} of ${questions.length} ${name} questions are among the training questions too, and ${near.length} nearly so ` +
        `(${name} ≈ training: ${examples.join('; ')}). What is measured with them is no test.`,
    ];
  });
}

/** For messages and tables. */
export function describeSame({id, other}: SharedQuestion): string {
  return `${id} ≈ ${other}, the same words`;
}

export function describeNear({id, other, similarity}: SharedQuestion): string {
  return `${id} ≈ ${other}, ${Math.round(100 * similarity)} %`;
}

export function nearestFirst(pairs: readonly SharedQuestion[]): SharedQuestion[] {
  return [...pairs].sort((a, b) => b.similarity - a.similarity);
}

interface Shingled {
  readonly id: string;
  /** Hashes of its runs of words, each once. */
  readonly runs: readonly number[];
}

function nearPairs(questions: readonly Shingled[], others: readonly Shingled[], threshold: number): SharedQuestion[] {
  const frequency = frequencies([...questions, ...others]);
  const rarestFirst = (runs: readonly number[]) =>
    [...runs].sort((a, b) => (frequency.get(a) as number) - (frequency.get(b) as number) || a - b);
  // What shares at least t of a set's runs has one of its first |set| - ceil(t·|set|) + 1.
  const prefix = (runs: readonly number[]) => runs.slice(0, runs.length - Math.ceil(threshold * runs.length) + 1);

  const sets = others.map(({runs}) => new Set(runs));
  const sorted = others.map(({runs}) => (runs.length < minRuns ? [] : rarestFirst(runs)));
  const byRarest = indexOf(sorted.map(prefix));
  const byAny = indexOf(sorted);
  return questions.flatMap(({id, runs}) => {
    if (runs.length < minRuns) return [];
    const candidates = new Set<number>();
    const look = (index: ReadonlyMap<number, readonly number[]>, run: number) => {
      for (const i of index.get(run) ?? []) if (candidates.size < maxCandidates) candidates.add(i);
    };
    const own = rarestFirst(runs);
    for (const run of prefix(own)) look(byAny, run);
    for (const run of own) look(byRarest, run);
    let best: SharedQuestion | undefined;
    for (const i of candidates) {
      const similarity = similarityOf(runs, sets[i] as ReadonlySet<number>);
      if (similarity >= threshold && similarity > (best?.similarity ?? 0))
        best = {id, other: (others[i] as Shingled).id, similarity};
    }
    return best === undefined ? [] : [best];
  });
}

function indexOf(lists: readonly (readonly number[])[]): ReadonlyMap<number, readonly number[]> {
  const index = new Map<number, number[]>();
  for (const [i, runs] of lists.entries()) {
    for (const run of runs) {
      const list = index.get(run);
      if (list === undefined) index.set(run, [i]);
      else list.push(i);
    }
  }
  return index;
}

function frequencies(sets: readonly Shingled[]): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const {runs} of sets) for (const run of runs) counts.set(run, (counts.get(run) ?? 0) + 1);
  return counts;
}

function similarityOf(runs: readonly number[], other: ReadonlySet<number>): number {
  let shared = 0;
  for (const run of runs) if (other.has(run)) shared++;
  const shorter = Math.min(runs.length, other.size);
  if (shorter >= minContainedRuns && shared >= containment * shorter) return shared / shorter;
  return shared / (runs.length + other.size - shared);
}

/** Words, numbers and the signs of formulas, in lower case; blanks, punctuation and the dollars and spaces of LaTeX go. */
function wordsOf({text}: Question): readonly string[] {
  return (
    text
      .normalize('NFKC')
      .toLowerCase()
      .replace(/\\(?:left|right|displaystyle|quad|[,;!: ])/g, ' ')
      .match(/\p{L}+|\p{N}+|[^\s\p{L}\p{N}.,;:!?'"`’‘“”$\\{}~()]/gu) ?? []
  );
}

function runsOf(words: readonly string[]): readonly number[] {
  const runs = new Set<number>();
  for (let i = 0; i + runLength <= words.length; i++) runs.add(hash(words, i));
  return [...runs];
}

/** FNV-1a of a run of words, 32 bits: two different runs rarely meet, and then move a similarity by one run. */
function hash(words: readonly string[], from: number): number {
  let value = 0x811c9dc5;
  for (let i = from; i < from + runLength; i++) {
    const word = words[i] as string;
    for (let k = 0; k < word.length; k++) value = Math.imul(value ^ word.charCodeAt(k), 0x01000193);
    value = Math.imul(value ^ 0x20, 0x01000193);
  }
  return value >>> 0;
}
