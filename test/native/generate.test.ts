import test from 'ava';
import type {Completion} from '../../src/policy.js';
import {tinyPolicy} from '../helpers/native.js';
import {collect, largestDifference, ragged, score, streams, sum} from '../helpers/tiny-model.js';

const prompts = [
  [3, 7, 11],
  [5, 9, 2, 40, 33, 17],
  [8, 60],
];

function sample(
  policy: Awaited<ReturnType<typeof tinyPolicy>>,
  options: Partial<Parameters<typeof policy.generate>[0]> = {},
) {
  return policy.generate({
    prompts: ragged(prompts),
    samplesPerPrompt: 4,
    streams: streams(prompts.length * 4),
    maxNewTokens: 12,
    temperature: 1,
    stopIds: [],
    ...options,
  });
}

const promptOf = ({index}: Completion, samplesPerPrompt: number) =>
  prompts[Math.floor(index / samplesPerPrompt)] as number[];

for (const family of ['qwen2', 'llama'] as const) {
  for (const temperature of [0.7, 1, 1.3]) {
    test(`${family}: the sampler's log-probs equal those of logprobs at temperature ${temperature}`, async (t) => {
      const policy = await tinyPolicy(family);
      const completions = await collect(sample(policy, {temperature}));
      const pairs = completions.map((completion) => ({prompt: promptOf(completion, 4), ids: completion.ids}));
      const {logprobs} = await score(policy, pairs, temperature);
      t.is(completions.length, 12);
      completions.forEach((completion, i) => {
        // Cached and packed attention add in different orders: float32 over 2 layers.
        t.true(largestDifference(completion.logprobs, logprobs[i] as Float32Array) < 1e-4);
      });
      await policy.dispose();
    });
  }
}

test('greedy decoding takes the most likely token and repeats itself', async (t) => {
  const policy = await tinyPolicy();
  const greedy = {temperature: 0, samplesPerPrompt: 1, maxNewTokens: 8};
  const first = await collect(sample(policy, {...greedy, streams: streams(3, 1)}));
  const second = await collect(sample(policy, {...greedy, streams: streams(3, 2)}));
  t.deepEqual(first, second);
  for (const completion of first) {
    const prompt = promptOf(completion, 1);
    const rivals = Array.from({length: 64}, (_, id) => ({prompt, ids: Int32Array.of(id)}));
    const {logprobs} = await score(policy, rivals);
    const best = Math.max(...logprobs.map(([logprob]) => logprob as number));
    t.true(Math.abs((completion.logprobs[0] as number) - best) < 1e-4);
  }
});

test('a completion depends on its stream alone, whatever the order and number of its neighbours', async (t) => {
  const policy = await tinyPolicy('llama');
  const all = await collect(sample(policy));
  const tokens = (completions: readonly Completion[]) => completions.map(({ids}) => [...ids]);
  t.deepEqual(tokens(await collect(sample(policy, {maxSlots: 5}))), tokens(all));
  t.deepEqual(tokens(await collect(sample(policy, {maxSlots: 1}))), tokens(all));
  const reversed = await collect(
    sample(policy, {prompts: ragged(prompts.toReversed()), streams: streams(12).toReversed()}),
  );
  t.deepEqual(tokens(reversed.toReversed()), tokens(all));
  const alone = await collect(
    sample(policy, {prompts: ragged([prompts[1] as number[]]), samplesPerPrompt: 1, streams: streams(12).slice(6, 7)}),
  );
  t.deepEqual([...(alone[0] as Completion).ids], tokens(all)[6]);
});

test('equal prompts are computed once and slots are refilled without waiting', async (t) => {
  const policy = await tinyPolicy();
  const [a, b, c] = prompts as [number[], number[], number[]];
  const stopIds = Array.from({length: 8}, (_, i) => i * 8);
  const generation = sample(policy, {
    prompts: ragged([a, b, a, c]),
    streams: streams(16),
    maxSlots: 3,
    maxNewTokens: 30,
    stopIds,
  });
  const completions = await collect(generation);
  const counters = await generation.counters;
  const lengths = completions.map(({ids}) => ids.length);
  t.is(counters.prefillTokens, a.length + b.length + c.length);
  t.is(counters.decodeTokens, sum(lengths));
  t.is(counters.slots, 3);
  t.true(new Set(lengths).size > 1, 'lengths must differ for the bound to mean something');
  t.true(counters.decodeSteps <= Math.ceil(sum(lengths) / 3) + Math.max(...lengths));
  t.true(counters.peakBytes > 0);
});

