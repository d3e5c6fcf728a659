import {pairedInterval} from '../statistics.js';
import type {EvalPlan, EvalUnit} from './plan.js';
import type {Comparison, EvalResult} from './report.js';
import type {Vote} from './scores.js';
import {holm, mcnemarTest, permutationTest} from './significance.js';

/** A result with what its numbers are made of, question by question. */
export interface Row {
  readonly result: EvalResult;
  readonly unit: EvalUnit;
  /** [questions] */
  readonly greedy: readonly Vote[];
  /** [questions][samples] */
  readonly sampled: readonly (readonly Vote[])[];
}

/** Every two models in one mode, and every two modes of one model, on one benchmark. */
export function compare(plan: EvalPlan, rows: readonly Row[]): Comparison[] {
  const tests = rows.flatMap((first, i) =>
    rows.slice(i + 1).flatMap((second) => {
      const [a, b] = [first.result, second.result];
      if (a.benchmark !== b.benchmark) return [];
      const isOfModels = a.mode === b.mode && !a.isVote && !b.isVote;
      const isOfModes = a.mode !== b.mode && a.model === b.model && a.isVote === b.isVote;
      if (!isOfModels && !isOfModes) return [];
      return comparePair(plan, isOfModels ? 'models' : 'modes', first, second);
    }),
  );
  const families = [...new Set(tests.map(({family}) => family))];
  const adjusted = new Map(
    families.flatMap((family) => {
      const own = tests.filter((test) => test.family === family);
      const ps = holm(own.map(({p}) => p));
      return own.map((test, i) => [test, ps[i] as number] as const);
    }),
  );
  return tests.map((test) => ({...test, adjustedP: adjusted.get(test) as number}));
}

function comparePair(
  {settings}: EvalPlan,
  kind: 'models' | 'modes',
  first: Row,
  second: Row,
): Omit<Comparison, 'adjustedP'>[] {
  const {samples} = settings;
  const about = (score: string, a: readonly number[], b: readonly number[]) => ({
    family: `${kind}, ${score}`,
    benchmark: first.result.benchmark,
    first: {model: first.result.model, mode: first.result.mode},
    second: {model: second.result.model, mode: second.result.mode},
    score,
    questions: a.length,
    firstHigher: a.filter((value, q) => value > (b[q] as number)).length,
    secondHigher: a.filter((value, q) => value < (b[q] as number)).length,
  });
  const [greedyA, greedyB] = [first.greedy.map(toNumber), second.greedy.map(toNumber)];
  const greedy = about('greedy', greedyA, greedyB);
  const [countsA, countsB] = [first.sampled.map(countCorrect), second.sampled.map(countCorrect)];
  const inShares = (counts: readonly number[]) => counts.map((count) => count / samples);
  return [
    {
      ...greedy,
      test: 'mcnemar' as const,
      difference: pairedInterval(greedyA, greedyB, settings),
      p: mcnemarTest(greedy.firstHigher, greedy.secondHigher),
    },
    ...(samples > 0
      ? [
          {
            ...about(`mean@${samples}`, countsA, countsB),
            test: 'permutation' as const,
            difference: pairedInterval(inShares(countsA), inShares(countsB), settings),
            p: permutationTest(countsA, countsB),
          },
        ]
      : []),
  ];
}

export function toNumber({isCorrect}: Vote): number {
  return isCorrect ? 1 : 0;
}

export function countCorrect(votes: readonly Vote[]): number {
  return votes.filter(({isCorrect}) => isCorrect).length;
}
