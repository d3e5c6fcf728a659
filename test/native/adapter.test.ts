import {readdir, readFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {NativePolicy} from '../../src/native/native-policy.js';
import {NativeRuntime} from '../../src/native/runtime.js';
import type {NewAdapterOptions} from '../../src/policy.js';
import {cpuRuntime, runModule, temporaryFolder, tinyPolicy} from '../helpers/native.js';
import {collect, largestDifference, ragged, score, streams, tinyConfigs, trainingBatch} from '../helpers/tiny-model.js';

const batch = trainingBatch(
  [[3, 7, 11]],
  [
    {prompt: 0, ids: [4, 9, 1], logprobs: Float32Array.of(-3, -3, -3), reward: 1},
    {prompt: 0, ids: [50, 2], logprobs: Float32Array.of(-3, -3), reward: 0},
  ],
);
const pairs = [{prompt: [3, 7, 11], ids: Int32Array.of(4, 9, 1)}];
const options = {loss: 'dapo', learningRate: 1e-2} as const;
const adapter: NewAdapterOptions = {rank: 4, alpha: 8, seed: 3};
const files = ['adapter_config.json', 'adapter_model.safetensors'];

async function saved(t: ExecutionContext, policy: NativePolicy, how = {}): Promise<string> {
  const folder = await temporaryFolder(t);
  await policy.save(folder, how);
  return folder;
}

const logprobsOf = async (policy: NativePolicy) => (await score(policy, pairs)).logprobs[0] as Float32Array;
const bytes = (folder: string, file: string) => readFile(path.join(folder, file));

test('two adapters and a frozen policy learn and answer over one copy of the weights', async (t) => {
  const runtime = await NativeRuntime.open({threads: 1}); // of its own: other tests run meanwhile
  const before = runtime.memoryBytes();
  const config = {...tinyConfigs.qwen2, hidden_size: 256, intermediate_size: 512};
  const base = await NativePolicy.create(config, {runtime, seed: 1, trainable: false});
  const held = runtime.memoryBytes() - before;
  t.true(held >= base.info().parameters * 4);
  const [first, second] = [
    await base.share({adapter}),
    await base.share({adapter: {...adapter, seed: 4, targetModules: ['q_proj', 'v_proj']}}),
  ];
  const frozen = await base.share({trainable: false});
  t.true(runtime.memoryBytes() - before < held * 1.25);
  t.deepEqual(first.info().adapter, {
    rank: 4,
    alpha: 8,
    rankStabilized: false,
    targetModules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
    parameters: first.info().trainedParameters,
  });
  t.is(second.info().trainedParameters, 2 * 4 * (2 * 256 + 256 + 128));
  t.is(frozen.info().trainedParameters, 0);
  t.is(frozen.info().adapter, undefined);

  const weights = await bytes(await saved(t, frozen), 'model.safetensors');
  const start = await logprobsOf(base);
  t.deepEqual(await logprobsOf(first), start);
  for (const policy of [first, second]) t.true((await policy.update(batch, options)).gradNorm > 0);
  t.true(largestDifference(await logprobsOf(first), start) > 1e-3);
  t.true(largestDifference(await logprobsOf(first), await logprobsOf(second)) > 1e-3);
  for (const policy of [base, frozen]) t.deepEqual(await logprobsOf(policy), start);
  t.true((await bytes(await saved(t, frozen), 'model.safetensors')).equals(weights));
  await t.throwsAsync(frozen.update(batch, options), {code: 'ILR_INVALID_ARGUMENT'});

  // What is sampled is scored alike by the same adapter.
  const request = {prompts: ragged([[3, 7, 11]]), samplesPerPrompt: 4, streams: streams(4), maxNewTokens: 8};
  const completions = await collect(first.generate({...request, temperature: 1, stopIds: []}));
  const scored = await score(
    first,
    completions.map(({ids}) => ({prompt: [3, 7, 11], ids})),
  );
  completions.forEach(({logprobs}, i) => {
    t.true(largestDifference(logprobs, scored.logprobs[i] as Float32Array) < 1e-4);
  });

  // The weights stay until the last of them has gone.
  await base.dispose();
  t.deepEqual(await logprobsOf(frozen), start);
  for (const policy of [first, second, frozen]) await policy.dispose();
  t.is(runtime.memoryBytes(), before);
  await runtime.dispose();
});

test('resident memory shows one base under two adapters and a frozen policy', async (t) => {
  const {code, output} = await runModule(
    t,
    `
    const runtime = await NativeRuntime.open({threads: 1});
    const config = {...tiny.tinyConfigs.qwen2, hidden_size: 512, intermediate_size: 2048, num_hidden_layers: 4};
    const base = await NativePolicy.create(config, {runtime, seed: 1, trainable: false});
    const start = process.memoryUsage.rss();
    const adapters = [await base.share({adapter: {rank: 4}}), await base.share({adapter: {rank: 4, seed: 1}})];
    const frozen = await base.share({trainable: false});
    const batch = tiny.trainingBatch([[3]], [{prompt: 0, ids: [4, 9, 1], reward: 1}]);
    for (const policy of adapters) await policy.update(batch, {loss: 'nll', learningRate: 1e-3});
    const {logprobs} = await tiny.score(frozen, [{prompt: [3], ids: Int32Array.of(4, 5)}]);
    console.log((process.memoryUsage.rss() - start) / (base.info().parameters * 4), logprobs.length);
    `,
  );
  t.is(code, 0, output);
  // Some 60 MB of weights: another copy, gradients or moments of it would add at least 1. Adapters and their moments are 3 MB.
  t.true(Number(output.split(' ')[0]) < 0.5, output);
});

test('over a bfloat16 base an adapter learns in float32', async (t) => {
  const runtime = await cpuRuntime();
  const model = await saved(t, await tinyPolicy('qwen2'));
  const [coarse, exact] = await Promise.all(
    (['bfloat16', 'float32'] as const).map((dtype) => NativePolicy.load(model, {runtime, dtype, adapter})),
  );
  for (let i = 0; i < 3; i++) {
    const results = await Promise.all(
      [coarse, exact].map((policy) => policy?.update(batch, {...options, loss: 'nll'})),
    );
    const [a = 0, b = 0] = results.map((result) => result?.gradNorm);
    t.true(Math.abs(a / b - 1) < 0.1, `${a} ${b}`);
  }
  // bfloat16 has 8 bits: the log-probs of the trained policies differ by its rounding, far less than training changed them.
  const [a, b] = [await logprobsOf(coarse as NativePolicy), await logprobsOf(exact as NativePolicy)];
  t.true(largestDifference(a, b) < 0.2, `${a} ${b}`);
  t.true(largestDifference(b, await logprobsOf(await NativePolicy.load(model, {runtime}))) > 0.5);
  // The adapter is saved in float32, the dtype that PEFT keeps it in.
  const folder = await saved(t, coarse as NativePolicy);
  t.regex((await bytes(folder, 'adapter_model.safetensors')).toString('latin1'), /"dtype":"F32"/);
});

test('logprobs with adapter false are those of the base', async (t) => {
  const base = await tinyPolicy('llama', {trainable: false});
  const policy = await base.share({adapter});
  await policy.update(batch, options);
  const request = {sequences: ragged([[3, 7, 11, 4]]), mask: Uint8Array.of(0, 1, 1, 1)};
  const own = await policy.logprobs(request);
  t.deepEqual((await policy.logprobs({...request, adapter: false})).logprobs, (await base.logprobs(request)).logprobs);
  t.true(largestDifference(own.logprobs, (await base.logprobs(request)).logprobs) > 1e-3);
  await t.throwsAsync(base.logprobs({...request, adapter: false}), {code: 'ILR_INVALID_ARGUMENT', message: /has none/});
});

test('an adapter is saved in PEFT’s format, loaded, and goes on bit for bit', async (t) => {
  const runtime = await cpuRuntime();
  const model = await saved(t, await tinyPolicy('qwen2'));
  const policy = await NativePolicy.load(model, {runtime, adapter: {...adapter, rankStabilized: true}});
  for (let i = 0; i < 2; i++) await policy.update(batch, options);
  t.deepEqual((await readdir(await saved(t, policy))).sort(), files);
  const folder = await saved(t, policy, {optimizer: true});
  t.deepEqual((await readdir(folder)).sort(), [...files, 'optimizer.safetensors']);
  const config = JSON.parse(await readFile(path.join(folder, 'adapter_config.json'), 'utf8'));
  t.like(config, {peft_type: 'LORA', base_model_name_or_path: model, r: 4, lora_alpha: 8, use_rslora: true});

  const loaded = await NativePolicy.load(model, {runtime, adapter: {folder}, optimizer: true});
  t.deepEqual(loaded.info(), policy.info());
  t.is(loaded.info().step, 2);
  t.deepEqual(await logprobsOf(loaded), await logprobsOf(policy));
  for (const one of [policy, loaded]) await one.update(batch, options);
  for (const file of [...files, 'optimizer.safetensors']) {
    const [a, b] = [await saved(t, policy, {optimizer: true}), await saved(t, loaded, {optimizer: true})];
    t.true((await bytes(a, file)).equals(await bytes(b, file)), file);
  }
});

test('merged, an adapter becomes a model that answers alike', async (t) => {
  const runtime = await cpuRuntime();
  const base = await tinyPolicy('llama', {trainable: false});
  const policy = await base.share({adapter});
  await policy.update(batch, options);
  const folder = await saved(t, policy, {merge: true});
  t.deepEqual((await readdir(folder)).sort(), ['config.json', 'model.safetensors']);
  const merged = await NativePolicy.load(folder, {runtime});
  t.true(largestDifference(await logprobsOf(merged), await logprobsOf(policy)) < 1e-4);
  t.true(largestDifference(await logprobsOf(merged), await logprobsOf(base)) > 1e-3);
  await t.throwsAsync(base.save(folder, {merge: true}), {code: 'ILR_INVALID_ARGUMENT', message: /has none/});
});

test('a policy that trains every weight shares a copy of them', async (t) => {
  const base = await tinyPolicy('qwen2', {trainable: false});
  const full = await base.share();
  const snapshot = await full.share({trainable: false});
  const start = await logprobsOf(base);
  await full.update(batch, options);
  t.true(largestDifference(await logprobsOf(full), start) > 1e-3);
  for (const policy of [base, snapshot]) t.deepEqual(await logprobsOf(policy), start);
});

test('policies that share a private runtime end it together', async (t) => {
  const {code, output} = await runModule(
    t,
    `
    const base = await NativePolicy.create(tiny.tinyConfigs.qwen2, {seed: 1, trainable: false});
    const policy = await base.share({adapter: {rank: 2}});
    await base.dispose();
    const failure = await base.share().catch((error) => error.code);
    const {logprobs} = await tiny.score(policy, [{prompt: [3], ids: Int32Array.of(4, 5)}]);
    await policy.dispose();
    const late = await policy.share().catch((error) => error.code);
    console.log(failure, logprobs[0].length, late);
    `,
  );
  t.deepEqual({code, output}, {code: 0, output: 'ILR_DISPOSED 2 ILR_DISPOSED\n'});
});

test('an adapter that cannot be is refused by name', async (t) => {
  const base = await tinyPolicy('qwen2', {trainable: false});
  for (const [bad, message] of [
    [{rank: 0}, /rank/],
    [{rank: 2.5}, /rank/],
    [{alpha: Number.NaN}, /alpha/],
    [{targetModules: ['lm_head']}, /lm_head/],
    [{targetModules: []}, /targetModules/],
    [{targetModules: [3]}, /targetModules\[0\]/],
    [{rankStabilized: 'yes'}, /rankStabilized/],
    [{seed: -1}, /seed/],
    [{folder: '/nowhere', rank: 2}, /rank/],
    [7, /adapter/],
  ] as const) {
    await t.throwsAsync(
      base.share({adapter: bad as never}),
      {code: 'ILR_INVALID_ARGUMENT', message},
      JSON.stringify(bad),
    );
  }
  await t.throwsAsync(base.share({adapter: {folder: '/nowhere'}}), {code: 'ILR_IO', message: /nowhere/});
  t.true((await base.share({adapter})) instanceof NativePolicy);
});
