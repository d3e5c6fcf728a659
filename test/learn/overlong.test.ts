import test from 'ava';
import {penaliseOverlong} from '../../src/learn/overlong.js';
import {overlongPenalty} from '../../src/overlong.js';
import {rewardedGroup} from '../helpers/groups.js';

test('the penalty is 0 up to the cache and 1 at the longest, linear between (DAPO, Eq. 13)', (t) => {
  const penalties = [0, 12, 13, 14, 15, 16].map((length) => overlongPenalty(length, 16, 4));
  t.deepEqual(penalties, [0, 0, 0.25, 0.5, 0.75, 1]);
});

test('rewards lose it; what could not be graded has none to lose', (t) => {
  // completion k has k + 1 tokens
  const group = penaliseOverlong(rewardedGroup(0, 'a', [1, 1, undefined, 1]), {cache: 2, weight: 0.5, maxTokens: 4});
  t.deepEqual(
    group.rollouts.map(({reward, overlongPenalty: penalty}) => [reward, penalty]),
    [
      [1, 0],
      [1, 0],
      [0, undefined],
      [0.5, 0.5],
    ],
  );
});
