import {mkdir, readFile, truncate, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {IlrError} from '../../src/errors.js';
import {NativePolicy} from '../../src/native/native-policy.js';
import {NativeRuntime} from '../../src/native/runtime.js';
import type {GenerateRequest, ScoreRequest, TrainingBatch, UpdateOptions} from '../../src/policy.js';
import {cpuRuntime, temporaryFolder, tinyPolicy} from '../helpers/native.js';
import {collect, ragged, streams, tinyConfigs, trainingBatch} from '../helpers/tiny-model.js';

/** Deliberately of another type. */
// biome-ignore lint/suspicious/noExplicitAny: what a JavaScript caller may pass
type Wrong = any;

function detached<A extends {readonly buffer: ArrayBufferLike}>(array: A): A {
  structuredClone(array.buffer, {transfer: [array.buffer as ArrayBuffer]});
  return array;
}

const request: GenerateRequest = {
  prompts: ragged([[3, 7, 11], [5]]),
  samplesPerPrompt: 2,
  streams: streams(4),
  maxNewTokens: 4,
  temperature: 1,
  stopIds: [1],
};

const wrongRequests: Record<string, Wrong> = {
  'no request': undefined,
  'an empty prompt': {prompts: ragged([[3], []])},
  'no prompt array': {prompts: null},
  'a prompt longer than the context': {prompts: ragged([[3], new Int32Array(97).fill(2)])},
  'a prompt that fills the context': {prompts: ragged([[3], new Int32Array(96).fill(2)])},
  'an id beyond the vocabulary': {prompts: ragged([[3], [64]])},
  'a negative id': {prompts: ragged([[3], [-1]])},
  'ids of another array kind': {prompts: {ids: Float32Array.of(3, 5), offsets: Int32Array.of(0, 1, 2)}},
  'ids as a plain array': {prompts: {ids: [3, 5], offsets: Int32Array.of(0, 1, 2)}},
  'offsets that fall': {prompts: {ids: Int32Array.of(3, 5), offsets: Int32Array.of(0, 2, 1)}},
  'offsets that go beyond the ids': {prompts: {ids: Int32Array.of(3, 5), offsets: Int32Array.of(0, 1, 3)}},
  'offsets that do not reach the end': {prompts: {ids: Int32Array.of(3, 5, 7), offsets: Int32Array.of(0, 1, 2)}},
  'offsets that start late': {prompts: {ids: Int32Array.of(3, 5), offsets: Int32Array.of(1, 1, 2)}},
  'negative offsets': {prompts: {ids: Int32Array.of(3, 5), offsets: Int32Array.of(0, -5, 2)}},
  'no offsets': {prompts: {ids: Int32Array.of(3, 5), offsets: new Int32Array(0)}},
  'a detached array': {prompts: {ids: detached(Int32Array.of(3, 5)), offsets: Int32Array.of(0, 1, 2)}},
  'a NaN temperature': {temperature: Number.NaN},
  'a negative temperature': {temperature: -1},
  'an infinite temperature': {temperature: Number.POSITIVE_INFINITY},
  'a temperature close to 0': {temperature: 1e-12},
  'a temperature that is a string': {temperature: '1'},
  'no samples': {samplesPerPrompt: 0},
  'half a sample': {samplesPerPrompt: 1.5},
  'more samples than streams': {samplesPerPrompt: 3},
  'a huge number of samples': {samplesPerPrompt: 2 ** 52},
  'streams of another kind': {streams: new BigInt64Array(4)},
  'too few streams': {streams: streams(3)},
  'no new tokens': {maxNewTokens: 0},
  'a NaN length': {maxNewTokens: Number.NaN},
  'a stop id beyond the vocabulary': {stopIds: [64]},
  'stop ids that are no array': {stopIds: Int32Array.of(1)},
  'stop ids with a hole': {stopIds: new Array(3)},
  'negative slots': {maxSlots: -1},
  'a signal that is none': {signal: {}},
};

for (const [name, change] of Object.entries(wrongRequests)) {
  test(`generate refuses ${name}`, async (t) => {
    const policy = await tinyPolicy();
    const wrong = change && {...request, ...change};
    await t.throwsAsync(collect(policy.generate(wrong)), {instanceOf: IlrError, code: 'ILR_INVALID_ARGUMENT'});
    await t.throwsAsync(policy.generate(wrong).counters, {instanceOf: IlrError, code: 'ILR_INVALID_ARGUMENT'});
    t.is((await collect(policy.generate(request))).length, 4, 'the policy works as before');
    await policy.dispose();
  });
}

const scoring: ScoreRequest = {
  sequences: ragged([
    [3, 7, 11],
    [5, 2],
  ]),
  mask: Uint8Array.of(0, 1, 1, 0, 1),
};

const wrongScoring: Record<string, Wrong> = {
  'no request': null,
  'a mask of another length': {mask: Uint8Array.of(0, 1)},
  'a mask of another kind': {mask: new Uint8ClampedArray(5)},
  'a mask of other numbers': {mask: Uint8Array.of(0, 1, 2, 0, 1)},
  'a mask over a first token': {mask: Uint8Array.of(1, 1, 1, 0, 1)},
  'an id beyond the vocabulary': {
    sequences: ragged([
      [3, 7, 64],
      [5, 2],
    ]),
  },
  'a sequence longer than the context': {
    sequences: ragged([new Int32Array(97).fill(3)]),
    mask: new Uint8Array(97).fill(1).fill(0, 0, 1),
  },
  'a temperature of 0': {temperature: 0},
  'a NaN temperature': {temperature: Number.NaN},
};

for (const [name, change] of Object.entries(wrongScoring)) {
  test(`logprobs refuses ${name}`, async (t) => {
    const policy = await tinyPolicy();
    await t.throwsAsync(policy.logprobs(change && {...scoring, ...change}), {
      instanceOf: IlrError,
      code: 'ILR_INVALID_ARGUMENT',
    });
    await policy.dispose();
  });
}

const batch: TrainingBatch = trainingBatch(
  [[3, 7, 11]],
  [
    {prompt: 0, ids: [4, 9, 1], reward: 1},
    {prompt: 0, ids: [50, 2], reward: 0},
  ],
);
const options: UpdateOptions = {loss: 'dapo', learningRate: 1e-3};

type WrongBatch = {batch?: Wrong; completions?: Wrong; options?: Wrong};
const wrongUpdates: Record<string, WrongBatch> = {
  'rewards of another length': {batch: {rewards: Float64Array.of(1)}},
  'a NaN reward': {batch: {rewards: Float64Array.of(1, Number.NaN)}},
  'an infinite reward': {batch: {rewards: Float64Array.of(1, Number.POSITIVE_INFINITY)}},
  'rewards of another kind': {batch: {rewards: Float32Array.of(1, 0)}},
  'a group index of another length': {batch: {groupIndex: Int32Array.of(0)}},
  'a group of one': {batch: {groupIndex: Int32Array.of(0, 1)}},
  'an extra advantage of another length': {batch: {extraAdvantage: Float64Array.of(0)}},
  'a stage without a weight': {batch: {stage: Uint8Array.of(0, 1)}},
  'a negative stage weight': {batch: {stageWeights: Float64Array.of(-1)}},
  'no stage weights': {batch: {stageWeights: new Float64Array(0)}},
  'a prompt index beyond the prompts': {completions: {promptIndex: Int32Array.of(0, 1)}},
  'a negative prompt index': {completions: {promptIndex: Int32Array.of(0, -1)}},
  'a prompt index of another length': {completions: {promptIndex: Int32Array.of(0)}},
  'a mask of another length': {completions: {mask: Uint8Array.of(1)}},
  'sampler log-probs of another length': {completions: {samplerLogprobs: Float32Array.of(-1)}},
  'a NaN sampler log-prob': {completions: {samplerLogprobs: new Float32Array(5).fill(Number.NaN)}},
  'an id beyond the vocabulary': {completions: {ids: Int32Array.of(4, 9, 1, 50, 64)}},
  'an empty completion': {completions: {offsets: Int32Array.of(0, 5, 5)}},
  'offsets that fall': {completions: {offsets: Int32Array.of(0, 7, 5)}},
  'a completion that leaves the context': {batch: {prompts: ragged([new Int32Array(94).fill(2)])}},
  'no completion': {
    batch: trainingBatch([[3]], []),
  },
  'another loss': {options: {loss: 'ppo'}},
  'no learning rate': {options: {learningRate: undefined}},
  'a NaN learning rate': {options: {learningRate: Number.NaN}},
  'a negative learning rate': {options: {learningRate: -1}},
  'a beta of 1': {options: {beta1: 1}},
  'an epsilon of 0': {options: {epsilon: 0}},
  'a NaN temperature': {options: {temperature: Number.NaN}},
  'a negative number of micro-batch tokens': {options: {microBatchTokens: -5}},
  'progress that is no function': {options: {onProgress: 5}},
};

for (const [name, change] of Object.entries(wrongUpdates)) {
  test(`update refuses ${name}`, async (t) => {
    const policy = await tinyPolicy();
    const wrong = {...batch, ...change.batch};
    const call = policy.update(
      {...wrong, completions: {...wrong.completions, ...change.completions}},
      {...options, ...change.options},
    );
    await t.throwsAsync(call, {instanceOf: IlrError, code: 'ILR_INVALID_ARGUMENT'});
    t.is((await policy.update(batch, options)).step, 1, 'the refused update was no step');
    await policy.dispose();
  });
}

test('load and save name the folder that is missing', async (t) => {
  const missing = path.join(await temporaryFolder(t), 'nothing');
  const runtime = await cpuRuntime();
  await t.throwsAsync(NativePolicy.load(missing, {runtime}), {code: 'ILR_IO', message: /nothing/});
  const policy = await tinyPolicy();
  await t.throwsAsync(policy.save(missing), {code: 'ILR_IO', message: /nothing/});
  for (const folder of ['', 'a\0b', 5 as Wrong, undefined as Wrong]) {
    await t.throwsAsync(NativePolicy.load(folder, {runtime}), {code: 'ILR_INVALID_ARGUMENT'});
    await t.throwsAsync(policy.save(folder), {code: 'ILR_INVALID_ARGUMENT'});
  }
});

test('load refuses weights that are cut short, are no weights, or belong to another config', async (t) => {
  const folder = await temporaryFolder(t);
  const runtime = await cpuRuntime();
  const [config, weights] = [path.join(folder, 'config.json'), path.join(folder, 'model.safetensors')];
  await (await tinyPolicy('llama')).save(folder);
  const whole = await readFile(weights);
  const refused = async (code: string, message?: RegExp) =>
    t.throwsAsync(NativePolicy.load(folder, {runtime}), {instanceOf: IlrError, code, message});

  for (const length of [0, 7, 8, 100, whole.length - 1]) {
    await truncate(weights, length);
    await refused('ILR_INVALID_MODEL', /model\.safetensors/);
    await writeFile(weights, whole);
  }
  await writeFile(weights, Buffer.alloc(whole.length, 0xff));
  await refused('ILR_INVALID_MODEL', /model\.safetensors/);
  await writeFile(weights, whole);
  await writeFile(config, JSON.stringify({...tinyConfigs.llama, intermediate_size: 96}));
  await refused('ILR_INVALID_MODEL', /mlp|gate|up|down/);
  await writeFile(config, JSON.stringify({...tinyConfigs.llama, num_hidden_layers: 3}));
  await refused('ILR_INVALID_MODEL', /layers\.2/);
  await writeFile(config, '{"model_type": "llama", ');
  await refused('ILR_INVALID_MODEL', /config\.json/);
  await writeFile(config, JSON.stringify({...tinyConfigs.llama, model_type: 'gpt2'}));
  await refused('ILR_UNSUPPORTED', /gpt2/);
  await writeFile(config, JSON.stringify(tinyConfigs.llama));
  await t.notThrowsAsync(NativePolicy.load(folder, {runtime}));
  await t.throwsAsync(NativePolicy.load(folder, {runtime, optimizer: true}), {code: 'ILR_IO', message: /optimizer/});
  await writeFile(path.join(folder, 'optimizer.safetensors'), whole);
  await t.throwsAsync(NativePolicy.load(folder, {runtime, optimizer: true}), {code: 'ILR_INVALID_MODEL'});
  await mkdir(path.join(folder, 'empty'));
  await t.throwsAsync(NativePolicy.load(path.join(folder, 'empty'), {runtime}), {code: 'ILR_IO'});
});

test('create refuses a config that is wrong or too large', async (t) => {
  const runtime = await cpuRuntime();
  const create = (config: Wrong, more: Wrong = {}) => NativePolicy.create(config, {runtime, seed: 1, ...more});
  const {llama} = tinyConfigs;
  await t.throwsAsync(create('not json'), {code: 'ILR_INVALID_MODEL'});
  await t.throwsAsync(create(''), {code: 'ILR_INVALID_ARGUMENT'});
  await t.throwsAsync(create({...llama, hidden_size: 0}), {code: 'ILR_INVALID_MODEL', message: /hidden_size/});
  await t.throwsAsync(create({...llama, hidden_size: '32'}), {code: 'ILR_INVALID_MODEL', message: /hidden_size/});
  await t.throwsAsync(create({...llama, num_attention_heads: 3}), {code: 'ILR_INVALID_MODEL'});
  await t.throwsAsync(create({...llama, rope_scaling: {rope_type: 'yarn', factor: 4}}), {code: 'ILR_UNSUPPORTED'});
  await t.throwsAsync(create(llama, {dtype: 'int8'}), {code: 'ILR_UNSUPPORTED'});
  await t.throwsAsync(create(llama, {dtype: 5}), {code: 'ILR_INVALID_ARGUMENT'});
  await t.throwsAsync(create(llama, {trainable: 'yes'}), {code: 'ILR_INVALID_ARGUMENT'});
  const huge = {vocab_size: 2 ** 22, hidden_size: 2 ** 17, num_attention_heads: 1024, num_key_value_heads: 1024};
  await t.throwsAsync(create({...llama, ...huge}), {code: 'ILR_OUT_OF_MEMORY'});
  const circular: Wrong = {...llama};
  circular.self = circular;
  for (const config of [undefined, null, 5, [], circular]) {
    await t.throwsAsync(create(config), {instanceOf: IlrError});
  }
  await t.throwsAsync(NativePolicy.create(llama, undefined as Wrong), {code: 'ILR_INVALID_ARGUMENT'});
  await t.throwsAsync(create(llama, {runtime: {}}), {code: 'ILR_INVALID_ARGUMENT'});
  await t.notThrowsAsync(create(llama));
});

test('a runtime refuses devices and thread counts that are none', async (t) => {
  await t.throwsAsync(NativeRuntime.open({device: 'tpu'}), {code: 'ILR_INVALID_ARGUMENT'});
  for (const threads of [-1, 1.5, Number.NaN, 1e9, '2' as Wrong]) {
    await t.throwsAsync(NativeRuntime.open({threads}), {code: 'ILR_INVALID_ARGUMENT'});
  }
});
