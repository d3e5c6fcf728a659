import test from 'ava';
import {IlrError} from '../../src/errors.js';
import {NativePolicy} from '../../src/native/native-policy.js';
import {NativeRuntime} from '../../src/native/runtime.js';
import {collect, ragged, score, streams, tinyConfigs, trainingBatch} from '../helpers/tiny-model.js';

const pairs = [{prompt: [3, 7], ids: Int32Array.of(4, 9, 1)}];
const batch = trainingBatch(
  [[3, 7]],
  Array.from({length: 200}, (_, i) => ({
    prompt: 0,
    ids: Array.from({length: 60}, (_, j) => (i + j) % 64),
    reward: i % 2,
  })),
);

test('what does not fit says what was asked, what was free and what lowers it; what fits then works', async (t) => {
  const runtime = await NativeRuntime.open({threads: 1, memoryLimitBytes: 6_000_000});
  const policy = await NativePolicy.create(tinyConfigs.llama, {runtime, seed: 1});
  const before = (await score(policy, pairs)).logprobs;
  const refused = (advice: string) => ({
    instanceOf: IlrError,
    code: 'ILR_OUT_OF_MEMORY',
    message: new RegExp(
      `^out of memory: asked for [\\d.]+ MB beside the [\\d.]+ MB .* [\\d.]+ MB were free below its limit; .*${advice}`,
    ),
  });
  const request = {prompts: ragged([[3, 7]]), streams: streams(300), maxNewTokens: 90, temperature: 1, stopIds: []};
  const refuseAll = async () => {
    await t.throwsAsync(
      collect(policy.generate({...request, samplesPerPrompt: 300, maxSlots: 300})),
      refused('maxSlots'),
    );
    await t.throwsAsync(policy.update(batch, {loss: 'nll', learningRate: 1e-3}), refused('microBatchTokens'));
    await t.throwsAsync(
      NativePolicy.create({...tinyConfigs.llama, vocab_size: 60_000}, {runtime, seed: 1}),
      refused('trainable false'),
    );
  };
  await refuseAll();
  const held = runtime.memoryBytes(); // the table of positions, made by the first pass, stays
  await refuseAll();
  t.is(runtime.memoryBytes(), held, 'the memory is given back');
  t.deepEqual((await score(policy, pairs)).logprobs, before);
  t.is((await collect(policy.generate({...request, samplesPerPrompt: 300, maxSlots: 2, maxNewTokens: 4}))).length, 300);
  t.is((await policy.update(batch, {loss: 'nll', learningRate: 1e-3, microBatchTokens: 130})).step, 1);
  await runtime.dispose();
});

test('a limit of memory is a whole number', async (t) => {
  for (const memoryLimitBytes of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    await t.throwsAsync(NativeRuntime.open({memoryLimitBytes}), {
      code: 'ILR_INVALID_ARGUMENT',
      message: /memoryLimitBytes/,
    });
  }
});
