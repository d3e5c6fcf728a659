import {copyFile, readFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {NativePolicy, type NativePolicyOptions} from '../../src/native/native-policy.js';
import type {UpdateOptions} from '../../src/policy.js';
import {cpuRuntime, temporaryFolder, tinyPolicy} from '../helpers/native.js';
import {trainingBatch} from '../helpers/tiny-model.js';

const batch = trainingBatch(
  [[3, 7, 11]],
  [
    {prompt: 0, ids: [4, 9, 1], logprobs: Float32Array.of(-3, -3, -3), reward: 1},
    {prompt: 0, ids: [50, 2], logprobs: Float32Array.of(-3, -3), reward: 0},
  ],
);
const options: UpdateOptions = {loss: 'dapo', learningRate: 1e-3};

async function saved(t: ExecutionContext, policy: NativePolicy): Promise<string> {
  const folder = await temporaryFolder(t);
  await policy.save(folder, {optimizer: true});
  return folder;
}

const bytes = (folder: string, file = 'model.safetensors') => readFile(path.join(folder, file));

const kinds: readonly NativePolicyOptions[] = [
  {dtype: 'bfloat16'},
  {dtype: 'bfloat16', optimizerKind: 'lean'},
  {dtype: 'bfloat16', optimizerKind: 'lean', moments: 'int8'},
  {moments: 'bfloat16'},
];
for (const kind of kinds) {
  const title = `${kind.dtype ?? 'float32'}, ${kind.optimizerKind ?? 'adamw'}, ${kind.moments ?? 'moments left out'}`;
  test(`${title}: training goes on bit for bit after a save`, async (t) => {
    const policy = await tinyPolicy('qwen2', kind);
    t.is(policy.info().dtype, kind.dtype ?? 'float32');
    for (let i = 0; i < 2; i++) t.false((await policy.update(batch, options)).skipped);
    const folder = await saved(t, policy);
    const runtime = await cpuRuntime();
    const loaded = await NativePolicy.load(folder, {runtime, optimizer: true, ...kind});
    for (const one of [policy, loaded]) await one.update(batch, options);
    const [a, b] = [await saved(t, policy), await saved(t, loaded)];
    for (const file of ['model.safetensors', 'optimizer.safetensors']) {
      t.true((await bytes(a, file)).equals(await bytes(b, file)));
    }
    await t.throwsAsync(
      NativePolicy.load(folder, {
        runtime,
        optimizer: true,
        moments: 'float32',
        optimizerKind: 'lean',
        dtype: 'bfloat16',
      }),
      {
        code: 'ILR_INVALID_MODEL',
        message: /moments/,
      },
    );
  });
}

test('bytes of weights and optimiser are those of the kind', async (t) => {
  const perParameter = async (kind: NativePolicyOptions) => {
    const {weightBytes, optimizerBytes, parameters} = (await tinyPolicy('llama', kind)).info();
    return (weightBytes + optimizerBytes) / parameters;
  };
  t.is(await perParameter({}), 12);
  t.is(await perParameter({dtype: 'bfloat16'}), 14);
  const lean = await perParameter({dtype: 'bfloat16', optimizerKind: 'lean'});
  t.true(lean >= 8 && lean < 8.1); // the moments of norms are float32
  t.is(await perParameter({trainable: false}), 4);
});

test('a schedule reaches the optimiser, gradient checkpointing changes no bit', async (t) => {
  const [plain, kept] = [await tinyPolicy('llama'), await tinyPolicy('llama')];
  const scheduled = {...options, schedule: 'linear', totalSteps: 2, minLearningRateFraction: 0.5} as const;
  const rates = [];
  for (let i = 0; i < 3; i++) {
    rates.push((await plain.update(batch, scheduled)).learningRate);
    await kept.update(batch, {...scheduled, gradientCheckpointing: true});
  }
  t.deepEqual(rates, [1e-3, 7.5e-4, 5e-4]);
  t.true((await bytes(await saved(t, plain))).equals(await bytes(await saved(t, kept))));
});

test('a folder that mixes two saves is refused, and only with its optimiser', async (t) => {
  const policy = await tinyPolicy();
  const first = await saved(t, policy);
  await policy.update(batch, options);
  const second = await saved(t, policy);
  await copyFile(path.join(second, 'model.safetensors'), path.join(first, 'model.safetensors'));
  const runtime = await cpuRuntime();
  await t.throwsAsync(NativePolicy.load(first, {runtime, optimizer: true}), {
    code: 'ILR_INVALID_MODEL',
    message: /mixes two saves/,
  });
  await t.notThrowsAsync(NativePolicy.load(first, {runtime}));
});

test('what cannot be is refused by name', async (t) => {
  const refused = async (kind: object, code: string, message: RegExp) =>
    t.throwsAsync(tinyPolicy('qwen2', kind as NativePolicyOptions), {code, message});
  await refused({dtype: 'float16'}, 'ILR_UNSUPPORTED', /float16.*bfloat16/);
  await refused({optimizerKind: 'lean'}, 'ILR_UNSUPPORTED', /bfloat16/);
  await refused({optimizerKind: 'sgd'}, 'ILR_INVALID_ARGUMENT', /adamw or lean/);
  await refused({moments: 'int4'}, 'ILR_INVALID_ARGUMENT', /int8/);
  const policy = await tinyPolicy();
  await t.throwsAsync(policy.update(batch, {...options, schedule: 'cosine', warmupSteps: 5, totalSteps: 5}), {
    code: 'ILR_INVALID_ARGUMENT',
    message: /totalSteps/,
  });
});
