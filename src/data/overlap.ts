import type {Question} from '../types.js';

/** A question that is in both sets: the same but for case, blanks and punctuation, or nearly the same. */
export interface SharedQuestion {
  readonly id: string;
  /** In the other set. */
  readonly other: string;
  /** Jaccard similarity of their runs of five words; 1 where the words are the same. */
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
/** Sets made to be slow apart, nobody's question has as many that share its rarest words. */
const maxCandidates = 500;

/**
Which questions stand in another set too. Exact up to the threshold: candidates come from an index of each question's rarest runs of words (prefix
filtering, as in all-pairs similarity search), so that the time grows with the sets, not with their product.
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
    const examples = [...same, ...[...near].sort((a, b) => b.similarity - a.similarity)].slice(0, 3);
    return [
      `${same.length} of ${questions.length} ${name} questions are among the training questions too, and ${near.length} nearly so ` +
        `(${name} ≈ training: ${examples.map(describe).join('; ')}). What is measured with them is no test.`,
    ];
  });
}

function describe({id, other, similarity}: SharedQuestion): string {
  return `${id} ≈ ${other}${similarity === 1 ? ', the same words' : `, ${Math.round(100 * similarity)} %`}`;
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
  // Two sets of a similarity of at least t share a run among their first |set| - ceil(t·|set|) + 1.
  const prefix = (runs: readonly number[]) => runs.slice(0, runs.length - Math.ceil(threshold * runs.length) + 1);

  const index = new Map<number, number[]>();
  const sets = others.map(({runs}) => new Set(runs));
  for (const [i, {runs}] of others.entries()) {
    if (runs.length < minRuns) continue;
    for (const run of prefix(rarestFirst(runs))) {
      const list = index.get(run);
      if (list === undefined) index.set(run, [i]);
      else list.push(i);
    }
  }
  return questions.flatMap(({id, runs}) => {
    if (runs.length < minRuns) return [];
    const candidates = new Set<number>();
    for (const run of prefix(rarestFirst(runs)))
      for (const i of index.get(run) ?? []) if (candidates.size < maxCandidates) candidates.add(i);
    let best: SharedQuestion | undefined;
    for (const i of candidates) {
      const similarity = jaccard(runs, sets[i] as ReadonlySet<number>);
      if (similarity >= threshold && similarity > (best?.similarity ?? 0))
        best = {id, other: (others[i] as Shingled).id, similarity};
    }
    return best === undefined ? [] : [best];
  });
}

function frequencies(sets: readonly Shingled[]): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const {runs} of sets) for (const run of runs) counts.set(run, (counts.get(run) ?? 0) + 1);
  return counts;
}

function jaccard(runs: readonly number[], other: ReadonlySet<number>): number {
  let shared = 0;
  for (const run of runs) if (other.has(run)) shared++;
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
