import test from 'ava';
import {formatReward} from '../../src/reward/format.js';
import {lengthReward} from '../../src/reward/length.js';
import {repeatedShare, repetitionReward} from '../../src/reward/repetition.js';
import {rewardInput} from '../helpers/reward-input.js';

/** The parts that judge a form, not an answer. */

const yes = {isWellFormed: true, reward: 1};
const no = {isWellFormed: false, reward: 0};

test('format: a filled box, by which the answer ended itself', (t) => {
  const reward = formatReward({});
  t.deepEqual(reward(rewardInput('so \\boxed{3}')), yes);
  t.deepEqual(reward(rewardInput('so \\boxed{ }')), no);
  t.deepEqual(reward(rewardInput('so 3')), no);
  t.deepEqual(reward(rewardInput('so \\boxed{3}', {finishReason: 'length'})), no);
});

for (const [text, expected] of [
  ['<think>a</think><answer>b</answer>', yes],
  [' <think>\na\n</think>\n\n<answer>\nb\n</answer>\n', yes],
  ['<think></think><answer></answer>', yes],
  ['<answer>b</answer><think>a</think>', no],
  ['<think>a</think>', no],
  ['<think>a</think><answer>b', no],
  ['<think>a</think>so <answer>b</answer>', no],
  ['<think>a</think><answer>b</answer> indeed', no],
  ['<think>a</think><think>a</think><answer>b</answer>', no],
  ['<think>a<answer>b</answer></think><answer>b</answer>', no],
  ['<think>a<think></think><answer>b</answer>', no],
  ['a</think><answer>b</answer>', no],
  ['', no],
] as const) {
  test(`format: tags, of ${JSON.stringify(text)}`, (t) => {
    t.deepEqual(formatReward({tags: ['think', 'answer']})(rewardInput(text)), expected);
  });
}

test('format: a pattern sees whole texts, with line breaks, up to a bound', (t) => {
  const reward = formatReward({pattern: '^Answer: .+$'});
  t.deepEqual(reward(rewardInput('Answer: 3\nor 4')), yes);
  t.deepEqual(reward(rewardInput('The Answer: 3')), no);
  t.deepEqual(reward(rewardInput(`Answer: ${'3'.repeat(99_992)}`)), yes);
  t.deepEqual(reward(rewardInput(`Answer: ${'3'.repeat(99_993)}`)), no);
});

test('length: 0 up to the cache, then down to −1, by the stage’s longest or by its own', (t) => {
  const ids = (length: number) => Array.from({length}, () => 1);
  const scores = (reward: ReturnType<typeof lengthReward>, maxNewTokens?: number) =>
    [0, 12, 13, 14, 16, 20].map((length) => reward(rewardInput('', {ids: ids(length), maxNewTokens})));
  t.deepEqual(scores(lengthReward({cache: 4}), 16), [0, 0, -0.25, -0.5, -1, -1]);
  t.deepEqual(scores(lengthReward({cache: 4, maxTokens: 14}), 16), [0, -0.5, -0.75, -1, -1, -1]);
  t.throws(() => lengthReward({cache: 4})(rewardInput('')), {code: 'ILR_INVALID_ARGUMENT', message: /maxTokens/});
});

test('repetition: minus the share of n-grams that stood before', (t) => {
  // a b c, b c a, c a b, a b c: three of four differ
  t.is(repeatedShare(['a', 'b', 'c', 'a', 'b', 'c'], 3), 0.25);
  t.is(repeatedShare(['a', 'b'], 3), 0);
  t.is(repeatedShare(['a', 'a', 'a', 'a', 'a'], 1), 0.8);
  const words = repetitionReward();
  t.is(words(rewardInput('A b  c\na B c')), -0.25);
  t.is(words(rewardInput('a b')), 0);
  t.is(words(rewardInput('')), 0);
  const tokens = repetitionReward({ngram: 2, unit: 'tokens'});
  // 1 2, 2 1, 1 2, 2 12: three of four differ; 1|2 and 12 are not the same
  t.is(tokens(rewardInput('', {ids: [1, 2, 1, 2, 12]})), -0.25);
});
