import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {type QuestionFormat, readQuestions} from '../../src/data/questions.js';
import {folderWith} from '../helpers/folder.js';

const fields = {
  id: 'id',
  question: 'question',
  answer: 'answer',
  level: 'level',
  subject: 'subject',
  choices: 'choices',
};

async function read(t: ExecutionContext, rows: readonly unknown[], format: Partial<QuestionFormat>) {
  const folder = await folderWith(t, {'q.json': JSON.stringify(rows)});
  return (await readQuestions(join(folder, 'q.json'), {fields, answer: 'field', ...format})).questions;
}

test('a path leads into a field; a field of that very name comes first', async (t) => {
  const named = {...fields, question: 'a.b.1', answer: 'x.y'};
  const rows = [{a: {b: ['no', 'yes?']}, 'x.y': 1, x: {y: 2}, subject: 'logic', level: 'Level 4'}];
  t.deepEqual(await read(t, rows, {fields: named}), [{id: '1', text: 'yes?', answer: '1', subject: 'logic', level: 4}]);
  await t.throwsAsync(read(t, [{a: {b: []}}], {fields: named}), {
    message: /: row 1: expected text in the field "a.b.1"/,
  });
});

test('a template is filled from fields, by their own names or by those of the configuration', async (t) => {
  const rows = [{context: 'c', problem: 'p', answer: 'A', n: 3, list: ['x', 'y'], extra: {deep: true}}];
  const template = '{context}|{question}|{n}|{list}|{extra.deep}|\\boxed{}|{{n}}';
  const [question] = await read(t, rows, {fields: {...fields, question: 'problem'}, template});
  t.is(question?.text, 'c|p|3|A. x\nB. y|true|\\boxed{}|{n}');
  await t.throwsAsync(read(t, rows, {template: '{nothing}'}), {
    message: /in the field "nothing" of data.template, got no such field/,
  });
  await t.throwsAsync(read(t, [{a: '', answer: '1'}], {template: '{a}'}), {message: /text from data.template/});
});

test('a choice is named by label, by place from 0 or by letter; the gold answer is its letter', async (t) => {
  const choices = ['one', 'two', 'three'];
  const gold = async (answer: unknown, options: unknown = choices) =>
    (await read(t, [{question: 'q', choices: options, answer}], {answer: 'choice'}))[0]?.answer;
  t.is(await gold(2), 'C');
  t.is(await gold('0'), 'A');
  t.is(await gold('b'), 'B');
  t.is(await gold('(C)'), 'C');
  t.is(await gold('1', {text: choices, label: ['1', '2', '3']}), 'A');
  t.is(await gold('E', {text: choices, label: ['D', 'E', 'F']}), 'B');
  for (const answer of [3, 'D', 'two', '-1', ''])
    await t.throwsAsync(gold(answer), {message: /one of 3 options as the answer/});
  await t.throwsAsync(gold('A', ['alone']), {message: /2 to 26 options in the field "choices"/});
  await t.throwsAsync(gold('A', {text: choices, label: ['1']}), {message: /2 to 26 options/});
});

test('options are rendered below the question unless a template says otherwise', async (t) => {
  const row = {question: 'Which?', choices: [' one', 'two '], answer: 1};
  const [plain] = await read(t, [row], {answer: 'choice'});
  t.is(plain?.text, 'Which?\n\nA. one\nB. two\n\nAnswer with the letter of the right option.');
  const [own] = await read(t, [row], {answer: 'choice', template: '{choices}\n{question}'});
  t.is(own?.text, 'A. one\nB. two\nWhich?');
});

test('tests of a program come from the fields that are named, and need no answer', async (t) => {
  const named = {...fields, tests: 'asserts', setup: 'before', entryPoint: 'name', prefix: 'start'};
  const row = {question: 'q', asserts: ['assert f(1) == 1'], before: 'import math', name: 'f', start: 'def f(x):'};
  t.deepEqual(await read(t, [row], {fields: named}), [
    {
      id: '1',
      text: 'q',
      answer: '',
      tests: {asserts: ['assert f(1) == 1'], setup: 'import math', entryPoint: 'f', prefix: 'def f(x):'},
    },
  ]);
  await t.throwsAsync(read(t, [{...row, asserts: []}], {fields: named}), {
    message: /expected tests in the field "asserts", got "none"|got none/,
  });
  await t.throwsAsync(read(t, [{...row, asserts: [1]}], {fields: named}), {
    message: /a list of texts in the field "asserts"/,
  });
});

test('numbers of CSV are levels and answers all the same; an empty level is none', async (t) => {
  const folder = await folderWith(t, {'q.csv': 'question,answer,level\nq,1,3\nr,2,\n'});
  const {questions, warnings} = await readQuestions(join(folder, 'q.csv'), {fields, answer: 'field'});
  t.deepEqual(questions, [
    {id: '1', text: 'q', answer: '1', level: 3},
    {id: '2', text: 'r', answer: '2'},
  ]);
  t.deepEqual(warnings, []);
});

test('a number that a double does not hold is refused, so that no gold answer changes', async (t) => {
  const gold = async (text: string) => {
    const folder = await folderWith(t, {'q.jsonl': `{"question": "q", "answer": ${text}}\n`});
    return (await readQuestions(join(folder, 'q.jsonl'), {fields, answer: 'field'})).questions[0]?.answer;
  };
  t.is(await gold('9007199254740991'), '9007199254740991');
  t.is(await gold('6.02e23'), '6.02e+23');
  t.is(await gold('1e16'), '10000000000000000');
  t.is(await gold('"12345678901234567890"'), '12345678901234567890');
  await t.throwsAsync(gold('12345678901234567890'), {message: /:1: expected a number of at most 15 digits/});
  await t.throwsAsync(gold('1e999'), {message: /got Infinity/});
});
