import {readFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {holm, mcnemarTest, permutationTest} from '../../src/eval/significance.js';
import {packageRoot} from '../../src/native/paths.js';

interface Golden {
  readonly permutation: readonly {first: number[]; second: number[]; p: number}[];
  readonly mcnemar: readonly {onlyFirst: number; onlySecond: number; p: number}[];
}

const file = path.join(packageRoot(), 'test', 'eval', 'golden', 'significance.json');
const golden = JSON.parse(await readFile(file, 'utf8')) as Golden;

/** Relative, down to p-values of 1e-18; both sides sum in float64. */
const isNear = (p: number, expected: number): boolean => Math.abs(p - expected) <= 1e-10 * expected;

for (const {first, second, p} of golden.permutation) {
  test(`the permutation test of ${first} and ${second} is that of SciPy`, (t) => {
    t.true(isNear(permutationTest(first, second), p), `${permutationTest(first, second)} ${p}`);
    t.true(isNear(permutationTest(second, first), p));
  });
}

for (const {onlyFirst, onlySecond, p} of golden.mcnemar) {
  test(`McNemar's test of ${onlyFirst} against ${onlySecond} is SciPy's binomial`, (t) => {
    t.true(isNear(mcnemarTest(onlyFirst, onlySecond), p), `${mcnemarTest(onlyFirst, onlySecond)} ${p}`);
  });
}

test('on scores of 0 and 1 the permutation test is McNemar’s', (t) => {
  const first = [...new Array(9).fill(1), ...new Array(3).fill(0), 1, 1, 0];
  const second = [...new Array(9).fill(0), ...new Array(3).fill(1), 1, 1, 0];
  t.true(isNear(permutationTest(first, second), mcnemarTest(9, 3)));
});

test('the permutation test counts what enumeration counts', (t) => {
  const first = [4, 0, 2, 3, 1, 4, 0, 2, 2];
  const second = [1, 1, 4, 4, 1, 0, 0, 3, 4];
  const differences = first.map((value, i) => (second[i] as number) - value);
  const seen = Math.abs(differences.reduce((a, b) => a + b));
  let extreme = 0;
  for (let signs = 0; signs < 2 ** 9; signs++) {
    const sum = differences.reduce((total, d, i) => total + ((signs >> i) & 1 ? d : -d), 0);
    if (Math.abs(sum) >= seen) extreme++;
  }
  t.true(isNear(permutationTest(first, second), extreme / 2 ** 9));
});

test('equal scores, and no questions, give p = 1', (t) => {
  t.is(permutationTest([1, 2, 3], [1, 2, 3]), 1);
  t.is(permutationTest([], []), 1);
});

test('a test of thousands of questions stays a p-value', (t) => {
  const first = Array.from({length: 3000}, (_, i) => i % 5);
  const p = permutationTest(
    first,
    first.map((value) => value + 4),
  );
  t.true(p >= 0 && p < 1e-300);
});

test('lists of other questions, and scores that are not whole, are refused', (t) => {
  t.throws(() => permutationTest([1], []), {message: /1 and 0 values/});
  t.throws(() => permutationTest([0.5], [0.25]), {message: /-0\.25/});
});

test("Holm's adjusted p-values, by hand", (t) => {
  // sorted 0.01 ·4, 0.02 ·3, 0.03 ·2, 0.5 ·1, each at least the one before
  t.deepEqual(
    holm([0.02, 0.5, 0.01, 0.03]).map((p) => p.toFixed(12)),
    ['0.060000000000', '0.500000000000', '0.040000000000', '0.060000000000'],
  );
  t.deepEqual(holm([0.4, 0.9]), [0.8, 0.9]);
  t.deepEqual(holm([0.7, 0.6]), [1, 1]);
  t.deepEqual(holm([]), []);
});
