import test from 'ava';
import {IlrError} from '../../src/errors.js';
import {NativeRuntime} from '../../src/native/runtime.js';
import {tinyPolicy} from '../helpers/native.js';
import {score} from '../helpers/tiny-model.js';

const pairs = [{prompt: [3, 7, 11], ids: Int32Array.of(4, 9, 2)}];
const logprobs = async (policy: Parameters<typeof score>[0]) => (await score(policy, pairs)).logprobs;

test('a reference policy takes over weights, exactly or by a share', async (t) => {
  const [policy, reference] = [
    await tinyPolicy('qwen2', {seed: 1}),
    await tinyPolicy('qwen2', {seed: 2, trainable: false}),
  ];
  const [ours, theirs] = [await logprobs(policy), await logprobs(reference)];
  await reference.copyFrom(policy, 0);
  t.deepEqual(await logprobs(reference), theirs);
  await reference.copyFrom(policy, 0.5);
  t.notDeepEqual(await logprobs(reference), theirs);
  t.notDeepEqual(await logprobs(reference), ours);
  await reference.copyFrom(policy, 1);
  t.deepEqual(await logprobs(reference), ours);
});

test('between runtimes calls keep their order, and two that copy from each other do not wait for ever', async (t) => {
  const elsewhere = await NativeRuntime.open({device: 'cpu', threads: 1});
  const a = await tinyPolicy('llama', {seed: 1});
  const b = await tinyPolicy('llama', {seed: 2, runtime: elsewhere});
  const [ofA, ofB] = [await logprobs(a), await logprobs(b)];
  // Each takes what the other was when it was asked: b gets back what a got from it.
  const calls = [a.copyFrom(b, 1), b.copyFrom(a, 1), logprobs(a), logprobs(b)] as const;
  const [, , afterA, afterB] = await Promise.all(calls);
  t.deepEqual(afterA, ofB);
  t.deepEqual(afterB, ofB);
  t.notDeepEqual(ofA, ofB);
  const pending = Array.from({length: 20}, (_, i) => (i % 2 === 0 ? a.copyFrom(b, 0.3) : b.copyFrom(a, 0.3)));
  await Promise.all(pending);
  const last = a.copyFrom(b, 1);
  await elsewhere.dispose();
  await t.notThrowsAsync(last, 'it was asked before the other runtime was disposed');
  await t.throwsAsync(a.copyFrom(b, 1), {code: 'ILR_DISPOSED'});
});

test('copyFrom refuses what is no policy, another shape and a mix that is none', async (t) => {
  const [policy, llama] = [await tinyPolicy('qwen2'), await tinyPolicy('llama')];
  const refused = {instanceOf: IlrError, code: 'ILR_INVALID_ARGUMENT'} as const;
  await t.throwsAsync(policy.copyFrom(llama, 1), refused);
  for (const mix of [-1, 2, Number.NaN, '1' as never, undefined as never]) {
    await t.throwsAsync(policy.copyFrom(await tinyPolicy('qwen2'), mix), refused);
  }
  for (const other of [undefined, null, {}, {native: policy}, 5]) {
    await t.throwsAsync(policy.copyFrom(other as never, 1), refused);
  }
  await policy.dispose();
  await t.throwsAsync(policy.copyFrom(await tinyPolicy('qwen2'), 1), {code: 'ILR_DISPOSED'});
});
