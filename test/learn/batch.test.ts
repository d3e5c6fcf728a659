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

test('failed rollouts are left out, and a group with one left', (t) => {
  t.is(trainableRollouts(rewardedGroup(0, 'a', [0, undefined, 1])).length, 2);
  t.is(trainableRollouts(rewardedGroup(0, 'a', [0, undefined, undefined])).length, 0);
});
