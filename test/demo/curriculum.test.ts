import test from 'ava';
import {drawQuestions, drawSum, levels, splitOf, staysTwoDigits} from '../../src/demo/curriculum.js';
import {answerOf, canonicalKey, type Sum, sumText} from '../../src/demo/sums.js';
import {Random} from '../../src/random.js';

const sum = (text: string): Sum => {
  const [start, ...operations] = text.match(/^\d+|[+-]\d/g) as string[];
  return {
    start: Number(start),
    operations: operations.map((operation) => ({sign: operation[0] as '+' | '-', operand: Number(operation[1])})),
  };
};

test('a sum is written and calculated from left to right', (t) => {
  t.is(sumText(sum('49-6+8-3')), '49-6+8-3');
  t.is(answerOf(sum('49-6+8-3')), 48);
});

test('every order of the operations has one canonical key, another start or sign has another', (t) => {
  t.is(canonicalKey(sum('49-6+8-3')), canonicalKey(sum('49+8-3-6')));
  t.not(canonicalKey(sum('49-6+8')), canonicalKey(sum('48-6+8')));
  t.not(canonicalKey(sum('49-6+8')), canonicalKey(sum('49+6-8')));
});

test('no variant of a test or validation question is in another split', (t) => {
  const random = new Random({seed: 1, purpose: 'data'});
  for (let i = 0; i < 200; i++) {
    const drawn = drawSum(random, i % 2 === 0 ? 'test' : 'validation', 4);
    const variant = {...drawn, operations: random.shuffle(drawn.operations)};
    t.is(splitOf(variant), i % 2 === 0 ? 'test' : 'validation');
  }
});

test('the questions of different splits share no canonical key, and no set holds two variants', (t) => {
  const keysOf = (split: 'train' | 'validation' | 'test', count: number) =>
    drawQuestions(new Random({seed: 3, purpose: 'data', question: split}), split, count).map(({text}) =>
      canonicalKey(sum(text)),
    );
  const all = [...keysOf('train', 900), ...keysOf('validation', 200), ...keysOf('test', 600)];
  t.is(new Set(all).size, 1700);
});

test('about two of twenty questions are for the test and one for validation', (t) => {
  const random = new Random({seed: 5, purpose: 'data'});
  const counts = {train: 0, validation: 0, test: 0};
  for (let i = 0; i < 4000; i++) {
    const operations = Array.from({length: 4}, () => ({sign: '+' as const, operand: 2 + random.below(8)}));
    counts[splitOf({start: 10 + random.below(50), operations})]++;
  }
  t.true(counts.test > 320 && counts.test < 480); // 400 ± 4 standard deviations of 19
  t.true(counts.validation > 140 && counts.validation < 260); // 200 ± 4 of 14
});

test('a question carries its answer and its level, and every level has the same share', (t) => {
  const questions = drawQuestions(new Random({seed: 7, purpose: 'data'}), 'test', 300);
  for (const level of levels) t.is(questions.filter((question) => question.level === level).length, 100);
  for (const {text, answer, level} of questions) {
    t.is(answer, `${answerOf(sum(text))}`);
    t.is(level, sum(text).operations.length);
  }
});

test('sums whose values could leave two digits by a slip are not used', (t) => {
  t.true(staysTwoDigits(sum('49-6+8-3')));
  t.false(staysTwoDigits(sum('95+4+2'))); // 101
  t.false(staysTwoDigits(sum('14-6'))); // 8
  t.false(staysTwoDigits(sum('93-7+9'))); // a mis-borrow gives 94, then 103
});
