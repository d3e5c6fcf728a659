import test from 'ava';
import {readBenchmark} from '../../src/data/benchmarks.js';
import {findOverlap, overlapWarnings} from '../../src/data/overlap.js';
import type {Question} from '../../src/types.js';
import {sharedPath} from '../helpers/shared.js';

const ask = (id: string, text: string): Question => ({id, text, answer: '1'});

test('case, blanks, punctuation and the dollars of LaTeX make no other question; a sign does', (t) => {
  const train = [ask('a', 'What is $x^{2} + 1$?'), ask('b', 'What is $x^2 - 3$?')];
  const tested = [ask('1', 'what is   $x^2+1$'), ask('2', 'What is $x^2 + 3$?')];
  const {same, near} = findOverlap(tested, train);
  t.deepEqual(same, [{id: '1', other: 'a', similarity: 1}]);
  t.deepEqual(near, []);
});

test('similarity is the share of common runs of five words', (t) => {
  const words = 'one two three four five six seven eight nine ten eleven twelve thirteen fourteen';
  // 14 words are 10 runs; the other has the first 9 of them and one of its own: 9 of 11.
  const {near} = findOverlap([ask('1', words)], [ask('a', words.replace('fourteen', 'zero'))]);
  t.deepEqual(near, [{id: '1', other: 'a', similarity: 9 / 11}]);
  t.deepEqual(findOverlap([ask('1', words)], [ask('a', words.replace('seven', 'zero'))]).near, []);
});

test('a question is found in a longer one, with options below it', (t) => {
  const question =
    'In how many ways can five guests be seated at a round table when two of them will not sit side by side?';
  const {near} = findOverlap(
    [ask('1', `${question}\n\nA. 12 ways\nB. 24 ways\nC. 72 ways\nD. 120 ways and no more than that`)],
    [ask('a', question)],
  );
  t.deepEqual(near, [{id: '1', other: 'a', similarity: 1}]);
  t.is(
    findOverlap(
      [ask('a', question)],
      [ask('1', `Consider this with care before you answer at all. ${question} Give reasons for each step.`)],
    ).near.length,
    1,
  );
});

test('the index finds what comparing every pair finds', (t) => {
  // A small vocabulary, so that many pairs share runs.
  let state = 1;
  const next = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const base = Array.from({length: 40}, () =>
    Array.from({length: 20 + next(20)}, () => 'abcdefghi'[next(9)] as string),
  );
  const vary = (words: readonly string[]) =>
    words.map((word) => (next(30) === 0 ? 'jklmnopqr'[next(9)] : word)).join(' ');
  const others = base.map((words, i) => ask(`o${i}`, words.join(' ')));
  const questions = base.flatMap((words, i) => [ask(`p${i}`, vary(words)), ask(`q${i}`, vary(words))]);
  const runs = ({text}: Question) => {
    const words = text.split(' ');
    return new Set(words.slice(4).map((_, i) => words.slice(i, i + 5).join(' ')));
  };
  const threshold = 0.5;
  const expected = questions.flatMap((question) => {
    const own = runs(question);
    const similarities = others.map((other) => {
      const theirs = runs(other);
      const shared = [...own].filter((run) => theirs.has(run)).length;
      const shorter = Math.min(own.size, theirs.size);
      return shorter >= 12 && shared >= 0.9 * shorter ? shared / shorter : shared / (own.size + theirs.size - shared);
    });
    const best = Math.max(...similarities);
    return best >= threshold && best < 1 ? [[question.id, best]] : [];
  });
  const {near} = findOverlap(questions, others, {threshold});
  t.true(expected.length > 20);
  t.deepEqual(
    near.map(({id, similarity}) => [id, similarity]),
    expected,
  );
});

test('sets of one question in many small variations take no time', (t) => {
  const words = Array.from({length: 60}, (_, i) => `word${String.fromCharCode(97 + (i % 26))}`).join(' ');
  const many = Array.from({length: 3000}, (_, i) => ask(`${i}`, `${words} ${i}`));
  const {near} = findOverlap(many.slice(0, 1000), many.slice(1000));
  t.is(near.length, 1000);
});

test('a warning counts, and names the nearest', (t) => {
  const train = [ask('a', 'How many apples are in the big red basket on the table today?')];
  const warnings = overlapWarnings(train, {
    validation: undefined,
    test: [ask('1', 'how many apples are in the big red basket on the table today'), ask('2', 'Something else.')],
  });
  t.is(warnings.length, 1);
  t.regex(
    warnings[0] as string,
    /^1 of 2 test questions are among the training questions too, and 0 nearly so.*1 ≈ a, the same words/,
  );
});

const folder = sharedPath('data');
(folder ? test : test.skip)(
  `MATH: four test questions are trained on, none of MATH-500${folder ? '' : ' (../shared is not here)'}`,
  async (t) => {
    const read = async (name: string, split: 'train' | 'test') =>
      (await readBenchmark(name, {split, folder: folder as string, env: {}})).questions;
    const train = await read('math', 'train');
    // Two of them differ in blanks alone (the README's two), two in `x^{2}` for `x^2` and in a full stop.
    const {same, near} = findOverlap(await read('math', 'test'), train);
    t.deepEqual(same.map(({id}) => id).sort(), [
      'test/algebra/1674.json',
      'test/algebra/636.json',
      'test/intermediate_algebra/965.json',
      'test/precalculus/24307.json',
    ]);
    t.is(near.length, 87);
    t.deepEqual(findOverlap(await read('math500', 'test'), train).same, []);
    t.is(findOverlap(await read('math500', 'test'), await read('math', 'test')).same.length, 500);
  },
);
