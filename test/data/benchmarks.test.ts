import test from 'ava';
import {benchmarkNames, benchmarks, findBenchmark, readBenchmark, type Split} from '../../src/data/benchmarks.js';
import {mathReward} from '../../src/reward/math-reward.js';
import {sharedPath} from '../helpers/shared.js';

/** Rows as ../shared/data/README.md counts them. */
const counts: readonly (readonly [string, Split, number])[] = [
  ['gsm8k', 'train', 7473],
  ['gsm8k', 'test', 1319],
  ['math', 'train', 7500],
  ['math', 'test', 5000],
  ['math500', 'test', 500],
  ['minerva_math', 'test', 272],
  ['olympiadbench', 'test', 675],
  ['amc23', 'test', 40],
  ['aime24', 'test', 30],
  ['aime25', 'test', 30],
  ['mbpp', 'train', 474],
  ['mbpp', 'test', 500],
  ['mbpp_sanitized', 'train', 170],
  ['mbpp_sanitized', 'test', 257],
  ['humaneval', 'test', 164],
  ['arc_challenge', 'train', 1119],
  ['arc_challenge', 'test', 1172],
  ['theoremqa', 'test', 747],
  ['scibench', 'test', 692],
  ['mmlu_stem', 'test', 3018],
];

for (const [name, split, numRows] of counts) {
  const folder = sharedPath('data');
  (folder ? test : test.skip)(
    `${name}:${split} reads whole, every gold answer graded${folder ? '' : ' (../shared is not here)'}`,
    async (t) => {
      const file = await readBenchmark(name, {split, folder: folder as string, env: {}});
      t.is(file.numRows, numRows);
      // Two rows of MATH have an empty box; nothing else is left out.
      t.is(file.questions.length, name === 'math' && split === 'train' ? 7498 : numRows);
      t.is(new Set(file.questions.map(({id}) => id)).size, file.questions.length);
      for (const question of file.questions) {
        if (findBenchmark(name).reward === 'code') {
          t.true((question.tests?.asserts.length ?? 0) > 0);
          continue;
        }
        const completion = {finishReason: 'stop' as const, ids: new Int32Array()};
        t.true(mathReward.accepts?.(question), question.id);
        const grade = await mathReward({question, text: `\\boxed{${question.answer}}`, completion});
        t.true(grade?.isCorrect, `${question.id}: ${question.answer}`);
      }
    },
  );
}

test('names are found in other spellings, and unknown ones are answered with those that are known', (t) => {
  t.is(findBenchmark('MATH-500').name, 'math500');
  t.is(findBenchmark('arc-challenge').name, 'arc_challenge');
  t.throws(() => findBenchmark('gsm9k'), {code: 'ILR_INVALID_ARGUMENT', message: /gsm8k.*got "gsm9k"/});
  t.is(new Set(benchmarkNames).size, benchmarks.length);
});

test('a set that is not there is answered with the command that gets it', async (t) => {
  await t.throwsAsync(readBenchmark('gsm8k', {folder: '/nowhere', env: {}}), {
    code: 'ILR_IO',
    message: /ilr-native pull gsm8k/,
  });
  await t.throwsAsync(readBenchmark('aime24', {split: 'train', env: {}}), {
    code: 'ILR_INVALID_ARGUMENT',
    message: /aime24:test, got "train"/,
  });
});
