import test from 'ava';
import {duration, Progress} from '../../src/cli/progress.js';
import type {StepMetrics, TrainEvent, TrainPhase} from '../../src/types.js';

function watch(isTTY: boolean, estimator?: 'pass-rate') {
  const seen: string[] = [];
  const clock = {now: 0};
  const output = {isTTY, columns: 200, write: (text: string) => seen.push(text)};
  const progress = new Progress(output, {agents: ['ann', 'bob'], steps: 10, estimator, now: () => clock.now});
  const at = (now: number, event: TrainEvent) => {
    clock.now = now;
    progress.onEvent(event);
  };
  return {seen, progress, at, take: () => seen.splice(0).join('')};
}

function phase(step: number, name: TrainPhase, agent: string, done: number, tokens: number): TrainEvent {
  return {type: 'phase', step, phase: name, agent, done, total: 10, tokens};
}

const metrics: StepMetrics = {
  step: 3,
  tokensPerSecond: 1234.5,
  'ann/accuracy/solo': 0.5,
  'ann/reward/solo': 0.55,
  'ann/accuracy/fusion': 0.75,
  'ann/reward/fusion': 0.775,
  'ann/strategy/cooperative': 0.4,
  'bob/accuracy/solo': 0.25,
  'bob/reward/solo': 0.3,
};

test('without a terminal there is one line per step and one per phase before training', (t) => {
  const {at, take} = watch(false);
  at(0, phase(0, 'difficulty', 'ann', 1, 100));
  at(1000, phase(0, 'difficulty', 'bob', 10, 200));
  t.is(take(), '');
  at(2000, phase(0, 'ability', 'ann', 1, 0));
  t.is(take(), 'step 0 difficulty done in 2s, 300 tokens\n');
  at(3000, {type: 'step', metrics: {step: 0}});
  t.is(take(), 'step 0 ability done in 1s\n');
  at(4000, phase(3, 'sharing', 'ann', 1, 5));
  at(5000, phase(3, 'update', 'ann', 1, 5));
  at(6000, {type: 'step', metrics});
  t.is(
    take(),
    'step 3/10 | ann solo 50 % (reward 0.55) fusion 75 % (reward 0.78) cooperative 40 % | bob solo 25 % (reward 0.30) | 1235 tokens/s | 14s left\n',
  );
});

test('without a terminal a phase of training gets a line when it is long', (t) => {
  const {at, take} = watch(false);
  at(0, phase(1, 'sharing', 'ann', 1, 5));
  at(40_000, phase(1, 'analysis', 'ann', 1, 5));
  t.is(take(), 'step 1 sharing done in 40s, 5 tokens\n');
});

test('on a terminal step, phase, speed, time left and the agents’ last figures are kept up to date', (t) => {
  const {at, take, progress} = watch(true);
  at(0, phase(2, 'sharing', 'ann', 1, 50));
  t.is(take(), 'step 2/10  sharing 1/10\n');
  at(1000, phase(2, 'sharing', 'bob', 4, 150));
  t.is(take(), '\r\u001b[1A\u001b[0Jstep 2/10  sharing 5/20  200 tokens/s\n');
  at(1050, phase(2, 'sharing', 'bob', 5, 160));
  t.is(take(), '', 'no more than ten times a second');
  at(3000, {type: 'step', metrics: {...metrics, step: 2}});
  take();
  at(4000, phase(3, 'fusion', 'ann', 2, 0));
  t.deepEqual(take().split('\n'), [
    '\r\u001b[3A\u001b[0Jstep 3/10  fusion 2/10  32s left',
    '  ann solo 50 % (reward 0.55) fusion 75 % (reward 0.78) cooperative 40 %',
    '  bob solo 25 % (reward 0.30)',
    '',
  ]);
  progress.finish();
  t.is(take(), '\r\u001b[3A\u001b[0J');
});

test('a warning that quotes hostile text cannot move the cursor', (t) => {
  const {at, take} = watch(false);
  at(0, {type: 'warning', message: 'odd answer \u001b[2J\u202Eevil'});
  t.is(take(), 'warning: odd answer evil\n');
});

test('rankings, evaluations and saves are told', (t) => {
  const {at, take} = watch(false);
  at(0, {type: 'difficulty', parseRate: 0.875, levelCorrelation: 0.5});
  at(0, {
    type: 'eval',
    step: 5,
    results: [
      {agent: 'ann', questionIds: ['a', 'b'], greedy: [1, 0], sampled: [0.25, 0.5], wellFormed: 1},
      {agent: 'bob', questionIds: ['a', 'b'], greedy: [1, 1], sampled: [], wellFormed: 0.5},
    ],
  });
  at(0, {type: 'saved', step: 5});
  t.is(
    take(),
    `difficulty by self-ranking, 87.5 % of the rankings parsed, rank correlation with the true level 0.50
step 5 evaluation: ann greedy 50.0 %, sampled 37.5 %, well-formed 100.0 %
step 5 evaluation: bob greedy 100.0 %, well-formed 50.0 %
step 5 saved
`,
  );
});

test('without rankings none are said to have parsed', (t) => {
  const {at, take} = watch(false, 'pass-rate');
  at(0, {type: 'difficulty', parseRate: 1});
  t.is(take(), 'difficulty by pass-rate\n');
});

test('durations', (t) => {
  t.deepEqual([12_400, 250_000, 3_900_000].map(duration), ['12s', '4m 10s', '1h 05m']);
});
