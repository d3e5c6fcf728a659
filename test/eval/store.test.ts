import {appendFile, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {EvalAnswer} from '../../src/eval/report.js';
import {AnswerStore} from '../../src/eval/store.js';
import {folderWith} from '../helpers/folder.js';

const answer = (key: string, own: Partial<EvalAnswer> = {}): EvalAnswer => ({
  key,
  benchmark: 'sums',
  mode: 'solo',
  model: 'ann',
  question: 'q0',
  sample: null,
  text: 'one\u2028line, {"two": 2}\n',
  isCorrect: true,
  isWellFormed: true,
  finishReason: 'stop',
  tokens: 3,
  ...own,
});

test('what is added is there again, once, and the first of a key stays', async (t) => {
  const file = path.join(await folderWith(t), 'samples.jsonl');
  const store = await AnswerStore.open(file);
  await Promise.all([
    store.add([answer('a'), answer('b', {answer: '7'})]),
    store.add([answer('a', {tokens: 9}), answer('c')]),
  ]);
  t.is(store.get('a')?.tokens, 3);
  await store.close();
  const again = await AnswerStore.open(file);
  t.is(again.get('a')?.tokens, 3);
  t.is(again.get('b')?.answer, '7');
  t.is(again.get('d'), undefined);
  await again.close();
  const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1);
  t.deepEqual(
    lines.map((line) => JSON.parse(line).key),
    ['a', 'b', 'c'],
  );
  t.is(JSON.parse(lines[0] as string).text, answer('a').text);
});

test('half a line at the end is cut off before the next one', async (t) => {
  const file = path.join(await folderWith(t), 'samples.jsonl');
  const store = await AnswerStore.open(file);
  await store.add([answer('a')]);
  await store.close();
  const whole = await readFile(file, 'utf8');
  await appendFile(file, '{"key":"b","text":"hal');
  const again = await AnswerStore.open(file);
  t.is(await readFile(file, 'utf8'), whole);
  await again.add([answer('b')]);
  await again.close();
  t.is((await readFile(file, 'utf8')).trim().split('\n').length, 2);
});

test('a line of something else is named, and nothing is changed', async (t) => {
  const file = path.join(await folderWith(t), 'samples.jsonl');
  const text = `${JSON.stringify(answer('a'))}\n{"key":"b"}\n`;
  await writeFile(file, text);
  await t.throwsAsync(AnswerStore.open(file), {
    code: 'ILR_CHECKPOINT',
    message: /samples\.jsonl:2: expected an answer/,
  });
  t.is(await readFile(file, 'utf8'), text);
});

test('after a write that failed, no later one goes behind it', async (t) => {
  const file = path.join(await folderWith(t), 'samples.jsonl');
  const store = await AnswerStore.open(file);
  await store.close();
  await t.throwsAsync(store.add([answer('a')]), {code: 'ILR_IO'});
  await t.throwsAsync(store.add([answer('b')]), {code: 'ILR_IO'});
  t.is(store.get('a'), undefined);
  t.is(await readFile(file, 'utf8'), '');
});
