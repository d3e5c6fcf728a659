import test from 'ava';
import {
  difficultiesFromLevels,
  difficultiesFromPassRates,
  parseRanking,
  rankDifficulties,
} from '../../src/interact/difficulty.js';
import {scriptedAgent} from '../helpers/scripted-policy.js';
import {sums, sumsAgents, sumsConfig, sumsScript} from '../helpers/sums.js';

const questions = ['a', 'b', 'c', 'd'].map((id, i) => ({id, text: id, answer: '1', level: i}));
const config = sumsConfig();
const options = {seed: 1, prompts: config.dialogue.prompts, difficulty: config.difficulty};

test('a ranking is a full permutation of numbers, digits or letters', (t) => {
  t.deepEqual(parseRanking('3 1 2', 3), [2, 0, 1]);
  t.deepEqual(parseRanking('Easiest to hardest: 3, 1, 2.', 3), [2, 0, 1]);
  t.deepEqual(parseRanking('312', 3), [2, 0, 1]);
  t.deepEqual(parseRanking('C, A, B', 3), [2, 0, 1]);
  t.deepEqual(parseRanking('10 9 8 7 6 5 4 3 2 1', 10), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
});

test('a repeated, missing or foreign number is no ranking', (t) => {
  for (const reply of ['', '1 2', '1 2 2', '1 2 4', '0 1 2', '1 2 3 3', 'A B', 'A B B', '1 2 3 4']) {
    t.is(parseRanking(reply, 3), undefined, reply);
  }
});

test('agents that rank by the sum find its order', async (t) => {
  const table = await rankDifficulties(sumsAgents(), sums, {
    ...options,
    difficulty: {...config.difficulty, rounds: 20},
  });
  t.is(table.parseRate, 1);
  const values = sums.map(({id}) => table.difficulties[id] as number);
  t.true(values.every((value) => value > 0 && value < 1));
  t.true((values[0] as number) < 0.2 && (values.at(-1) as number) > 0.8);
  // a mean place over 40 lists of 5 orders thirds of the questions almost without error
  t.true((table.levelCorrelation as number) > 0.9);
});

test('fewer than half of the rankings parsed is an error that names the other estimators', async (t) => {
  const agents = [scriptedAgent('ann', sumsScript(0)), scriptedAgent('bob', () => 'I cannot.')];
  // exactly half is enough: bob's say nothing
  t.is((await rankDifficulties(agents, sums, options)).parseRate, 0.5);
  await t.throwsAsync(rankDifficulties([agents[1] as (typeof agents)[0]], sums, options), {
    code: 'ILR_DIFFICULTY',
    message: /got 0\.0 %.*pass-rate.*field/,
  });
});

test('a list too long for the context counts as unparsed', async (t) => {
  const agent = scriptedAgent('ann', sumsScript(0), {contextLength: 20});
  await t.throwsAsync(rankDifficulties([agent], sums, options), {code: 'ILR_DIFFICULTY'});
  t.is(agent.policy.requests.length, 0);
});

test('pass rates: the more often failed, the harder; equal rates share a place', (t) => {
  const table = difficultiesFromPassRates(questions, [
    [1, 0.5, 0.5, 0],
    [1, 0.5, 0.5, 0.5],
  ]);
  // ranks 1, 2.5, 2.5, 4 of 4: (rank − 0.5) / 4
  t.deepEqual(table.difficulties, {a: 0.125, b: 0.5, c: 0.5, d: 0.875});
  t.is(table.levelCorrelation?.toFixed(6), (4.5 / Math.sqrt(22.5)).toFixed(6));
});

test('levels order questions; one that is missing is named', (t) => {
  t.deepEqual(difficultiesFromLevels(questions).difficulties, {a: 0.125, b: 0.375, c: 0.625, d: 0.875});
  t.throws(() => difficultiesFromLevels([...questions, {id: 'e', text: 'e', answer: '1'}]), {
    code: 'ILR_DIFFICULTY',
    message: /question e\b/,
  });
});
