import test from 'ava';
import {stepBaselines} from '../../src/learn/baseline.js';
import type {TrainableGroup} from '../../src/learn/batch.js';
import type {Stage} from '../../src/types.js';
import {rewardedGroup} from '../helpers/groups.js';

function trainable(rewards: readonly number[], stage: Stage = 'solo'): TrainableGroup {
  const group = rewardedGroup(0, 'q', rewards, stage);
  return {group, rollouts: group.rollouts, rewards};
}

test('the average starts at the first mean, and moves after it was used, each stage by itself', (t) => {
  const first = stepBaselines([trainable([0, 1]), trainable([1, 1]), trainable([0.5, 0.1], 'fusion')], undefined, 0.9);
  t.deepEqual(first, {used: [0.75, 0.3], next: [0.75, 0.3]});
  const second = stepBaselines([trainable([0, 0, 1, 0])], first.next, 0.9);
  t.is(second.used[0], 0.75);
  // 0.9 · 0.75 + 0.1 · 0.25
  t.true(Math.abs((second.next[0] as number) - 0.7) < 1e-15);
  // no fusion in this step
  t.deepEqual([second.used[1], second.next[1]], [0.3, 0.3]);
});

test('a stage without any reward yet has no average', (t) => {
  t.deepEqual(stepBaselines([trainable([0, 1])], undefined, 0.5).next, [0.5, null]);
  t.deepEqual(stepBaselines([], [null, 2], 0.5), {used: [0, 2], next: [null, 2]});
});
