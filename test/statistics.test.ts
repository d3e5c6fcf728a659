import test from 'ava';
import {mean, meanInterval, midRanks, pairedInterval, spearman} from '../src/statistics.js';

test('mid-ranks share the mean of their places', (t) => {
  t.deepEqual(midRanks([3, 1, 1, 2]), [4, 1.5, 1.5, 3]);
  t.deepEqual(midRanks([5, 5, 5]), [2, 2, 2]);
  t.deepEqual(midRanks([]), []);
});

test('spearman is ±1 for monotone lists, and the hand-worked value with ties', (t) => {
  t.is(spearman([1, 2, 3], [10, 100, 1000]), 1);
  t.is(spearman([1, 2, 3], [3, 2, 1]), -1);
  // ranks [1, 2.5, 2.5, 4] and [1, 2, 3, 4]: 4.5 / sqrt(4.5 · 5)
  t.is(spearman([1, 2, 2, 3], [1, 2, 3, 4]).toFixed(12), (4.5 / Math.sqrt(22.5)).toFixed(12));
  t.is(spearman([1, 1, 1], [1, 2, 3]), Number.NaN);
  t.throws(() => spearman([1], [1, 2]), {message: /1 and 2 values/});
});

test('the interval of equal values is that value', (t) => {
  t.deepEqual(meanInterval([0.5, 0.5, 0.5], {seed: 1}), {mean: 0.5, low: 0.5, high: 0.5});
});

test('the interval of a coin has the width of the normal approximation', (t) => {
  const values = Array.from({length: 400}, (_, i) => i % 2);
  const {low, high} = meanInterval(values, {seed: 1});
  // 1.96 · sqrt(0.25 / 400) = 0.049; means come in steps of 1/400, and 10,000 resamples leave a few of them
  t.true(Math.abs(low - 0.451) < 0.006, `${low}`);
  t.true(Math.abs(high - 0.549) < 0.006, `${high}`);
});

test('pairs narrow an interval, and a seed repeats it', (t) => {
  const before = Array.from({length: 100}, (_, i) => i % 2);
  const after = before.map((value, i) => (i < 10 ? 1 : value));
  const paired = pairedInterval(before, after, {seed: 3});
  t.is(paired.mean.toFixed(12), '0.050000000000');
  t.true(paired.low > 0 && paired.high < 0.11);
  t.deepEqual(pairedInterval(before, after, {seed: 3}), paired);
  t.throws(() => pairedInterval([1], [], {seed: 3}), {message: /1 and 0 values/});
  t.is(mean([]), Number.NaN);
});
