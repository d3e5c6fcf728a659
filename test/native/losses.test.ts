import test from 'ava';
import type {NativePolicy} from '../../src/native/native-policy.js';
import type {TrainingBatch, UpdateOptions, UpdateResult} from '../../src/policy.js';
import {tinyPolicy} from '../helpers/native.js';
import {collect, ragged, streams, trainingBatch} from '../helpers/tiny-model.js';

/** That each option of the losses reaches the core under its own name; the numbers are held in native/test/loss_test.cpp. */

const prompts = [
  [3, 7, 11],
  [5, 9, 2, 40],
];

/** Two groups of four, 1 to 8 of 8 tokens trained, off-policy: sampler, old and reference log-probs lie around the policy's own. */
async function offPolicyBatch(policy: NativePolicy): Promise<TrainingBatch> {
  const completions = await collect(
    policy.generate({
      prompts: ragged(prompts),
      samplesPerPrompt: 4,
      streams: streams(8),
      maxNewTokens: 8,
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
      reward: [1, 0, 0, 0.2, 0.5, 1, 0.1, 0][index] as number,
    })),
  );
  const own = batch.completions.samplerLogprobs;
  const around = (shifts: readonly number[]) => own.map((value, i) => value - (shifts[i % shifts.length] as number));
  return {
    ...batch,
    completions: {
      ...batch.completions,
      mask: batch.completions.mask.map((_, i) => (i % 8 >= Math.floor(i / 8) ? 1 : 0)),
      samplerLogprobs: around([0.9, 0.3, -0.4, 0, -0.6, 0.5, 0.1]),
      oldLogprobs: around([0.6, 0, -0.5, 0.1, -0.2, 0.6, -0.3]),
      refLogprobs: around([0.2, -0.3, 0.5, 0.1, -0.7]),
    },
  };
}

const base: UpdateOptions = {loss: 'dapo', learningRate: 0};
const changes: readonly (readonly [Partial<UpdateOptions>, Partial<UpdateOptions>])[] = [
  ...(['bnpo', 'grpo', 'dr_grpo', 'cispo', 'sapo', 'vespo'] as const).map(
    (loss) => [{maxCompletionTokens: 7}, {maxCompletionTokens: 7, loss}] as const,
  ),
  [{}, {ratio: 'sequence'}],
  [{ratio: 'sequence'}, {ratio: 'sequence', loss: 'luspo'}],
  [{}, {epsilonLow: 0.5}],
  [{}, {epsilonHigh: 0.9}],
  [{}, {delta: 1.5}],
  [{loss: 'cispo'}, {loss: 'cispo', cispoCap: 1.2}],
  [{loss: 'sapo'}, {loss: 'sapo', sapoTemperaturePositive: 2}],
  [{loss: 'sapo'}, {loss: 'sapo', sapoTemperatureNegative: 2}],
  [{loss: 'vespo'}, {loss: 'vespo', vespoKPositive: 1}],
  [{loss: 'vespo'}, {loss: 'vespo', vespoLambdaPositive: 1}],
  [{loss: 'vespo'}, {loss: 'vespo', vespoKNegative: 1}],
  [{loss: 'vespo'}, {loss: 'vespo', vespoLambdaNegative: 1}],
  [
    {loss: 'dr_grpo', maxCompletionTokens: 7},
    {loss: 'dr_grpo', maxCompletionTokens: 8},
  ],
  [{}, {beta: 0.3}],
  [{beta: 0.3}, {beta: 0.3, kl: 'k1'}],
  [{beta: 0.3}, {beta: 0.3, kl: 'k2'}],
  [{beta: 0.3}, {beta: 0.3, klUnbiased: true}],
  [{}, {entropyBonus: 0.5}],
  [{}, {topEntropyFraction: 0.3}],
  ...(['token_truncate', 'token_mask', 'sequence_truncate', 'sequence_mask'] as const).flatMap(
    (importanceCorrection) => [
      [{}, {importanceCorrection, importanceMax: 1.2, importanceMin: 0.8}] as const,
      [
        {importanceCorrection, importanceMax: 1.2},
        {importanceCorrection, importanceMax: 1.2, importanceMin: 0.8},
      ] as const,
    ],
  ),
  [{}, {offPolicyThreshold: -1}],
  [{}, {baseline: 'leave-one-out'}],
  [{}, {scale: 'batch'}],
  [{}, {scale: 'none'}],
  [{}, {std: 'sample'}],
  [{}, {stdEpsilon: 0.1}],
];

const report = ({loss, gradNorm, ratioMax}: UpdateResult) => [loss, gradNorm, ratioMax];

