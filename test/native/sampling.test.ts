import test from 'ava';
import type {GenerateRequest, SamplingOptions} from '../../src/policy.js';
import {tinyPolicy} from '../helpers/native.js';
import {collect, ragged, streams} from '../helpers/tiny-model.js';

const prompt = [3, 14, 15, 9, 26];
const request = (options: Partial<GenerateRequest> = {}): GenerateRequest => ({
  prompts: ragged([prompt]),
  samplesPerPrompt: 12,
  streams: streams(12),
  maxNewTokens: 24,
  temperature: 1,
  stopIds: [],
  ...options,
});

/** Token i writes one letter, of which there are eight; the last eight tokens write nothing. */
const letters = Array.from({length: 56}, (_, id) => 'abcdefgh'[id % 8] as string);
const table = {
  bytes: Uint8Array.from(letters.join(''), (letter) => letter.charCodeAt(0)),
  offsets: Int32Array.from({length: 57}, (_, i) => i),
};
const textOf = (ids: Iterable<number>) => [...ids].map((id) => letters[id] ?? '').join('');

test('each sampling option changes what is drawn, and top-k 1 draws what greedy takes', async (t) => {
  const policy = await tinyPolicy('llama');
  const tokens = async (options: Partial<GenerateRequest>) =>
    (await collect(policy.generate(request(options)))).map(({ids}) => [...ids]);
  const plain = await tokens({});
  const all: Record<string, SamplingOptions> = {
    topK: {topK: 3},
    topP: {topP: 0.5},
    minP: {minP: 0.2},
    repetitionPenalty: {repetitionPenalty: 1.5},
    logitBias: {logitBias: {ids: Int32Array.of(5, 6), values: Float64Array.of(4, -3)}},
    badWords: {badWords: ragged([[plain[0]?.[0] as number]])},
  };
  for (const [name, options] of Object.entries(all)) t.notDeepEqual(await tokens(options), plain, name);
  t.deepEqual(await tokens({topK: 1}), await tokens({temperature: 0}));
  t.deepEqual(await tokens({temperature: 0, topP: 0.1, topK: 5, minP: 0.9}), await tokens({temperature: 0}));
  t.deepEqual(await tokens({topP: 1, topK: 0, minP: 0, repetitionPenalty: 1, batchInvariant: true}), plain);
});

test('a stop string ends a completion with the token that completes it; the ids stay as they were sampled', async (t) => {
  const policy = await tinyPolicy('qwen2');
  const whole = await collect(policy.generate(request()));
  const error = await t.throwsAsync(collect(policy.generate(request({stopStrings: ['ab']}))), {
    code: 'ILR_INVALID_ARGUMENT',
  });
  t.regex(error?.message as string, /setTokenBytes/);
  await policy.setTokenBytes(table);
  const stopStrings = ['ab', 'cde', 'hh'];
  let stopped = 0;
  for (const {index, ids, finishReason, stopString, textBytes} of await collect(
    policy.generate(request({stopStrings})),
  )) {
    t.deepEqual([...ids], [...(whole[index]?.ids ?? [])].slice(0, ids.length));
    const text = textOf(ids);
    const found = /ab|cde|hh/.exec(text);
    t.is(finishReason, found ? 'stop' : 'length');
    t.is(textBytes, found?.index);
    t.is(stopString === undefined ? undefined : stopStrings[stopString], found?.[0]);
    if (found) stopped++;
  }
  t.true(stopped > 3 && stopped < 12, `${stopped}`);
});

test('wrong sampling options are refused by name', async (t) => {
  const policy = await tinyPolicy('qwen2');
  await policy.setTokenBytes(table);
  const wrong: readonly (readonly [RegExp, object])[] = [
    [/topP/, {topP: 0}],
    [/topP/, {topP: '0.9'}],
    [/topK/, {topK: 1.5}],
    [/minP/, {minP: 2}],
    [/repetitionPenalty/, {repetitionPenalty: Number.NaN}],
    [/logitBias\.ids/, {logitBias: {ids: [1], values: Float64Array.of(1)}}],
    [/logitBias\.values/, {logitBias: {ids: Int32Array.of(1), values: new Float64Array(2)}}],
    [/badWords/, {badWords: {ids: Int32Array.of(64), offsets: Int32Array.of(0, 1)}}],
    [/stopStrings/, {stopStrings: 'ab'}],
    [/stopStrings\[1\]/, {stopStrings: ['ab', '']}],
    [/stopStrings\[0\].*0x7A/, {stopStrings: ['z']}],
    [/stopStrings\[0\].*U\+FFFD/, {stopStrings: ['a\ud83d']}],
    [/stopStrings\[0\].*1024/, {stopStrings: ['a'.repeat(1e6)]}],
    [/batchInvariant/, {batchInvariant: 'yes'}],
  ];
  for (const [message, options] of wrong) {
    const error = await t.throwsAsync(collect(policy.generate(request(options))), {code: 'ILR_INVALID_ARGUMENT'});
    t.regex(error?.message as string, message);
  }
  for (const bad of [
    {},
    {bytes: table.bytes},
    {...table, offsets: Int32Array.of(0, 5)},
    {...table, offsets: new Int32Array(66)},
  ])
    await t.throwsAsync(policy.setTokenBytes(bad as typeof table), {
      code: 'ILR_INVALID_ARGUMENT',
      message: /tokenBytes/,
    });
});
