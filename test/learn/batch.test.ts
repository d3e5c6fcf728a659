import test from 'ava';
import {buildBatches, type TrainableGroup, trainableRollouts} from '../../src/learn/batch.js';
import {Random} from '../../src/random.js';
import type {Stage} from '../../src/types.js';
import {rewardedGroup} from '../helpers/groups.js';

function trainable(question: string, rewards: readonly number[], stage: Stage = 'solo'): TrainableGroup {
  const group = rewardedGroup(0, question, rewards, stage);
  return {group, rollouts: group.rollouts, rewards: rewards.map((reward) => 10 + reward)};
}

const random = () => new Random({seed: 1, purpose: 'minibatch'});
const options = {minibatches: 1, soloWeight: 1, fusionWeight: 0.5};

test('a group’s prompt stands once, its completions with rewards, group, stage and sampler log-probs', (t) => {
  const [batch] = buildBatches([trainable('ab', [0, 1], 'fusion')], {...options, random: random()});
  t.deepEqual([...(batch?.prompts.ids ?? [])], [97, 98]);
  t.deepEqual([...(batch?.prompts.offsets ?? [])], [0, 2]);
  t.deepEqual([...(batch?.completions.ids ?? [])], [0, 1, 2]);
  t.deepEqual([...(batch?.completions.offsets ?? [])], [0, 1, 3]);
  t.deepEqual([...(batch?.completions.promptIndex ?? [])], [0, 0]);
  t.deepEqual([...(batch?.completions.mask ?? [])], [1, 1, 1]);
  t.deepEqual([...(batch?.completions.samplerLogprobs ?? [])], [-1, -2, -2]);
  t.deepEqual([...(batch?.rewards ?? [])], [10, 11]);
  t.deepEqual([...(batch?.groupIndex ?? [])], [0, 0]);
  t.deepEqual([...(batch?.extraAdvantage ?? [])], [0, 0]);
  t.deepEqual([...(batch?.stage ?? [])], [1, 1]);
  t.deepEqual([...(batch?.stageWeights ?? [])], [1, 0.5]);
});

test('minibatches share the groups, each in exactly one, sizes at most one apart', (t) => {
  const groups = ['a', 'b', 'c', 'd', 'e'].map((name) => trainable(name, [0, 1]));
  const batches = buildBatches(groups, {...options, minibatches: 2, random: random()});
  t.deepEqual(
    batches.map((batch) => batch.prompts.offsets.length - 1),
    [3, 2],
  );
  const prompts = batches.flatMap((batch) => [...batch.prompts.ids]).sort((a, b) => a - b);
  t.deepEqual(prompts, [97, 98, 99, 100, 101]);
  t.deepEqual(buildBatches(groups, {...options, minibatches: 2, random: random()}), batches);
});

test('no minibatch is empty', (t) => {
  t.is(buildBatches([trainable('a', [0, 1])], {...options, minibatches: 4, random: random()}).length, 1);
  t.is(buildBatches([], {...options, minibatches: 4, random: random()}).length, 0);
});

test('a truncated completion keeps its reward and is not trained, on request', (t) => {
  const whole = trainable('a', [0, 1, 1]);
  const rollouts = whole.rollouts.map((rollout, k) =>
    k === 1 ? {...rollout, completion: {...rollout.completion, finishReason: 'length' as const}} : rollout,
  );
  const [batch] = buildBatches([{...whole, rollouts}], {...options, random: random(), maskTruncated: true});
  t.deepEqual([...(batch?.completions.mask ?? [])], [1, 0, 0, 1, 1, 1]);
  t.deepEqual([...(batch?.rewards ?? [])], [10, 11, 11]);
  const [plain] = buildBatches([{...whole, rollouts}], {...options, random: random()});
  t.deepEqual([...(plain?.completions.mask ?? [])], [1, 1, 1, 1, 1, 1]);
});

test('tokens of the whole batch: each stage’s trained tokens over the number of minibatches', (t) => {
  // 3 tokens a group of two, 6 a group of three
  const groups = [
    ...['a', 'b', 'c'].map((name) => trainable(name, [0, 1])),
    trainable('d', [0, 1, 0], 'fusion'),
    trainable('e', [0, 1], 'fusion'),
  ];
  const batches = buildBatches(groups, {...options, minibatches: 2, random: random(), tokenCount: 'batch'});
  for (const {stageTokens} of batches) t.deepEqual([...(stageTokens ?? [])], [4.5, 4.5]);
  // without any fusion its count divides nothing, and must not be 0
  const solo = buildBatches(groups.slice(0, 2), {...options, random: random(), tokenCount: 'batch'});
  t.deepEqual([...(solo[0]?.stageTokens ?? [])], [6, 1]);
  const own = buildBatches(groups, {...options, minibatches: 2, random: random()});
  for (const batch of own) t.false('stageTokens' in batch);
});

test('a baseline per stage stands beside each reward', (t) => {
  const groups = [trainable('a', [0, 1]), trainable('b', [1, 1], 'fusion')];
  for (const batch of buildBatches(groups, {...options, random: random(), baselines: [0.25, 0.5]})) {
    t.deepEqual(
      [...(batch.baseline ?? [])],
      [...batch.stage].map((stage) => [0.25, 0.5][stage]),
    );
  }
});

test('failed rollouts are left out, and a group with one left', (t) => {
  t.is(trainableRollouts(rewardedGroup(0, 'a', [0, undefined, 1])).length, 2);
  t.is(trainableRollouts(rewardedGroup(0, 'a', [0, undefined, undefined])).length, 0);
});
