import test from 'ava';
import {areAdvantagesChanged, calibrate, calibrateStage, groupAdvantages} from '../../src/learn/calibration.js';
import {Random} from '../../src/random.js';
import {rewardedGroup} from '../helpers/groups.js';

const close = (values: readonly number[]) => values.map((value) => Number(value.toFixed(10)));

test('two agents: each reward moves by its place in the peer’s range', (t) => {
  const {rewards, clippedTerms, terms} = calibrate([0, 0.1, 1], [{mean: 0.4, min: 0.1, max: 1}], 2);
  // (0 − 0.4)/0.9, (0.1 − 0.4)/0.9, (1 − 0.4)/0.9
  t.deepEqual(close(rewards), close([-4 / 9, 0.1 - 1 / 3, 1 + 2 / 3]));
  t.deepEqual([clippedTerms, terms], [0, 3]);
});

test('two agents: a term is clipped to ±1', (t) => {
  const {rewards, clippedTerms} = calibrate([0, 0.1, 1], [{mean: 0.05, min: 0, max: 0.1}], 2);
  // −0.5, 0.5, 9.5 → 1
  t.deepEqual(close(rewards), [-0.5, 0.6, 2]);
  t.is(clippedTerms, 1);
});

test('three agents: each peer’s term is clipped to ±1/2, and they add up', (t) => {
  const peers = [
    {mean: 0.5, min: 0, max: 1},
    {mean: 0.25, min: 0, max: 1},
  ];
  const {rewards, clippedTerms, terms} = calibrate([0, 0.1, 1], peers, 3);
  // 0: −0.5 − 0.25; 0.1: −0.4 − 0.15; 1: 0.5 + 0.75 → 0.5
  t.deepEqual(close(rewards), [-0.75, -0.45, 2]);
  t.deepEqual([clippedTerms, terms], [1, 6]);
});

test('a peer without spread adds nothing', (t) => {
  const {rewards, zeroRangePeers, peers, terms} = calibrate([0, 1], [{mean: 1, min: 1, max: 1}], 2);
  t.deepEqual(rewards, [0, 1]);
  t.deepEqual([zeroRangePeers, peers, terms], [1, 1, 0]);
  t.deepEqual(calibrate([0, 1], [{mean: 1, min: 1 - 9e-7, max: 1}], 2).rewards, [0, 1]);
});

test('no reward, or one that is not finite, is refused', (t) => {
  t.throws(() => calibrate([], [], 2), {code: 'ILR_INVALID_ARGUMENT'});
  t.throws(() => calibrate([1, Number.NaN], [], 2), {code: 'ILR_INVALID_ARGUMENT', message: /NaN/});
});

test('equal rewards give zero advantage to every rollout, eight of 0.1 too', (t) => {
  t.deepEqual(groupAdvantages(new Array(8).fill(0.1)), new Array(8).fill(0));
});

test('the advantage is the distance from the mean in population standard deviations', (t) => {
  // mean 0.25, std sqrt(0.1875)
  const expected = [0.75, -0.25, -0.25, -0.25].map((value) => value / (Math.sqrt(0.1875) + 1e-6));
  t.deepEqual(close(groupAdvantages([1, 0, 0, 0])), close(expected));
});

test('with two-valued rewards calibration never changes the advantages', (t) => {
  const random = new Random({seed: 1, purpose: 'init'});
  const draw = () => Array.from({length: 8}, () => (random.next() < 0.4 ? 1 : 0));
  for (let i = 0; i < 500; i++) {
    const numAgents = 2 + (i % 3);
    const own = draw();
    const peers = Array.from({length: numAgents - 1}, draw).map((rewards) => ({
      mean: rewards.reduce((a: number, b) => a + b, 0) / 8,
      min: Math.min(...rewards),
      max: Math.max(...rewards),
    }));
    t.false(areAdvantagesChanged(own, calibrate(own, peers, numAgents).rewards));
  }
});

test('with three values a clipped term changes them, an unclipped one does not', (t) => {
  const clipped = calibrate([0, 0.1, 1], [{mean: 0.05, min: 0, max: 0.1}], 2).rewards;
  const affine = calibrate([0, 0.1, 1], [{mean: 0.4, min: 0.1, max: 1}], 2).rewards;
  t.true(areAdvantagesChanged([0, 0.1, 1], clipped));
  t.false(areAdvantagesChanged([0, 0.1, 1], affine));
});

test('a stage: peers are those of the same question, a skipped dialogue is no peer, failed rollouts count nowhere', (t) => {
  const groups = [
    [rewardedGroup(0, 'a', [0, 1]), rewardedGroup(0, 'b', [0, 1])],
    [rewardedGroup(1, 'a', [0.1, 1, undefined]), undefined],
  ];
  const [first, second] = calibrateStage(groups, 'faithful');
  // 'a': peer mean 0.55, range 0.9; 'b': no peer
  t.deepEqual(
    first?.groups.map(({rewards}) => close(rewards)),
    [close([-0.55 / 0.9, 1 + 0.45 / 0.9]), [0, 1]],
  );
  t.is(first?.peers, 1);
  // peer mean 0.5, range 1
  t.deepEqual(
    second?.groups.map(({rewards}) => close(rewards)),
    [[-0.3, 1.5]],
  );
  t.is(second?.groups[0]?.rollouts.length, 2);
});

test('a group with fewer than two graded rollouts is left out, and none leaves rewards alone', (t) => {
  const groups = [[rewardedGroup(0, 'a', [0, 1])], [rewardedGroup(1, 'a', [1, undefined])]];
  const [first, second] = calibrateStage(groups, 'faithful');
  t.deepEqual(first?.groups[0]?.rewards, [0, 1]);
  t.is(second?.groups.length, 0);
  const none = calibrateStage([[rewardedGroup(0, 'a', [0, 1])], [rewardedGroup(1, 'a', [0, 0.1])]], 'none');
  t.deepEqual(
    none.map((stage) => stage.groups[0]?.rewards),
    [
      [0, 1],
      [0, 0.1],
    ],
  );
  t.is(none[0]?.peers, 0);
});
