import test from 'ava';
import {samplingKeys} from '../src/config-sampling.js';
import type {SamplingOptions} from '../src/policy.js';
import {changesOf, samplingOptions, textOf, withSampling} from '../src/sampling.js';
import {train} from '../src/train.js';
import type {AgentText, StepMetrics, TrainEvent} from '../src/types.js';
import {byteText, scriptedAgent} from './helpers/scripted-policy.js';
import {sums, sumsAgents, sumsConfig} from './helpers/sums.js';

const table = {
  bytes: Uint8Array.from({length: 256}, (_, byte) => byte),
  offsets: Int32Array.from({length: 261}, (_, id) => Math.min(id, 256)),
};
const text: AgentText = {...byteText, tokenBytes: () => table};

test('settings that change nothing become no options', (t) => {
  t.deepEqual(samplingOptions(text, samplingKeys.parse({})), {});
  t.deepEqual(changesOf({}), []);
  t.deepEqual(changesOf({topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, stopStrings: ['a']}), []);
  t.deepEqual(changesOf({topP: 0.9, repetitionPenalty: 1.1}), ['topP', 'repetitionPenalty']);
});

test('settings become token ids', (t) => {
  const options = samplingOptions(
    text,
    samplingKeys.parse({topP: 0.9, logitBias: {65: -5, 7: 2}, badWords: ['no', [1, 2, 3]], stopStrings: ['END']}),
  );
  t.deepEqual(options, {
    topP: 0.9,
    logitBias: {ids: Int32Array.of(7, 65), values: Float64Array.of(2, -5)},
    // " no" is three tokens of this tokenizer, one more than "no": they hold "no" anyway.
    badWords: {ids: Int32Array.of(110, 111, 1, 2, 3), offsets: Int32Array.of(0, 2, 5)},
    stopStrings: ['END'],
  } satisfies SamplingOptions);
  const pieces: AgentText = {...text, encode: (word) => Int32Array.of(word.startsWith(' ') ? 500 : 400)};
  t.deepEqual(samplingOptions(pieces, samplingKeys.parse({badWords: [' no']})).badWords?.ids, Int32Array.of(400, 500));
});

test('the text of a completion ends before its stop string', (t) => {
  const ids = Int32Array.from(Buffer.from('6 ≠ 7. END of it'));
  t.is(textOf(text, {ids}), '6 ≠ 7. END of it');
  t.is(textOf(text, {ids, textBytes: 9}), '6 ≠ 7. ');
  const stripping: AgentText = {...text, decode: (all) => byteText.decode(all).trimStart()};
  t.is(textOf(stripping, {ids: Int32Array.from(Buffer.from(' yes END')), textBytes: 5}), 'yes ');
  t.is(textOf(text, {ids: Int32Array.of(65, 900, 66), textBytes: 1}), 'A');
});

test('an agent with stop strings hands its policy what tokens write', async (t) => {
  const agent = {...scriptedAgent('ann', () => 'x'), text};
  const same = await withSampling(agent, undefined);
  t.is(same, agent);
  const {sampling, stopIds} = await withSampling(agent, samplingKeys.parse({stopStrings: ['a'], stopIds: [7]}));
  t.deepEqual(sampling, {stopStrings: ['a']});
  t.deepEqual(stopIds, [7]);
  t.is(agent.policy.tokenBytes, table);
  const bare = scriptedAgent('bob', () => 'x');
  const error = await t.throwsAsync(withSampling(bare, samplingKeys.parse({stopStrings: ['a']})), {
    code: 'ILR_UNSUPPORTED',
  });
  t.regex(error?.message as string, /bob/);
});

async function run(
  sampling: readonly (SamplingOptions | undefined)[],
  overrides: Parameters<typeof sumsConfig>[0] = {},
) {
  const warnings: string[] = [];
  const metrics: StepMetrics[] = [];
  const agents = sumsAgents().map((agent, i) => ({...agent, sampling: sampling[i], stopIds: [3]}));
  const onEvent = (event: TrainEvent) => {
    if (event.type === 'warning') warnings.push(event.message);
    if (event.type === 'step') metrics.push(event.metrics);
  };
  await train({
    config: sumsConfig({steps: 1, difficulty: {estimator: 'field'}, ...overrides}),
    agents,
    questions: {train: sums, test: sums.slice(0, 4)},
    onEvent,
  });
  return {warnings, metrics, agents};
}

test('training on samples of another distribution warns, and the metrics say so', async (t) => {
  const {warnings, metrics, agents} = await run([{topP: 0.9, minP: 0.1}, {stopStrings: ['a']}]);
  t.is(warnings.filter((warning) => /ann draws with topP, minP/.test(warning)).length, 1);
  t.false(warnings.some((warning) => /bob draws/.test(warning)));
  t.is(metrics[1]?.['ann/sampling/changed'], 1);
  t.false('bob/sampling/changed' in (metrics[1] as object));
  t.true(
    agents[0]?.policy.requests.every(({topP, minP, stopIds}) => topP === 0.9 && minP === 0.1 && stopIds.includes(3)),
  );
});

test('evaluations may draw otherwise than training', async (t) => {
  const {agents, warnings} = await run([undefined, undefined], {
    eval: {temperature: 0.5, sampling: {topK: 5}, samples: 1},
  });
  t.false(warnings.some((warning) => /draws with/.test(warning)));
  const requests = agents[0]?.policy.requests ?? [];
  const evaluated = requests.filter(({topK}) => topK === 5);
  t.is(evaluated.length, 4, 'greedy and sampled, before and after');
  t.deepEqual([...new Set(evaluated.map(({temperature}) => temperature))].sort(), [0, 0.5]);
  t.true(requests.some(({topK, temperature}) => topK === undefined && temperature === 1));
});

test('wrong settings are refused with their place', (t) => {
  for (const bad of [
    {topP: 0},
    {minP: 2},
    {repetitionPenalty: 0},
    {logitBias: {a: 1}},
    {badWords: ['']},
    {stopStrings: ['']},
    {topk: 1},
  ])
    t.false(samplingKeys.safeParse(bad).success, JSON.stringify(bad));
});
