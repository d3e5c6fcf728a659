import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {type QuestionFormat, readQuestions} from '../../src/data/questions.js';
import {folderWith} from '../helpers/folder.js';
import {sharedPath} from '../helpers/shared.js';

const fields = {id: 'id', question: 'question', answer: 'answer', level: 'level'};
const plain: QuestionFormat = {fields, answer: 'field'};

async function fileWith(t: ExecutionContext, content: string | Uint8Array): Promise<string> {
  return join(await folderWith(t, {'q.jsonl': content}), 'q.jsonl');
}

test('a line is a question; a missing id is its line number', async (t) => {
  const file = await fileWith(
    t,
    '{"id": "x", "question": "1+1?", "answer": "2", "level": 3}\r\n\n{"question": "a\u2028b", "answer": 27.0, "level": "Level 5"}',
  );
  const {questions, warnings} = await readQuestions(file, plain);
  t.deepEqual(questions, [
    {id: 'x', text: '1+1?', answer: '2', level: 3},
    {id: '3', text: 'a\u2028b', answer: '27', level: 5},
  ]);
  t.deepEqual(warnings, []);
});

test('fields go by the names in the configuration', async (t) => {
  const file = await fileWith(t, '{"problem": "p", "solution": "s", "key": 7}\n');
  const named = {id: 'key', question: 'problem', answer: 'solution', level: 'level'};
  t.deepEqual((await readQuestions(file, {fields: named, answer: 'field'})).questions, [
    {id: '7', text: 'p', answer: 's'},
  ]);
});

test('the answer is taken from behind #### or from the last box', async (t) => {
  const gsm8k = await fileWith(t, '{"question": "q", "answer": "#### 1\\n2 + 3\\n#### 1,005 "}');
  t.is((await readQuestions(gsm8k, {fields, answer: 'gsm8k'})).questions[0]?.answer, '1,005');
  const boxed = await fileWith(
    t,
    '{"question": "q", "answer": "\\\\boxed{1} so \\\\boxed{\\\\frac{1}{2}}."}\n{"question": "q", "answer": "$\\\\boxed 2$"}',
  );
  const {questions} = await readQuestions(boxed, {fields, answer: 'boxed'});
  t.deepEqual(
    questions.map((question) => question.answer),
    ['\\frac{1}{2}', '2'],
  );
});

test('a broken line is named with what was expected and what came', async (t) => {
  const good = '{"question": "q", "answer": "1"}\n';
  const refuse = async (line: string, message: RegExp) => {
    const file = await fileWith(t, good + line);
    const error = await t.throwsAsync(readQuestions(file, plain), {code: 'ILR_INVALID_DATA', message});
    t.true(error?.message.startsWith(`${file}:2: `));
  };
  await refuse('{"question": "q", "answer": ', /expected one JSON object, got/);
  await refuse('[1]', /expected one JSON object, got "\[1\]"/);
  await refuse('{"text": "q"}', /field "question", got no such field; the line has "text"/);
  await refuse('{"question": " ", "answer": "1"}', /text in the field "question"/);
  await refuse('{"question": "q", "answer": [1]}', /text or a number in the field "answer", got a list of 1/);
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  await refuse(`{"question": "q", "answer": ${deep}}`, /text or a number in the field "answer", got a list of 1/);
  await refuse('{"question": "q", "answer": "1", "id": {}}', /field "id"/);
  await refuse('{"question": "q", "answer": "1", "id": 1}', /each id once, got "1", which line 1 has already/);
  await refuse('{"question": "q", "answer": ""}', /expected an answer/);
});

test('inherited names are not fields', async (t) => {
  const file = await fileWith(t, '{"question": "q", "answer": "1"}');
  await t.throwsAsync(readQuestions(file, {fields: {...fields, answer: 'toString'}, answer: 'field'}), {
    code: 'ILR_INVALID_DATA',
    message: /no such field/,
  });
});

test('text that is not UTF-8 is named by its line', async (t) => {
  const bytes = Buffer.concat([Buffer.from('{"question": "q", "answer": "1"}\n{"question": "'), Buffer.of(0xff)]);
  const file = await fileWith(t, bytes);
  await t.throwsAsync(readQuestions(file, plain), {code: 'ILR_INVALID_DATA', message: /:2: expected UTF-8/});
});

test('rare rows without an answer are left out with a warning, frequent ones are an error', async (t) => {
  const rows = Array.from({length: 200}, (_, i) => JSON.stringify({question: 'q', answer: `#### ${i}`}));
  rows[6] = '{"question": "q", "answer": "none"}';
  const {questions, warnings} = await readQuestions(await fileWith(t, rows.join('\n')), {fields, answer: 'gsm8k'});
  t.is(questions.length, 199);
  t.regex(warnings[0] as string, /:7: expected an answer after ####.*1 such questions were left out/);
  await t.throwsAsync(readQuestions(await fileWith(t, rows.slice(0, 50).join('\n')), {fields, answer: 'gsm8k'}), {
    code: 'ILR_INVALID_DATA',
    message: /:7: /,
  });
});

test('an empty or missing file is refused', async (t) => {
  for (const content of ['', '\n \n'])
    await t.throwsAsync(readQuestions(await fileWith(t, content), plain), {
      code: 'ILR_INVALID_DATA',
      message: /at least one question, got an empty file/,
    });
  await t.throwsAsync(readQuestions('/nowhere/q.jsonl', plain), {code: 'ILR_IO'});
  await t.throwsAsync(readQuestions(await folderWith(t), plain), {code: 'ILR_IO'});
});

const real = [
  {file: ['gsm8k', 'train.jsonl'], format: {fields, answer: 'gsm8k'}, count: 7473, numWarnings: 0},
  {file: ['gsm8k', 'test.jsonl'], format: {fields, answer: 'gsm8k'}, count: 1319, numWarnings: 0},
  {
    file: ['math', 'train.jsonl'],
    format: {fields: {...fields, id: 'unique_id', question: 'problem', answer: 'solution'}, answer: 'boxed'},
    // Two rows have an empty box, and two a level of `?`.
    count: 7498,
    numWarnings: 2,
  },
] as const;

for (const {file, format, count, numWarnings} of real) {
  const path = sharedPath('data', ...file);
  (path ? test : test.skip)(`${file.join('/')} reads whole${path ? '' : ' (../shared is not here)'}`, async (t) => {
    const {questions, warnings} = await readQuestions(path as string, format);
    t.is(questions.length, count);
    t.is(warnings.length, numWarnings);
  });
}
