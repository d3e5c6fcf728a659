import test from 'ava';
import {IlrError} from '../../src/errors.js';
import {NativePolicy} from '../../src/native/native-policy.js';
import {NativeRuntime} from '../../src/native/runtime.js';
import {cpuRuntime, tinyPolicy} from '../helpers/native.js';
import {collect, ragged, score, streams, tinyConfigs, trainingBatch} from '../helpers/tiny-model.js';

/** Enough to last: tens of thousands of tokens. */
const long = {
  prompts: ragged([[3, 7, 11]]),
  samplesPerPrompt: 2000,
  streams: streams(2000),
  maxNewTokens: 90,
  temperature: 1,
  stopIds: [],
};
const short = {...long, samplesPerPrompt: 1, streams: streams(1), maxNewTokens: 2};
const pairs = [{prompt: [3, 7, 11], ids: Int32Array.of(4, 9, 1)}];

const batch = trainingBatch(
  [[3, 7, 11]],
  Array.from({length: 400}, (_, i) => ({
    prompt: 0,
    ids: Array.from({length: 80}, (_, j) => (i * 5 + j * 3) % 64),
    reward: i % 2,
  })),
);
const update = {loss: 'nll', learningRate: 1e-2, microBatchTokens: 200} as const;

test('a signal that was aborted before rejects at once', async (t) => {
  const policy = await tinyPolicy();
  const reason = new Error('changed my mind');
  const signal = AbortSignal.abort(reason);
  const sequences = ragged([[3, 7]]);
  for (const call of [
    () => policy.logprobs({sequences, mask: Uint8Array.of(0, 1), signal}),
    () => policy.update(batch, {...update, signal}),
    () => policy.generate({...long, signal}).counters,
    () => collect(policy.generate({...long, signal})),
  ]) {
    const error = await t.throwsAsync(call, {instanceOf: IlrError, code: 'ILR_ABORTED'});
    t.is(error?.cause, reason);
  }
  t.is(policy.info().step, 0);
});

test('an abort during a generation ends it, and the completions that came before are kept', async (t) => {
  const policy = await tinyPolicy();
  const controller = new AbortController();
  const generation = policy.generate({...long, maxSlots: 8, signal: controller.signal});
  const seen: number[] = [];
  await t.throwsAsync(
    async () => {
      for await (const {index} of generation) {
        seen.push(index);
        if (seen.length === 20) controller.abort();
      }
    },
    {code: 'ILR_ABORTED'},
  );
  await t.throwsAsync(generation.counters, {code: 'ILR_ABORTED'});
  t.true(seen.length >= 20 && seen.length < 2000);
  t.is((await collect(policy.generate(short))).length, 1);
});

test('leaving the loop early ends the native work', async (t) => {
  const policy = await tinyPolicy();
  const generation = policy.generate({...long, maxSlots: 8});
  for await (const {index} of generation) if (index >= 0) break;
  await t.throwsAsync(generation.counters, {code: 'ILR_ABORTED'});
});

test('an abort during an update changes neither weights nor optimiser', async (t) => {
  const policy = await tinyPolicy();
  const before = (await score(policy, pairs)).logprobs;
  const controller = new AbortController();
  let told = 0;
  const call = policy.update(batch, {
    ...update,
    signal: controller.signal,
    onProgress: () => {
      told++;
      controller.abort();
    },
  });
  await t.throwsAsync(call, {code: 'ILR_ABORTED'});
  t.true(told > 0);
  t.deepEqual((await score(policy, pairs)).logprobs, before);
  t.is((await policy.update(batch, update)).step, 1);
});

test('a call that waits for its turn is aborted without waiting', async (t) => {
  const policy = await tinyPolicy();
  const first = policy.generate({...long, maxSlots: 8});
  let hasEnded = false;
  const end = () => {
    hasEnded = true;
  };
  first.counters.then(end, end);
  const controller = new AbortController();
  const waiting = policy.update(batch, {...update, signal: controller.signal});
  controller.abort();
  await t.throwsAsync(waiting, {code: 'ILR_ABORTED'});
  t.false(hasEnded, 'the first call is still under way');
  for await (const _ of first) break;
  t.is((await policy.update(batch, update)).step, 1, 'the aborted update never ran');
});

test('an abort after the end does nothing', async (t) => {
  const policy = await tinyPolicy();
  const controller = new AbortController();
  const generation = policy.generate({...short, signal: controller.signal});
  await collect(generation);
  controller.abort();
  await t.notThrowsAsync(generation.counters);
  await t.notThrowsAsync(collect(policy.generate(short)));
});

test('a generation that nobody awaits fails quietly', async (t) => {
  const policy = await tinyPolicy();
  const unhandled: unknown[] = [];
  const listen = (error: unknown) => unhandled.push(error);
  process.on('unhandledRejection', listen);
  policy.generate({...long, temperature: Number.NaN});
  policy.generate({...long, signal: AbortSignal.abort()});
  await score(policy, pairs);
  await new Promise(setImmediate);
  process.off('unhandledRejection', listen);
  t.deepEqual(unhandled, []);
});

test('dispose waits for the calls before it, may come twice, and refuses the calls after it', async (t) => {
  const policy = await tinyPolicy();
  let isUpdated = false;
  const call = policy.update(batch, {
    ...update,
    onProgress: (done, total) => {
      isUpdated = done === total;
    },
  });
  await Promise.all([policy.dispose(), policy.dispose()]);
  t.true(isUpdated);
  t.is((await call).step, 1);
  for (const after of [
    () => score(policy, pairs),
    () => policy.update(batch, update),
    () => policy.save('/nowhere'),
    () => policy.generate(short).counters,
    () => collect(policy.generate(short)),
  ]) {
    await t.throwsAsync(after, {instanceOf: IlrError, code: 'ILR_DISPOSED'});
  }
  await policy.dispose();
});

test('a disposed runtime takes its policies along', async (t) => {
  const runtime = await NativeRuntime.open({threads: 1});
  const policy = await NativePolicy.create(tinyConfigs.llama, {runtime, seed: 1});
  const call = score(policy, pairs);
  await Promise.all([runtime.dispose(), runtime.dispose(), call]);
  await t.throwsAsync(score(policy, pairs), {code: 'ILR_DISPOSED'});
  await t.throwsAsync(NativePolicy.create(tinyConfigs.llama, {runtime, seed: 1}), {code: 'ILR_DISPOSED'});
  await policy.dispose();
});

test('calls on two policies of one runtime both end', async (t) => {
  const [a, b] = [await tinyPolicy('qwen2'), await tinyPolicy('llama')];
  const results = await Promise.all([collect(a.generate(short)), collect(b.generate(short)), score(a, pairs)]);
  t.is(results[0].length + results[1].length, 2);
  t.is((await cpuRuntime()).threads, 1);
});
