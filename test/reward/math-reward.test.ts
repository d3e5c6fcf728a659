import test from 'ava';
import {mathReward} from '../../src/reward/math-reward.js';
import {loadRewardFunction} from '../../src/reward/reward.js';

const question = {id: 'q', text: '?', answer: '\\frac{1}{2}'};
const grade = (text: string, finishReason: 'stop' | 'length' = 'stop', answer = question.answer) =>
  mathReward({question: {...question, answer}, text, completion: {finishReason, ids: Int32Array.of(1)}});

test('math: the box is compared as mathematics; without one, or cut off, there is no answer', (t) => {
  t.deepEqual(grade('so \\boxed{0.5}'), {isCorrect: true, isWellFormed: true});
  t.deepEqual(grade('so \\boxed{2}'), {isCorrect: false, isWellFormed: true});
  t.deepEqual(grade('so it is 0.5'), {isCorrect: false, isWellFormed: false});
  t.deepEqual(grade('so \\boxed{0.5}', 'length'), {isCorrect: false, isWellFormed: false});
  t.deepEqual(grade('\\boxed{ }'), {isCorrect: false, isWellFormed: false});
});

test('math: a gold answer that cannot be graded is skipped, and said so at load', (t) => {
  t.is(grade('\\boxed{1}', 'stop', ''), null);
  t.false(mathReward.accepts?.({...question, answer: ''}));
  t.true(mathReward.accepts?.(question));
});

test('math is a name that a configuration knows; names of every object are not', async (t) => {
  t.is(await loadRewardFunction('math', '.'), mathReward);
  await t.throwsAsync(loadRewardFunction('constructor', '.'), {code: 'ILR_INVALID_CONFIG'});
});
