import {readFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {majority, passAtK} from '../../src/eval/scores.js';
import {packageRoot} from '../../src/native/paths.js';

const file = path.join(packageRoot(), 'test', 'eval', 'golden', 'significance.json');
const golden = JSON.parse(await readFile(file, 'utf8')) as {
  readonly passAtK: readonly {n: number; c: number; k: number; value: number}[];
};

test('pass@k is the share of the subsets of k answers that hold a right one', (t) => {
  for (const {n, c, k, value} of golden.passAtK)
    t.true(Math.abs(passAtK(n, c, k) - value) < 1e-14, `n ${n} c ${c} k ${k}`);
});

test('pass@1 is the share that is right, and large n does not overflow', (t) => {
  t.true(Math.abs(passAtK(10, 3, 1) - 0.3) < 1e-15);
  t.is(passAtK(4, 1, 4), 1);
  // two right of 10,000: 1 − (9,900 · 9,899) / (10,000 · 9,999)
  t.true(Math.abs(passAtK(10_000, 2, 100) - (1 - (9900 * 9899) / (10_000 * 9999))) < 1e-12);
});

test('pass@k of more answers than there are is refused', (t) => {
  for (const [n, c, k] of [
    [4, 1, 5],
    [4, 5, 1],
    [4, 1, 0],
    [4, -1, 1],
    [4, 0.5, 1],
  ] as const)
    t.throws(() => passAtK(n, c, k), {code: 'ILR_INVALID_ARGUMENT'});
});

const vote = (answer: string | undefined, isCorrect = false) => ({answer, isCorrect});

test('the majority is the largest class of answers that say the same', (t) => {
  const same = (a: string, b: string) => Number(a) === Number(b);
  const votes = [vote('1'), vote('2', true), vote('2.0', true), vote('1'), vote('02', true)];
  t.is(majority(votes, same), votes[1]);
  t.is(majority(votes), votes[0]); // by text the two ones win
});

test('of classes of one size the first one seen wins, and no answer is no vote', (t) => {
  const votes = [vote(undefined), vote('b'), vote('a'), vote('a'), vote('b'), vote(undefined), vote(undefined)];
  t.is(majority(votes), votes[1]);
  t.is(majority([vote(undefined), vote(undefined)]), undefined);
  t.is(majority([]), undefined);
});
