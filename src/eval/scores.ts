import {IlrError} from '../errors.js';

/** Scores of one question from its n sampled answers. */

/**
The unbiased estimate of the chance that at least one of k answers is right, from n answers of which c are.

@returns 1 − C(n−c, k) / C(n, k), as a product, so that nothing overflows.
@throws IlrError `ILR_INVALID_ARGUMENT` unless 1 ≤ k ≤ n and 0 ≤ c ≤ n, whole numbers.

Chen et al., Evaluating Large Language Models Trained on Code, arXiv 2107.03374, Eq. 1.
*/
export function passAtK(n: number, c: number, k: number): number {
  if (![n, c, k].every(Number.isSafeInteger) || k < 1 || k > n || c < 0 || c > n)
    throw new IlrError('ILR_INVALID_ARGUMENT', `Expected 1 ≤ k ≤ n and 0 ≤ c ≤ n, got n ${n}, c ${c}, k ${k}.`);
  if (n - c < k) return 1;
  let missed = 1;
  for (let i = n - c + 1; i <= n; i++) missed *= 1 - k / i;
  return 1 - missed;
}

export interface Vote {
  /** Left out where no answer was found: it votes for nothing. */
  readonly answer?: string;
  readonly isCorrect: boolean;
}

/**
Self-consistency (arXiv 2203.11171): the answer that most votes say.

@param sameAnswer - Whether two answers say the same; each vote joins the first class whose first answer it equals.
@returns the first vote of the largest class; of classes of one size the one that was seen first; undefined where no vote has an answer.
*/
export function majority<T extends Vote>(
  votes: readonly T[],
  sameAnswer: (a: string, b: string) => boolean = (a, b) => a === b,
): T | undefined {
  const classes: {readonly first: T; readonly answer: string; size: number}[] = [];
  for (const vote of votes) {
    const {answer} = vote;
    if (answer === undefined) continue;
    const known = classes.find((each) => each.answer === answer || sameAnswer(each.answer, answer));
    if (known) known.size++;
    else classes.push({first: vote, answer, size: 1});
  }
  const largest = Math.max(...classes.map(({size}) => size));
  return classes.find(({size}) => size === largest)?.first;
}