test('a completion ends with its first stop id', async (t) => {
  const policy = await tinyPolicy();
  const stopIds = [4, 9, 21, 22, 35, 50, 51];
  const completions = await collect(
    sample(policy, {stopIds, maxNewTokens: 40, samplesPerPrompt: 8, streams: streams(24)}),
  );
  const stopped = completions.filter(({finishReason}) => finishReason === 'stop');
  t.true(stopped.length > 12);
  for (const {ids, finishReason} of completions) {
    t.false([...ids.slice(0, -1)].some((id) => stopIds.includes(id)));
    t.is(stopIds.includes(ids.at(-1) as number), finishReason === 'stop');
    if (finishReason === 'length') t.is(ids.length, 40);
  }
});

test('a completion ends where the context ends', async (t) => {
  const policy = await tinyPolicy(); // 96 positions
  const long = Array.from({length: 93}, (_, i) => (i * 7) % 64);
  const full = long.concat([1, 2]);
  const completions = await collect(
    sample(policy, {prompts: ragged([long, full]), samplesPerPrompt: 1, streams: streams(2)}),
  );
  t.deepEqual(
    completions.map(({ids, finishReason}) => [ids.length, finishReason]),
    [
      [3, 'context'],
      [1, 'context'],
    ],
  );
});

test('tokens are told as they come and completions as they end', async (t) => {
  const policy = await tinyPolicy();
  const told = new Map<number, number[]>();
  const generation = sample(policy, {
    maxSlots: 1,
    onToken: (index, id) => {
      told.set(index, [...(told.get(index) ?? []), id]);
    },
  });
  const order: number[] = [];
  for await (const completion of generation) {
    order.push(completion.index);
    t.deepEqual(told.get(completion.index), [...completion.ids]);
  }
  t.deepEqual(order, [...Array(12).keys()], 'one slot: in the order they were asked for');
});

test('an onToken that throws ends the generation with its error as the cause', async (t) => {
  const policy = await tinyPolicy();
  const cause = new Error('no more');
  const generation = sample(policy, {
    maxNewTokens: 90,
    onToken: () => {
      throw cause;
    },
  });
  const error = await t.throwsAsync(collect(generation), {code: 'ILR_ABORTED'});
  t.is(error?.cause, cause);
});

test('sampled frequencies follow exp(logprobs): chi-square at the 0.1 % level', async (t) => {
  const policy = await tinyPolicy('qwen2', {config: {vocab_size: 16, initializer_range: 0.05}});
  const draws = 8000;
  const prompt = [3, 7, 11];
  const completions = await collect(
    sample(policy, {prompts: ragged([prompt]), samplesPerPrompt: draws, streams: streams(draws), maxNewTokens: 2}),
  );
  const count = (ids: readonly (number | undefined)[]) =>
    Array.from({length: 16}, (_, id) => ids.filter((drawn) => drawn === id).length);
  const common = 5; // the second token's distribution is taken after this first one
  const first = completions.map(({ids}) => ids[0]);
  const second = completions.filter(({ids}) => ids[0] === common).map(({ids}) => ids[1]);
  for (const [observed, context] of [
    [count(first), prompt],
    [count(second), [...prompt, common]],
  ] as const) {
    const {logprobs} = await score(
      policy,
      observed.map((_, id) => ({prompt: [...context], ids: Int32Array.of(id)})),
    );
    const total = sum(observed);
    const expected = logprobs.map(([logprob]) => total * Math.exp(logprob as number));
    t.true(Math.min(...expected) > 5, 'chi-square needs five expected draws in each cell');
    t.true(Math.abs(sum(expected) - total) < 1e-3 * total);
    // 15 degrees of freedom: 37.7 is exceeded once in a thousand seeds, and this seed is fixed.
    t.true(sum(expected.map((mean, id) => ((observed[id] as number) - mean) ** 2 / mean)) < 37.7);
  }
});
