import {IlrError} from '../errors.js';

/** Paired tests between two models on the same questions, and the correction for many of them. */

/**
The exact paired permutation (sign-flip) test: under the null hypothesis each question's two scores are exchangeable, so all 2^n ways to
swap them are equally likely. All of them are counted, through the distribution of the sum, so nothing is drawn.

@param first - [questions] scores in whole units, such as the number of right answers among k.
@param second - [questions] in the same units.
@returns two-sided p: the share of swaps whose difference of sums is at least as large in size as the one seen. 1 for no questions.
@throws IlrError `ILR_INVALID_ARGUMENT` for lists of different lengths, or a score that is not a whole number.

Fisher, The Design of Experiments (1935), §21; counted as Pagano and Tritchler, JASA 78 (1983), do. Time and memory grow with the sum of the differences.
*/
export function permutationTest(first: readonly number[], second: readonly number[]): number {
  requirePairs(first, second);
  const differences = first.map((value, i) => (second[i] as number) - value);
  const odd = differences.find((difference) => !Number.isSafeInteger(difference));
  if (odd !== undefined)
    throw new IlrError('ILR_INVALID_ARGUMENT', `Expected scores in whole units, got a difference of ${odd}.`);
  const sizes = differences.map(Math.abs).filter((size) => size > 0);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const seen = Math.abs(differences.reduce((sum, difference) => sum + difference, 0));
  const shares = subsetSumShares(sizes, total);
  // A subset with sum u that keeps its sign leaves a difference of 2u − total.
  return shares.reduce((p, share, u) => (Math.abs(2 * u - total) >= seen ? p + share : p), 0);
}

/** [total+1] share of the 2^n subsets of `sizes` that have each sum. */
function subsetSumShares(sizes: readonly number[], total: number): Float64Array {
  const shares = new Float64Array(total + 1);
  shares[0] = 1;
  let reached = 0;
  for (const size of sizes) {
    reached += size;
    for (let sum = reached; sum >= 0; sum--)
      shares[sum] = 0.5 * ((shares[sum] as number) + (sum >= size ? (shares[sum - size] as number) : 0));
  }
  return shares;
}

/**
McNemar's exact test of two lists of right and wrong: of the questions that only one gets right, either should have half.

@param onlyFirst - Questions that only the first gets right.
@param onlySecond - Questions that only the second gets right.
@returns two-sided p of the binomial with chance 1/2: twice the smaller tail, at most 1.

McNemar, Psychometrika 12 (1947). It is the permutation test of scores 0 and 1.
*/
export function mcnemarTest(onlyFirst: number, onlySecond: number): number {
  const n = onlyFirst + onlySecond;
  let logTerm = -n * Math.LN2;
  let tail = 0;
  for (let i = 0; i <= Math.min(onlyFirst, onlySecond); i++) {
    if (i > 0) logTerm += Math.log((n - i + 1) / i);
    tail += Math.exp(logTerm);
  }
  return Math.min(1, 2 * tail);
}

/**
Holm's step-down correction: adjusted p-values that keep the chance of any false alarm among the tests at the level they are compared with.

@param ps - The p-values of one family.
@returns as many, in the same order: the running maximum, from the smallest p on, of p times the number of tests not yet passed, at most 1.

Holm, Scandinavian Journal of Statistics 6 (1979).
*/
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).sort((a, b) => (ps[a] as number) - (ps[b] as number));
  const adjusted = new Array<number>(ps.length);
  let largest = 0;
  order.forEach((i, rank) => {
    largest = Math.max(largest, Math.min(1, (ps[i] as number) * (ps.length - rank)));
    adjusted[i] = largest;
  });
  return adjusted;
}

function requirePairs(first: readonly number[], second: readonly number[]): void {
  if (first.length === second.length) return;
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `Expected two lists of the same questions, got ${first.length} and ${second.length} values.`,
  );
}
