import test from 'ava';
import {chooseStrategies, successProbability} from '../../src/interact/strategy.js';

const input = {numAgents: 2, abilities: [0.3, 0.8], difficulties: [0.1, 0.3, 0.6, 0.9], seed: 1, step: 1};

test('the probability is logistic in 1.7 (γ − D)', (t) => {
  t.is(successProbability(0.5, 0.5), 0.5);
  t.is(successProbability(1, 0).toFixed(6), '0.845535'); // 1 / (1 + e^−1.7)
  t.is(successProbability(0, 1).toFixed(6), '0.154465');
});

test('per agent: what is harder than an agent’s ability is cooperative, what is as hard is competitive', (t) => {
  t.deepEqual(chooseStrategies({choose: 'agent', cooperativeShare: 0.5}, input), [
    ['competitive', 'competitive', 'cooperative', 'cooperative'],
    ['competitive', 'competitive', 'competitive', 'cooperative'],
  ]);
});

test('per question: one mode for all agents, of the mean probability', (t) => {
  const rows = chooseStrategies({choose: 'question', cooperativeShare: 0.5}, input);
  t.deepEqual(rows[0], rows[1]);
  // the mean of P crosses one half between D = 0.3 and D = 0.6 (γ̄ = 0.55)
  t.deepEqual(rows[0], ['competitive', 'competitive', 'cooperative', 'cooperative']);
});

test('fixed: the share is drawn from the seed, without abilities', (t) => {
  const difficulties = new Array(2000).fill(0.5);
  const rows = (cooperativeShare: number, step = 1) =>
    chooseStrategies({choose: 'fixed', cooperativeShare}, {...input, abilities: [], difficulties, step});
  const count = (row: readonly string[] | undefined) => row?.filter((mode) => mode === 'cooperative').length ?? 0;
  t.deepEqual(rows(0).map(count), [0, 0]);
  t.deepEqual(rows(1).map(count), [2000, 2000]);
  t.true(Math.abs(count(rows(0.25)[0]) - 500) < 100); // five standard deviations
  t.deepEqual(rows(0.25), rows(0.25));
  t.notDeepEqual(rows(0.25), rows(0.25, 2));
});

test('shuffled: each agent keeps its share, at places drawn from the seed', (t) => {
  const difficulties = Array.from({length: 100}, (_, i) => i / 100);
  const adaptive = chooseStrategies({choose: 'agent', cooperativeShare: 0.5}, {...input, difficulties});
  const shuffled = chooseStrategies({choose: 'shuffled', cooperativeShare: 0.5}, {...input, difficulties});
  t.deepEqual(
    shuffled.map((row) => [...row].sort()),
    adaptive.map((row) => [...row].sort()),
  );
  t.notDeepEqual(shuffled, adaptive);
});
