import test from 'ava';
import {drawLevel, drawSum} from '../../src/demo/curriculum.js';
import {firstDifference, fuse, type Learner, type Line, slip, solve} from '../../src/demo/habits.js';
import type {Sum} from '../../src/demo/sums.js';
import {Random} from '../../src/random.js';

const carrier: Learner = {habit: 'forgets-carries', rate: 1};
const borrower: Learner = {habit: 'mis-borrows', rate: 1};
const plus = (operand: number) => ({sign: '+', operand}) as const;
const minus = (operand: number) => ({sign: '-', operand}) as const;
const results = (lines: readonly Line[]) => lines.map(({after}) => after);
const randomOf = (seed: number) => new Random({seed, purpose: 'warm-start'});

test('a forgotten carry keeps the tens, and only a carry can be forgotten', (t) => {
  t.is(slip('forgets-carries', 47, plus(5)), 42);
  t.is(slip('forgets-carries', 47, plus(3)), 40);
  t.is(slip('forgets-carries', 47, plus(2)), undefined);
  t.is(slip('forgets-carries', 43, minus(7)), undefined);
});

test('a mis-borrow takes the smaller digit from the larger, and only where a borrow is due', (t) => {
  t.is(slip('mis-borrows', 43, minus(7)), 44);
  t.is(slip('mis-borrows', 40, minus(6)), 46);
  t.is(slip('mis-borrows', 47, minus(7)), undefined);
  t.is(slip('mis-borrows', 47, plus(5)), undefined);
});

test('a learner goes on from its wrong value', (t) => {
  const sum: Sum = {start: 49, operations: [minus(6), minus(7), plus(8)]};
  t.deepEqual(results(solve(randomOf(1), borrower, sum)), [43, 44, 52]);
  t.deepEqual(results(solve(randomOf(1), carrier, sum)), [43, 36, 34]);
  t.deepEqual(results(solve(randomOf(1), {...carrier, rate: 0}, sum)), [43, 36, 44]);
});

test('the habit shows at its rate', (t) => {
  const random = randomOf(2);
  const sum: Sum = {start: 47, operations: [plus(5)]};
  let slips = 0;
  for (let i = 0; i < 2000; i++)
    if (solve(random, {habit: 'forgets-carries', rate: 0.6}, sum)[0]?.after === 42) slips++;
  t.true(Math.abs(slips / 2000 - 0.6) < 0.044); // four standard deviations
});

test('fusion takes the right one of two results of a line, whoever has it', (t) => {
  const sum: Sum = {start: 49, operations: [minus(6), minus(7), plus(8)]};
  const mine = solve(randomOf(1), borrower, sum);
  const theirs = solve(randomOf(1), {...carrier, rate: 0}, sum);
  const counts = {right: 0, mine: 0};
  const random = randomOf(3);
  for (let i = 0; i < 2000; i++) {
    const [, second] = fuse(random, borrower, sum, {own: mine, peer: theirs});
    if (second?.after === 36) counts.right++;
    if (second?.after === 44) counts.mine++;
  }
  t.is(counts.right + counts.mine, 2000);
  t.true(Math.abs(counts.right / 2000 - 0.95) < 0.02); // four standard deviations
});

test('fusion with a copy of the own idea is the own idea', (t) => {
  const random = randomOf(4);
  for (let i = 0; i < 200; i++) {
    const sum = drawSum(random, 'train', drawLevel(random));
    const own = solve(random, {...borrower, rate: 0.55}, sum);
    t.deepEqual(fuse(random, borrower, sum, {own, peer: own}), own);
  }
});

test('where neither idea shows a line, fusion has the habit at the rate of solo answers', (t) => {
  const sum: Sum = {start: 45, operations: [plus(7), plus(9)]};
  const learner: Learner = {habit: 'forgets-carries', rate: 0.6};
  // Own idea 42, 41; the peer's 52, then a line that shows nothing for 52, as it went on from another value.
  const own: Line[] = [
    {...plus(7), before: 45, after: 42},
    {...plus(9), before: 42, after: 41},
  ];
  const peer: Line[] = [
    {...plus(7), before: 45, after: 52},
    {...plus(9), before: 51, after: 60},
  ];
  const random = randomOf(5);
  let seen = 0;
  let slips = 0;
  for (let i = 0; i < 3000; i++) {
    const [first, second] = fuse(random, learner, sum, {own, peer});
    if (first?.after !== 52) continue;
    seen++;
    if (second?.after === 51) slips++;
  }
  t.true(seen > 2700);
  t.true(Math.abs(slips / seen - 0.6) < 0.037); // four standard deviations
});

test('the first difference is the first line with two results', (t) => {
  const sum: Sum = {start: 49, operations: [minus(6), minus(7), plus(8)]};
  const right = solve(randomOf(1), {...borrower, rate: 0}, sum);
  const wrong = solve(randomOf(1), borrower, sum);
  t.deepEqual(firstDifference(right, wrong), [
    {...minus(7), before: 43, after: 36},
    {...minus(7), before: 43, after: 44},
  ]);
  t.is(firstDifference(right, right), undefined);
});
