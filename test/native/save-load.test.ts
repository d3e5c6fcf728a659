import {readdir, readFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {NativePolicy} from '../../src/native/native-policy.js';
import {cpuRuntime, runModule, temporaryFolder, tinyPolicy} from '../helpers/native.js';
import {score, tinyConfigs, trainingBatch} from '../helpers/tiny-model.js';

const batch = trainingBatch(
  [[3, 7, 11]],
  [
    {prompt: 0, ids: [4, 9, 1], logprobs: Float32Array.of(-3, -3, -3), reward: 1},
    {prompt: 0, ids: [50, 2], logprobs: Float32Array.of(-3, -3), reward: 0},
  ],
);
const pairs = [{prompt: [3, 7, 11], ids: Int32Array.of(4, 9, 1)}];
const options = {loss: 'dapo', learningRate: 1e-3} as const;

async function saved(t: ExecutionContext, policy: NativePolicy, optimizer = false): Promise<string> {
  const folder = await temporaryFolder(t);
  await policy.save(folder, {optimizer});
  return folder;
}

const bytes = (folder: string, file = 'model.safetensors') => readFile(path.join(folder, file));

for (const family of ['qwen2', 'llama'] as const) {
  test(`${family}: a saved policy loads as the same policy`, async (t) => {
    const policy = await tinyPolicy(family);
    const folder = await saved(t, policy);
    t.deepEqual((await readdir(folder)).sort(), ['config.json', 'model.safetensors']);
    t.deepEqual(JSON.parse(await readFile(path.join(folder, 'config.json'), 'utf8')), tinyConfigs[family]);
    const loaded = await NativePolicy.load(folder, {runtime: await cpuRuntime()});
    t.deepEqual(loaded.info(), policy.info());
    t.deepEqual((await score(loaded, pairs)).logprobs, (await score(policy, pairs)).logprobs);
    t.true((await bytes(folder)).equals(await bytes(await saved(t, loaded))));
  });

  test(`${family}: training goes on bit for bit after a save with the optimiser`, async (t) => {
    const policy = await tinyPolicy(family);
    for (let i = 0; i < 3; i++) await policy.update(batch, options);
    const folder = await saved(t, policy, true);
    const loaded = await NativePolicy.load(folder, {runtime: await cpuRuntime(), optimizer: true});
    t.is(loaded.info().step, 3);
    for (const one of [policy, loaded]) for (let i = 0; i < 2; i++) await one.update(batch, options);
    const [a, b] = [await saved(t, policy, true), await saved(t, loaded, true)];
    t.true((await bytes(a)).equals(await bytes(b)));
    t.true((await bytes(a, 'optimizer.safetensors')).equals(await bytes(b, 'optimizer.safetensors')));
    const forgetful = await NativePolicy.load(folder, {runtime: await cpuRuntime()});
    t.is(forgetful.info().step, 0);
  });
}

test('the same seed makes the same weights, another seed others', async (t) => {
  const of = async (seed: number) => bytes(await saved(t, await tinyPolicy('qwen2', {seed})));
  t.true((await of(5)).equals(await of(5)));
  t.false((await of(5)).equals(await of(6)));
});

test('a seed may be any unsigned 64-bit number', async (t) => {
  const runtime = await cpuRuntime();
  await t.notThrowsAsync(NativePolicy.create(tinyConfigs.llama, {runtime, seed: 2n ** 64n - 1n}));
  for (const seed of [-1, 1.5, Number.NaN, 2n ** 64n, -1n]) {
    await t.throwsAsync(NativePolicy.create(tinyConfigs.llama, {runtime, seed}), {code: 'ILR_INVALID_ARGUMENT'});
  }
});

test('a policy without a runtime has its own', async (t) => {
  const policy = await NativePolicy.create(tinyConfigs.qwen2, {seed: 1});
  t.is(policy.info().device, 'cpu');
  t.is((await score(policy, pairs)).logprobs[0]?.length, 3);
  await policy.dispose();
});

test('saving onto a full disk is an error that leaves the policy as it was', async (t) => {
  const folder = await temporaryFolder(t);
  // A file may hold 8 kB here, which stops a write half-way as a full disk does.
  const {code, output} = await runModule(
    t,
    `
    import {readdirSync} from 'node:fs';
    const policy = await NativePolicy.create(tiny.tinyConfigs.qwen2, {seed: 1});
    const pairs = [{prompt: [3, 7], ids: Int32Array.of(4, 9)}];
    const before = (await tiny.score(policy, pairs)).logprobs;
    const failure = await policy.save(${JSON.stringify(folder)}, {optimizer: true}).catch((error) => error);
    const after = (await tiny.score(policy, pairs)).logprobs;
    console.log(failure.code, failure.message);
    console.log(JSON.stringify(before) === JSON.stringify(after) ? 'same' : 'changed');
    console.log(readdirSync(${JSON.stringify(folder)}).includes('model.safetensors') ? 'partial file' : 'no partial file');
    `,
    {shell: 'ulimit -f 16;'},
  );
  t.is(code, 0, output);
  t.regex(output, /^ILR_IO .*model\.safetensors/m);
  t.regex(output, /^same$/m);
  t.regex(output, /^no partial file$/m);
});
