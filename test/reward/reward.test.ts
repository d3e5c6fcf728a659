import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test from 'ava';
import {exactReward} from '../../src/reward/exact.js';
import {gradeGroup, ungradable} from '../../src/reward/grade.js';
import {numericReward} from '../../src/reward/numeric.js';
import {loadRewardFunction} from '../../src/reward/reward.js';
import type {RewardFunction, UngradedGroup} from '../../src/types.js';

const weights = {correct: 1, wellFormed: 0.1, none: 0};

function groupOf(texts: readonly string[]): UngradedGroup {
  return {
    question: {id: 'q', text: '1+2=?', answer: '3'},
    agent: 0,
    stage: 'solo',
    promptIds: Int32Array.of(1),
    texts,
    completions: texts.map((_, index) => ({
      index,
      ids: Int32Array.of(1, 2),
      logprobs: Float32Array.of(-1, -1),
      finishReason: 'stop',
    })),
  };
}

const rewardsOf = async (reward: RewardFunction, texts: readonly string[]) =>
  (await gradeGroup(groupOf(texts), {reward, weights, timeoutMs: 20})).rollouts.map(
    ({reward: value, failure}) => failure ?? value,
  );

test('the configuration weighs correct, well-formed and neither', async (t) => {
  t.deepEqual(await rewardsOf(numericReward, ['\\boxed{3}', '\\boxed{4}', '3']), [1, 0.1, 0]);
});

test('a reward of its own goes before the weights', async (t) => {
  const reward: RewardFunction = ({text}) => ({isCorrect: true, isWellFormed: true, reward: text.length});
  t.deepEqual(await rewardsOf(reward, ['ab', 'abc']), [2, 3]);
});

test('a rollout whose reward function throws, is late, declines or returns nonsense fails alone', async (t) => {
  const reward = (({text}: {readonly text: string}) => {
    if (text === 'throw') throw new Error('no luck');
    if (text === 'reject') return Promise.reject(new Error('no luck either'));
    if (text === 'late') return new Promise(() => {});
    if (text === 'decline') return null;
    if (text === 'nonsense') return {isCorrect: 'yes'};
    if (text === 'infinite') return {isCorrect: true, isWellFormed: true, reward: Number.POSITIVE_INFINITY};
    return {isCorrect: true, isWellFormed: true};
  }) as RewardFunction;
  const results = await rewardsOf(reward, ['throw', 'reject', 'late', 'decline', 'nonsense', 'infinite', 'good']);
  t.is(results[0], 'no luck');
  t.is(results[1], 'no luck either');
  t.regex(`${results[2]}`, /within 20 ms/);
  t.is(results[3], ungradable);
  t.regex(`${results[4]}`, /Expected a reward function to return .*got \{"isCorrect":"yes"\}/);
  t.regex(`${results[5]}`, /finite/);
  t.is(results[6], 1);
});

test('a reward function is named, or a module beside the configuration', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ilr-reward-'));
  t.teardown(() => rm(folder, {recursive: true}));
  await writeFile(join(folder, 'good.mjs'), 'export default () => ({isCorrect: true, isWellFormed: true});');
  await writeFile(join(folder, 'bad.mjs'), 'export default 3;');
  t.is(await loadRewardFunction('numeric', folder), numericReward);
  t.is(await loadRewardFunction('exact', folder), exactReward);
  t.deepEqual(await rewardsOf(await loadRewardFunction('./good.mjs', folder), ['x']), [1]);
  await t.throwsAsync(loadRewardFunction('bad.mjs', folder), {code: 'ILR_INVALID_CONFIG', message: /got number/});
  await t.throwsAsync(loadRewardFunction('none.mjs', folder), {
    code: 'ILR_INVALID_CONFIG',
    message: /none\.mjs, where there is nothing$/,
  });
  await writeFile(join(folder, 'broken.mjs'), 'export default (');
  await t.throwsAsync(loadRewardFunction('broken.mjs', folder), {
    message: /broken\.mjs did not load: Unexpected/,
  });
});
