import {join} from 'node:path';
import test from 'ava';
import {benchmarkOf, isNamed, readSource} from '../../src/data/source.js';
import {folderWith} from '../helpers/folder.js';

const format = {fields: {id: 'id', question: 'question', answer: 'answer', level: 'level'}, answer: 'field'} as const;

test('a name without ending and path is a data set, when one is known by it', (t) => {
  for (const name of ['gsm8k', 'MATH-500', 'math:train', 'arc_challenge:validation']) t.true(isNamed(name), name);
  for (const file of ['gsm8k.jsonl', './gsm8k', 'data/gsm8k', 'gsm9k', 'questions', '', 'C:math', '/gsm8k'])
    t.false(isNamed(file), file);
  t.is(benchmarkOf('mbpp-sanitized:train')?.reward, 'code');
  t.is(benchmarkOf('q.jsonl'), undefined);
  for (const odd of ['gsm8k:dev', 'gsm8k:', 'aime24:train'])
    t.throws(() => isNamed(odd), {code: 'ILR_INVALID_ARGUMENT', message: /Expected \w+:\w+/}, odd);
});

test('files are read by the format, data sets by what is known of them', async (t) => {
  const folder = await folderWith(t, {
    'q.csv': 'question,answer\nq,1\n',
    'gsm8k/train.jsonl': '{"question": "g", "answer": "so\\n#### 2"}\n',
    'gsm8k/test.jsonl': '{"question": "h", "answer": "#### 3"}\n',
  });
  const texts = async (source: string) =>
    (await readSource(source, {format, split: 'train', folder, env: {}})).questions.map(({text}) => text);
  t.deepEqual(await texts(join(folder, 'q.csv')), ['q']);
  t.deepEqual(await texts('gsm8k'), ['g']);
  t.deepEqual(await texts('gsm8k:test'), ['h']);
  await t.throwsAsync(texts('aime25'), {code: 'ILR_INVALID_ARGUMENT', message: /aime25:test, got "train"/});
});

test('a word that is neither a file nor a known data set is told the nearest known name', async (t) => {
  const read = (source: string) => readSource(source, {format, split: 'train', env: {}});
  await t.throwsAsync(read('gsm8kk:train'), {
    code: 'ILR_IO',
    message: /"gsm8kk:train" is neither.*Did you mean gsm8k\?$/,
  });
  await t.throwsAsync(read('/nowhere/gsm8kk'), {code: 'ILR_IO', message: /Did you mean gsm8k\?$/});
  await t.throwsAsync(read('my-questions'), {code: 'ILR_IO', message: /known by name \(gsm8k, math, .*scibench\)$/});
  await t.throwsAsync(read('gsm8kk.jsonl'), {code: 'ILR_IO', message: /gsm8kk\.jsonl: could not be read/});
});
