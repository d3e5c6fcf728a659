import test from 'ava';
import {calibrateStage} from '../../src/learn/calibration.js';
import {hasSpread, joinRounds, noTalk, questionsWithoutSpread, type Sampled} from '../../src/learn/rounds.js';
import type {Group} from '../../src/types.js';
import {rewardedGroup} from '../helpers/groups.js';

/** @param rewards - [stages][N][Q] of each group; undefined where a dialogue was skipped. */
function sampled(rewards: readonly (readonly (readonly (readonly number[] | undefined)[])[])[]): Sampled {
  const groups = rewards.map((stage, s) =>
    stage.map((row, agent) =>
      row.map((own, q) => own && rewardedGroup(agent, `q${q}`, own, s === 0 ? 'solo' : 'fusion')),
    ),
  );
  const [solo, fusion] = groups;
  return {
    solo: solo as Group[][],
    talk: fusion === undefined ? noTalk : {fusion, counts: [], analysisTokens: [3, 4]},
    stages: groups.map((stage) => calibrateStage(stage, 'none')),
  };
}

test('a shared question goes when no group of any agent and stage has spread', (t) => {
  const round = sampled([
    [
      [
        [1, 1],
        [1, 0],
        [0, 0],
        [0, 0],
      ],
      [
        [0, 0],
        [1, 1],
        [0, 0],
        [0, 0],
      ],
    ],
    [
      [[1, 1], [1, 1], undefined, [1, 1]],
      [[1, 1], [1, 1], [0, 0.1], undefined],
    ],
  ]);
  t.deepEqual(questionsWithoutSpread(round, true), [2, 2]);
  t.deepEqual(
    round.stages.map((stage) => stage.map(({groups}) => groups.filter(hasSpread).length)),
    [
      [1, 0],
      [0, 1],
    ],
  );
});

test('agents with questions of their own replace their own', (t) => {
  const round = sampled([
    [
      [
        [1, 1],
        [1, 0],
      ],
      [
        [0, 0],
        [1, 1],
        [0, 0.1 + 1e-7],
      ],
    ],
  ]);
  t.deepEqual(questionsWithoutSpread(round, false), [1, 2]);
});

test('rounds are joined agent by agent', (t) => {
  const a = sampled([
    [[[1, 0]], [[1, 1]]],
    [[[1, 0]], [undefined]],
  ]);
  const b = sampled([
    [[[0, 0]], [[0, 1]]],
    [[[0, 0]], [[1, 0]]],
  ]);
  const both = joinRounds([a, b]);
  t.deepEqual(both.solo[1], [...(a.solo[1] ?? []), ...(b.solo[1] ?? [])]);
  t.deepEqual(both.talk.fusion[1], [undefined, b.talk.fusion[1]?.[0]]);
  t.deepEqual(both.talk.analysisTokens, [6, 8]);
  t.is(both.stages.length, 4);
  t.is(joinRounds([a]), a);
});
