import {readFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {NativePolicy} from '../../src/native/native-policy.js';
import type {TrainingBatch} from '../../src/policy.js';
import {cpuRuntime, temporaryFolder, tinyPolicy} from '../helpers/native.js';
import {collect, largestDifference, ragged, score, streams, sum, trainingBatch} from '../helpers/tiny-model.js';

const prompts = [
  [3, 7, 11],
  [5, 9, 2, 40],
];

/** Two groups of four; `reward` of a completion by its index. */
async function rollouts(policy: NativePolicy, reward: (index: number) => number) {
  const completions = await collect(
    policy.generate({
      prompts: ragged(prompts),
      samplesPerPrompt: 4,
      streams: streams(8),
      maxNewTokens: 10,
      temperature: 1,
      stopIds: [],
    }),
  );
  const batch = trainingBatch(
    prompts,
    completions.map(({index, ids, logprobs}) => ({
      prompt: Math.floor(index / 4),
      ids,
      logprobs,
      reward: reward(index),
    })),
  );
  const pairs = completions.map(({index, ids}) => ({prompt: prompts[Math.floor(index / 4)] as number[], ids}));
  return {completions, batch, pairs};
}

async function weightsOf(t: ExecutionContext, policy: NativePolicy): Promise<Buffer> {
  const folder = await temporaryFolder(t);
  await policy.save(folder);
  return readFile(path.join(folder, 'model.safetensors'));
}

for (const family of ['qwen2', 'llama'] as const) {
  test(`${family}: rewarded completions become likelier than the others`, async (t) => {
    const policy = await tinyPolicy(family);
    const {batch, pairs} = await rollouts(policy, (index) => index % 2);
    const before = (await score(policy, pairs)).logprobs.map(sum);
    const result = await policy.update(batch, {loss: 'dapo', learningRate: 3e-3});
    const after = (await score(policy, pairs)).logprobs.map(sum);
    // Half of each group is rewarded: advantages are (±0.5)/(0.5 + 1e-6).
    result.advantages.forEach((advantage, i) => {
      t.true(Math.abs(advantage - (i % 2 === 1 ? 1 : -1)) < 1e-5);
    });
    const gain = after.map((value, i) => value - (before[i] as number));
    t.true(sum(gain.filter((_, i) => i % 2 === 1)) > 0);
    t.true(sum(gain.filter((_, i) => i % 2 === 0)) < 0);
    t.true(result.gradNorm > 0);
    t.false(result.skipped);
    t.is(result.step, 1);
    t.is(policy.info().step, 1);
    t.is(result.trainedTokens, 80);
    t.is(result.groups, 2);
    t.is(result.zeroSpreadGroups, 0);
  });
}

test('on its own fresh samples the ratio is one and nothing is clipped', async (t) => {
  const policy = await tinyPolicy();
  const {batch} = await rollouts(policy, (index) => index % 2);
  const result = await policy.update(batch, {loss: 'dapo', learningRate: 1e-3});
  t.true(Math.abs(result.ratioMean - 1) < 1e-4);
  t.true(result.samplerMaxAbsDiff < 1e-4);
  t.true(result.samplerKl >= 0 && result.samplerKl < 1e-6);
  t.is(result.ratioClippedFraction, 0);
  // The mean over tokens of −advantage, and the advantages of a group sum to zero at equal lengths.
  t.true(Math.abs(result.loss) < 1e-4);
});

test('sampler, scorer and a reloaded copy read the weights that the update wrote', async (t) => {
  const policy = await tinyPolicy();
  const {batch, completions} = await rollouts(policy, (index) => index % 2);
  await policy.update(batch, {loss: 'dapo', learningRate: 1e-2});
  const again = await rollouts(policy, () => 0);
  t.notDeepEqual(again.completions, completions);
  const scored = await score(policy, again.pairs);
  again.completions.forEach(({logprobs}, i) => {
    t.true(largestDifference(logprobs, scored.logprobs[i] as Float32Array) < 1e-4);
  });
  const folder = await temporaryFolder(t);
  await policy.save(folder);
  const reloaded = await NativePolicy.load(folder, {runtime: await cpuRuntime()});
  t.deepEqual((await score(reloaded, again.pairs)).logprobs, scored.logprobs);
  t.deepEqual((await rollouts(reloaded, () => 0)).completions, again.completions);
});

test('equal rewards give a gradient of exactly zero and change no bit of the weights', async (t) => {
  const policy = await tinyPolicy('llama');
  const {batch} = await rollouts(policy, () => 0.1);
  const before = await weightsOf(t, policy);
  const result = await policy.update(batch, {loss: 'dapo', learningRate: 1e-2});
  t.is(result.gradNorm, 0);
  t.is(result.zeroSpreadGroups, 2);
  t.deepEqual([...result.advantages], new Array(8).fill(0));
  t.true(before.equals(await weightsOf(t, policy)));
});

test('an extra advantage acts where rewards are equal', async (t) => {
  const policy = await tinyPolicy();
  const {batch} = await rollouts(policy, () => 0.1);
  const extraAdvantage = Float64Array.of(1, 0, 0, 0, 0, 0, 0, 0);
  const result = await policy.update({...batch, extraAdvantage}, {loss: 'dapo', learningRate: 1e-3});
  t.true(result.gradNorm > 0);
  t.deepEqual([...result.advantages], new Array(8).fill(0), 'told before the extra term');
});

test('nll makes its targets likelier', async (t) => {
  const policy = await tinyPolicy();
  const targets = [
    {prompt: [3, 7, 11], ids: Int32Array.of(20, 21, 22, 1)},
    {prompt: [5, 9], ids: Int32Array.of(30, 31, 1)},
  ];
  const batch = trainingBatch(
    targets.map(({prompt}) => prompt),
    targets.map(({ids}, prompt) => ({prompt, ids, reward: 0})),
  );
  const {logprobs} = await score(policy, targets);
  const losses: number[] = [];
  for (let i = 0; i < 40; i++) {
    losses.push((await policy.update(batch, {loss: 'nll', learningRate: 3e-3})).loss);
  }
  // The mean of −log-prob over the seven tokens.
  t.true(Math.abs((losses[0] as number) + sum(logprobs.map(sum)) / 7) < 1e-4);
  t.true((losses.at(-1) as number) < (losses[0] as number) / 4);
});

test('micro-batches change the gradient by rounding only, and each is told', async (t) => {
  const [whole, split] = [await tinyPolicy(), await tinyPolicy()];
  const {batch} = await rollouts(whole, (index) => (index * 0.37) % 1);
  const progress: [number, number][] = [];
  const one = await whole.update(batch, {loss: 'dapo', learningRate: 1e-3});
  const many = await split.update(batch, {
    loss: 'dapo',
    learningRate: 1e-3,
    microBatchTokens: 24,
    onProgress: (done, total) => progress.push([done, total]),
  });
  t.is(one.microBatches, 1);
  t.true(many.microBatches > 2);
  t.true(Math.abs(one.gradNorm / many.gradNorm - 1) < 1e-5);
  t.deepEqual(progress.at(-1), [many.microBatches, many.microBatches]);
});

test('the learning rate warms up over the first steps', async (t) => {
  const policy = await tinyPolicy();
  const {batch} = await rollouts(policy, (index) => index % 2);
  const rates: number[] = [];
  for (let i = 0; i < 5; i++) {
    rates.push((await policy.update(batch, {loss: 'dapo', learningRate: 1e-3, warmupSteps: 4})).learningRate);
  }
  t.deepEqual(
    rates.map((rate) => Math.round(rate * 1e6)),
    [250, 500, 750, 1000, 1000],
  );
});

test('a batch without a trained token is no step', async (t) => {
  const policy = await tinyPolicy();
  const {batch} = await rollouts(policy, (index) => index % 2);
  await policy.update(batch, {loss: 'dapo', learningRate: 1e-3});
  const before = await weightsOf(t, policy);
  const mask = new Uint8Array(batch.completions.ids.length);
  const result = await policy.update(
    {...batch, completions: {...batch.completions, mask}},
    {loss: 'dapo', learningRate: 1e-3},
  );
  t.is(result.trainedTokens, 0);
  t.is(result.step, 1);
  t.is(policy.info().step, 1);
  t.true(before.equals(await weightsOf(t, policy)));
});

test('a frozen policy refuses to learn', async (t) => {
  const policy = await tinyPolicy('qwen2', {trainable: false});
  const {batch} = await rollouts(policy, (index) => index % 2);
  await t.throwsAsync(policy.update(batch, {loss: 'dapo', learningRate: 1e-3}), {code: 'ILR_INVALID_ARGUMENT'});
});

test('stages weigh by their own token counts', async (t) => {
  // Two copies of one group, the second as another stage: with weights (1, 0) its gradient is that of the first alone.
  const [alone, staged] = [await tinyPolicy(), await tinyPolicy()];
  const {batch} = await rollouts(alone, (index) => index % 2);
  const solo = await alone.update(batch, {loss: 'dapo', learningRate: 1e-3});
  const twice = doubled(batch);
  const both = await staged.update(twice, {loss: 'dapo', learningRate: 1e-3});
  t.true(Math.abs(solo.gradNorm / both.gradNorm - 1) < 1e-5);
});

/** The batch with each completion again as stage 1, of weight 0. */
function doubled(batch: TrainingBatch): TrainingBatch {
  const twice = <A extends Float64Array | Float32Array | Int32Array | Uint8Array>(array: A): A => {
    const out = new (array.constructor as new (length: number) => A)(array.length * 2);
    out.set(array, 0);
    out.set(array, array.length);
    return out;
  };
  const {completions} = batch;
  const count = completions.promptIndex.length;
  const tokens = completions.ids.length;
  return {
    ...batch,
    completions: {
      ids: twice(completions.ids),
      offsets: Int32Array.from([
        ...completions.offsets,
        ...completions.offsets.slice(1).map((offset) => offset + tokens),
      ]),
      promptIndex: twice(completions.promptIndex),
      mask: twice(completions.mask),
      samplerLogprobs: twice(completions.samplerLogprobs),
    },
    rewards: twice(batch.rewards),
    groupIndex: twice(batch.groupIndex).map((group, i) => (i < count ? group : group + 100)),
    extraAdvantage: twice(batch.extraAdvantage),
    stage: Uint8Array.from({length: 2 * count}, (_, i) => (i < count ? 0 : 1)),
    stageWeights: Float64Array.of(1, 0),
  };
}
