import test from 'ava';
import {mathReward, mathRewardWith} from '../../src/reward/math-reward.js';
import {loadRewardFunction} from '../../src/reward/reward.js';
import type {Tolerance} from '../../src/types.js';

const question = {id: 'q', text: '?', answer: '\\frac{1}{2}'};
const grade = (text: string, finishReason: 'stop' | 'length' = 'stop', answer = question.answer) =>
  mathReward({question: {...question, answer}, text, completion: {finishReason, ids: Int32Array.of(1)}});

test('math: the box is compared as mathematics; without one, or cut off, there is no answer', (t) => {
  t.deepEqual(grade('so \\boxed{0.5}'), {isCorrect: true, isWellFormed: true, answer: '0.5'});
  t.deepEqual(grade('so \\boxed{2}'), {isCorrect: false, isWellFormed: true, answer: '2'});
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

test('math: answers are the same as mathematics, whichever of them rounds to the other', (t) => {
  t.true(mathReward.sameAnswer?.('\\frac12', '0.5'));
  t.true(mathReward.sameAnswer?.('0.33', '1/3'));
  t.true(mathReward.sameAnswer?.('1/3', '0.33'));
  t.true(mathReward.sameAnswer?.('it depends', 'it depends'));
  t.false(mathReward.sameAnswer?.('1', '2'));
});

test('math: places, percent and decimals are options', (t) => {
  const input = (text: string, answer: string) => ({
    question: {id: 'q', text: '?', answer},
    text,
    completion: {finishReason: 'stop' as const, ids: Int32Array.of(1)},
  });
  const anywhere = mathRewardWith({extract: ['boxed', 'final-answer', 'number']});
  t.deepEqual(anywhere(input('The final answer is 7.', '7')), {isCorrect: true, isWellFormed: true, answer: '7'});
  t.deepEqual(anywhere(input('So it is 7', '7')), {isCorrect: true, isWellFormed: true, answer: '7'});
  t.deepEqual(anywhere(input('I do not know', '7')), {isCorrect: false, isWellFormed: false});
  const percents = (percent: 'ignore' | 'strict') =>
    mathRewardWith({percent})(input('\\boxed{28\\%}', '28')) as {isCorrect: boolean};
  t.true(percents('ignore').isCorrect);
  t.false(percents('strict').isCorrect);
  const places = (decimals?: number) =>
    mathRewardWith({decimals})(input('\\boxed{3.1}', '3.14159')) as {isCorrect: boolean};
  t.true(places(1).isCorrect);
  t.false(places().isCorrect);
});

test('math: a set may allow numbers that are near the gold one', async (t) => {
  const correct = async (answer: string, text: string, tolerance?: Tolerance) =>
    (
      await mathReward({
        question: {...question, answer, tolerance},
        text: `\\boxed{${text}}`,
        completion: {finishReason: 'stop', ids: new Int32Array()},
      })
    )?.isCorrect;
  t.false(await correct('50.7', '51'));
  t.true(await correct('50.7', '51', {relative: 0.05}));
  t.true(await correct('50.7', '\\frac{102}{2}\\mathrm{~atm}', {relative: 0.05}));
  t.false(await correct('50.7', '53.3', {relative: 0.05}));
  t.false(await correct('50.7', '-50.7', {relative: 0.05}));
  t.true(await correct('4.2', '4.3', {absolute: 0.1}));
  t.false(await correct('4.2', '4.31', {absolute: 0.1}));
  t.false(await correct('4.2', '\\infty', {absolute: 0.1}));
  t.false(await correct('0', '0.01', {relative: 0.05}));
  t.true(await correct('[0.333, 0.25]', '[\\frac13, \\frac14]', {relative: 0.04}));
  t.false(await correct('[0.333, 0.25]', '[0.25, 0.333]', {relative: 0.04}));
});
