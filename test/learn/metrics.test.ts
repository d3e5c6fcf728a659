import test from 'ava';
import {finite, updateFigures} from '../../src/learn/metrics.js';
import {updateResult} from '../helpers/update-result.js';

test('figures of minibatches are weighted by their trained tokens, extremes are extremes, counts add up', (t) => {
  const figures = updateFigures([
    updateResult({loss: 1, trainedTokens: 30, ratioMax: 1.1, groups: 4, zeroSpreadGroups: 1, skipped: true}),
    updateResult({loss: 5, trainedTokens: 10, ratioMax: 1.4, groups: 4, zeroSpreadGroups: 3, learningRate: 0.5}),
  ]);
  t.is(figures.loss, 2);
  t.is(figures.ratio_max, 1.4);
  t.is(figures['groups/zero_spread_fraction'], 0.5);
  t.is(figures.skipped_steps, 1);
  t.is(figures['tokens/trained'], 40);
  t.is(figures.learning_rate, 0.5);
});

test('sampler and scorer are compared on the first minibatch: the update behind it has moved the weights', (t) => {
  const figures = updateFigures([
    updateResult({samplerKl: 1e-14, samplerMaxAbsDiff: 5e-7}),
    updateResult({samplerKl: 1e-3, samplerMaxAbsDiff: 0.09}),
  ]);
  t.is(figures['sampler/kl'], 1e-14);
  t.is(figures['sampler/max_abs_diff'], 5e-7);
});

test('a minibatch without a figure does not take it from the others', (t) => {
  const none = {entropy: Number.NaN, ratioMax: Number.NaN};
  const figures = updateFigures([
    updateResult({entropy: 2, ratioMax: 1.2, trainedTokens: 10}),
    updateResult({...none, trainedTokens: 0}),
    updateResult({entropy: 5, ratioMax: 1.1, trainedTokens: 20}),
  ]);
  t.is(figures.entropy, 4);
  t.is(figures.ratio_max, 1.2);
  t.false('entropy' in finite(updateFigures([updateResult(none)])));
  t.false('ratio_max' in finite(updateFigures([updateResult(none)])));
});

test('a figure that is not there is left out', (t) => {
  t.deepEqual(finite({a: Number.NaN, b: undefined, c: 0}), {c: 0});
  t.is(finite(updateFigures([]))['sampler/kl'], undefined);
});
