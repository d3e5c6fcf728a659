import test from 'ava';
import {lastBoxed} from '../../src/boxed.js';
import type {FinishReason} from '../../src/policy.js';
import {exactReward} from '../../src/reward/exact.js';
import {areEqual, numericReward, parseNumber, type Rational} from '../../src/reward/numeric.js';

const grade = (reward: typeof numericReward, text: string, answer: string, finishReason: FinishReason = 'stop') =>
  reward({
    question: {id: 'q', text: '?', answer},
    text,
    completion: {finishReason, ids: new Int32Array(0)},
  });

test('the last box whose braces balance counts', (t) => {
  t.is(lastBoxed('so \\boxed{1} and \\boxed{2}.'), '2');
  t.is(lastBoxed('\\boxed{\\frac{1}{2}}'), '\\frac{1}{2}');
  t.is(lastBoxed('\\boxed{\\boxed{3}}'), '3');
  t.is(lastBoxed('{ \\boxed {4}'), '4');
  t.is(lastBoxed('\\boxed{1} then \\boxed{2'), '1');
  t.is(lastBoxed('\\boxed{\\{1\\}}'), '\\{1\\}');
  t.is(lastBoxed('} \\boxed{5}'), '5');
  t.is(lastBoxed('\\boxed{'), undefined);
  t.is(lastBoxed('boxed{1}'), undefined);
});

test('a text made of open boxes is read once', (t) => {
  t.is(lastBoxed(`\\boxed{7}${'\\boxed{'.repeat(100_000)}`), '7');
});

for (const [text, numerator, denominator] of [
  ['42', 42n, 1n],
  ['-42', -42n, 1n],
  ['−42', -42n, 1n],
  ['+7', 7n, 1n],
  ['1,234,567', 1234567n, 1n],
  ['1{,}234', 1234n, 1n],
  ['$29.00', 2900n, 100n],
  ['\\$5', 5n, 1n],
  ['50\\%', 50n, 1n],
  ['.5', 5n, 10n],
  ['3/4', 3n, 4n],
  ['-\\frac{3}{4}', -3n, 4n],
  ['\\dfrac{-3}{4}', -3n, 4n],
  ['\\frac12', 1n, 2n],
  ['0.5/0.25', 500n, 250n],
  ['18 \\text{ dollars}', 18n, 1n],
  ['90^\\circ', 90n, 1n],
  ['12.', 12n, 1n],
] as const) {
  test(`${text} is ${numerator}/${denominator}`, (t) => {
    t.true(areEqual(parseNumber(text) as Rational, {numerator, denominator}));
  });
}

for (const text of [
  '',
  ' ',
  'x',
  '1,23',
  '12,3456',
  '1/0',
  '--3',
  '1/2/3',
  'x=5',
  '3 apples',
  '(1,2)',
  '1.2.3',
  '1e5',
  `1${'0'.repeat(100)}`,
]) {
  test(`${JSON.stringify(text.slice(0, 20))} is not a number`, (t) => {
    t.is(parseNumber(text), undefined);
  });
}

test('numbers are compared exactly', (t) => {
  t.false(areEqual(parseNumber('0.333333333333333333') as Rational, parseNumber('1/3') as Rational));
  t.false(areEqual(parseNumber('9007199254740993') as Rational, parseNumber('9007199254740992') as Rational));
});

test('numeric: right, well-formed but wrong, without a box, cut off', (t) => {
  t.deepEqual(grade(numericReward, '\\boxed{3}', '3.0'), {isCorrect: true, isWellFormed: true, answer: '3'});
  t.deepEqual(grade(numericReward, '\\boxed{4}', '3'), {isCorrect: false, isWellFormed: true, answer: '4'});
  t.deepEqual(grade(numericReward, '\\boxed{four}', '3'), {isCorrect: false, isWellFormed: true, answer: 'four'});
  t.deepEqual(grade(numericReward, '3', '3'), {isCorrect: false, isWellFormed: false});
  t.deepEqual(grade(numericReward, '\\boxed{ }', '3'), {isCorrect: false, isWellFormed: false});
  t.deepEqual(grade(numericReward, '\\boxed{3}', '3', 'length'), {isCorrect: false, isWellFormed: false});
});

test('a gold answer that is no number is skipped, not wrong', (t) => {
  t.is(grade(numericReward, '\\boxed{3}', 'three'), null);
  t.false(numericReward.accepts?.({id: 'q', text: '?', answer: 'three'}));
  t.true(numericReward.accepts?.({id: 'q', text: '?', answer: '1,000'}));
});

test('exact compares the box with the gold answer, blanks aside', (t) => {
  t.deepEqual(grade(exactReward, '\\boxed{ New  York }', 'New York'), {
    isCorrect: true,
    isWellFormed: true,
    answer: 'New York',
  });
  t.deepEqual(grade(exactReward, '\\boxed{new york}', 'New York'), {
    isCorrect: false,
    isWellFormed: true,
    answer: 'new york',
  });
  t.deepEqual(grade(exactReward, 'New York', 'New York'), {isCorrect: false, isWellFormed: false});
  t.false(exactReward.accepts?.({id: 'q', text: '?', answer: ' '}));
});

test('answers are the same as numbers, or as texts', (t) => {
  t.true(numericReward.sameAnswer?.('1,000', '1000.0'));
  t.true(numericReward.sameAnswer?.('many', 'many'));
  t.false(numericReward.sameAnswer?.('many', 'few'));
  t.true(exactReward.sameAnswer?.('New  York', 'New York'));
  t.false(exactReward.sameAnswer?.('1.0', '1'));
});
