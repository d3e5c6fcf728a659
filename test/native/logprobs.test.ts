import test from 'ava';
import {tinyPolicy} from '../helpers/native.js';
import {largestDifference, ragged, score, sum} from '../helpers/tiny-model.js';

test('the probabilities of all tokens sum to one and their entropy is told', async (t) => {
  const policy = await tinyPolicy();
  const prompt = [3, 7, 11];
  for (const temperature of [0.5, 1, 2]) {
    const {logprobs, result} = await score(
      policy,
      Array.from({length: 64}, (_, id) => ({prompt, ids: Int32Array.of(id)})),
      temperature,
    );
    const values = logprobs.map(([logprob]) => logprob as number);
    // float32 over 64 tokens
    t.true(Math.abs(sum(values.map(Math.exp)) - 1) < 1e-5);
    const entropy = -sum(values.map((value) => value * Math.exp(value)));
    t.true(Math.abs((result.entropies[3] as number) - entropy) < 1e-4);
  }
});

test('only masked places have a log-prob', async (t) => {
  const policy = await tinyPolicy();
  const sequences = ragged([
    [3, 7, 11, 2],
    [5, 9],
  ]);
  const {logprobs, entropies} = await policy.logprobs({sequences, mask: Uint8Array.of(0, 0, 1, 0, 0, 1)});
  const places = [...logprobs.keys()].filter((i) => logprobs[i] !== 0);
  t.deepEqual(places, [2, 5]);
  t.deepEqual(
    [...entropies.keys()].filter((i) => entropies[i] !== 0),
    [2, 5],
  );
});

test('a sequence scores the same whatever is packed beside it', async (t) => {
  const policy = await tinyPolicy('llama');
  const one = {prompt: [3, 7], ids: Int32Array.of(11, 4, 60)};
  const other = {prompt: [9, 9, 9, 1], ids: Int32Array.of(2, 2)};
  const [alone] = (await score(policy, [one])).logprobs;
  const [, beside] = (await score(policy, [other, one, other])).logprobs;
  // The order of sums in a matrix product depends on its height.
  t.true(largestDifference(alone as Float32Array, beside as Float32Array) < 1e-5);
});

test('a float64 policy agrees with the float32 one', async (t) => {
  const single = await tinyPolicy('qwen2');
  const double = await tinyPolicy('qwen2', {dtype: 'float64'});
  const pairs = [{prompt: [3, 7], ids: Int32Array.of(11, 4, 60)}];
  const [a] = (await score(single, pairs)).logprobs;
  const [b] = (await score(double, pairs)).logprobs;
  t.true(largestDifference(a as Float32Array, b as Float32Array) < 1e-4);
  t.is(double.info().dtype, 'float64');
});