test('each loss and option changes the gradient', async (t) => {
  const policy = await tinyPolicy();
  const batch = await offPolicyBatch(policy);
  for (const [before, after] of changes) {
    const [one, two] = [
      await policy.update(batch, {...base, ...before}),
      await policy.update(batch, {...base, ...after}),
    ];
    // bnpo is dapo without stageTokens.
    const same = 'loss' in after && after.loss === 'bnpo';
    t.is(
      Math.abs(two.gradNorm / one.gradNorm - 1) < 1e-3,
      same,
      JSON.stringify([before, after, report(one), report(two)]),
    );
    t.false(two.skipped);
  }
});

test('the arrays that a batch may hold reach the core', async (t) => {
  const policy = await tinyPolicy();
  const batch = await offPolicyBatch(policy);
  const {oldLogprobs, refLogprobs, ...rest} = batch.completions;
  const norm = async (other: Partial<TrainingBatch>, options: Partial<UpdateOptions> = {}) =>
    (await policy.update({...batch, ...other}, {...base, ...options})).gradNorm;
  const whole = await norm({});
  t.not(await norm({completions: {...rest, ...(refLogprobs && {refLogprobs})}}), whole, 'oldLogprobs');
  t.is(await norm({completions: {...rest, ...(oldLogprobs && {oldLogprobs})}}), whole, 'a reference without beta');
  t.true(Math.abs((await norm({stageTokens: Float64Array.of(18)})) / whole - 2) < 1e-4, 'half of the tokens');
  t.not(await norm({baseline: new Float64Array(8).fill(0.3)}, {baseline: 'given'}), whole, 'baseline');
});

test('the report holds what the options have, and NaN otherwise', async (t) => {
  const policy = await tinyPolicy();
  const batch = await offPolicyBatch(policy);
  const {oldLogprobs, refLogprobs, ...rest} = batch.completions;
  const plain = await policy.update({...batch, completions: rest}, base);
  for (const name of [
    'kl',
    'importanceMean',
    'importanceMax',
    'offPolicyDroppedFraction',
    'entropyDroppedFraction',
  ] as const) {
    t.is(plain[name], Number.NaN, name);
  }
  const all = await policy.update(batch, {
    ...base,
    beta: 0.1,
    importanceCorrection: 'token_truncate',
    importanceMax: 1.2,
    offPolicyThreshold: 0.1,
    topEntropyFraction: 0.5,
  });
  t.true(all.kl > 0);
  t.is(all.importanceMax, Math.fround(1.2));
  t.true(all.importanceMean > 0.5 && all.importanceMean < 1.2);
  t.true(all.offPolicyDroppedFraction >= 0 && all.offPolicyDroppedFraction < 1);
  t.true(Math.abs(all.entropyDroppedFraction - 0.5) < 0.05);
  t.is(all.ratioClippedFraction, all.ratioClippedLowFraction + all.ratioClippedHighFraction);
  t.true(all.ratioClippedHighFraction > 0 && all.ratioClippedLowFraction > 0);
  t.is(all.learningTokens, 36);
});

test('options that do not fit are refused by name', async (t) => {
  const policy = await tinyPolicy();
  const batch = await offPolicyBatch(policy);
  // biome-ignore lint/suspicious/noExplicitAny: what a JavaScript caller may pass
  const refused = async (options: any, message: RegExp, other: any = {}) =>
    t.throwsAsync(policy.update({...batch, ...other}, {...base, ...options}), {code: 'ILR_INVALID_ARGUMENT', message});
  await refused({loss: 'luspo'}, /ratio.*sequence/);
  await refused({loss: 'dr_grpo'}, /maxCompletionTokens/);
  await refused({loss: 'ppo'}, /loss.*grpo.*vespo/);
  await refused({ratio: 'word'}, /ratio.*token, sequence/);
  await refused({delta: 1}, /delta/);
  await refused({klUnbiased: 1}, /klUnbiased/);
  await refused({loss: 'vespo', importanceCorrection: 'sequence_mask'}, /importanceCorrection/);
  await refused({baseline: 'given'}, /baseline/);
  await refused({}, /baseline/, {baseline: new Float64Array(8)});
  await refused({}, /stageTokens/, {stageTokens: new Float64Array(0)});
  const {oldLogprobs, refLogprobs, ...rest} = batch.completions;
  await refused({beta: 0.1}, /refLogprobs/, {completions: rest});
  await refused({importanceCorrection: 'token_mask'}, /oldLogprobs/, {completions: rest});
});
