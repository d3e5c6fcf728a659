import {execFile} from 'node:child_process';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {describeSources} from '../../src/cli/data.js';
import {readRunQuestions} from '../../src/cli/run.js';
import {type RunConfig, runSchema} from '../../src/config.js';
import {readConfigFile} from '../../src/config-file.js';
import type {TrainEvent} from '../../src/types.js';
import {folderWith} from '../helpers/folder.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

const train = [
  {question: 'How many apples are in the big red basket on the table?', answer: '3', level: 1, subject: 'fruit'},
  {question: 'What is 2 + 2?', answer: '4', level: 2, subject: 'sums'},
  {question: 'what is 2+2', answer: '4', level: 2, subject: 'sums'},
];
const held = [
  {question: 'how many apples are in the big red basket on the table', answer: '3'},
  {question: 'What is 3 + 3?', answer: '\u001b[31msix apples of a kind\u001b[0m'},
];

const lines = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

test('a source is described: counts, repetitions, what cannot be graded, what another shares', async (t) => {
  const folder = await folderWith(t, {'train.jsonl': lines(train), 'test.jsonl': lines(held)});
  const [described] = await describeSources([join(folder, 'train.jsonl')], {against: [join(folder, 'test.jsonl')]});
  t.like(described, {rows: 3, questions: 3, levels: {1: 1, 2: 2}, subjects: {fruit: 1, sums: 2}});
  t.deepEqual(described?.repeated, [{id: '3', other: '2', similarity: 1}]);
  t.deepEqual(described?.ungradable, {reward: 'math', questions: []});
  t.deepEqual(described?.overlaps[0]?.same, [{id: '1', other: '1', similarity: 1}]);
  const [numbers] = await describeSources([join(folder, 'test.jsonl')], {reward: 'numeric'});
  t.deepEqual(
    numbers?.ungradable?.questions.map(({id}) => id),
    ['2'],
  );
});

test('settings are those of a run: fields, template, answer; a wrong one is told', async (t) => {
  const folder = await folderWith(t, {
    'q.jsonl': lines([{problem: 'Which?', options: ['a', 'b'], key: 1}]),
    'run.yaml':
      'agents: [{name: a, model: .}]\ndata: {train: q.jsonl, fields: {question: problem, choices: options, answer: key}}\n',
  });
  const source = [join(folder, 'q.jsonl')];
  const config = join(folder, 'run.yaml');
  const [described] = await describeSources(source, {config, answer: 'choice', template: '{choices}\\n{question}'});
  t.like(described?.first[0], {text: 'A. a\nB. b\nWhich?', answer: 'B'});
  const named = {field: ['question=problem', 'choices=options', 'answer=key'], answer: 'choice'};
  t.is((await describeSources(source, named))[0]?.first[0]?.answer, 'B');
  await t.throwsAsync(describeSources(source, {answer: 'somewhere'}), {
    code: 'ILR_INVALID_ARGUMENT',
    message: /^--answer: /,
  });
  await t.throwsAsync(describeSources(source, {field: ['nothing']}), {
    code: 'ILR_INVALID_ARGUMENT',
    message: /name=field/,
  });
  await t.throwsAsync(describeSources(source, {field: ['nobody=x']}), {
    code: 'ILR_INVALID_ARGUMENT',
    message: /^--field: /,
  });
});

test('a run warns of questions that it both trains on and measures with', async (t) => {
  const folder = await folderWith(t, {'train.jsonl': lines(train), 'test.jsonl': lines(held)});
  const config = runSchema.parse({
    agents: [{name: 'a', model: '.'}],
    data: {train: join(folder, 'train.jsonl'), validation: join(folder, 'test.jsonl')},
    eval: {data: join(folder, 'test.jsonl')},
  });
  const events: TrainEvent[] = [];
  await readRunQuestions(config, (event) => events.push(event));
  const messages = events.map((event) => (event.type === 'warning' ? event.message : ''));
  t.is(messages.length, 2);
  t.regex(messages[0] as string, /^1 of 2 validation questions are among the training questions too/);
  t.regex(messages[1] as string, /^1 of 2 test questions are among the training questions too/);
});

test('the command prints nothing that moves a terminal, and lists what is known', async (t) => {
  const folder = await folderWith(t, {
    'test.jsonl': lines(held),
    'gsm8k/test.jsonl': '{"question": "h", "answer": "#### 3"}\n',
  });
  const run = (...args: string[]) =>
    new Promise<string>((resolve, reject) =>
      execFile(
        process.execPath,
        [join(root, 'bin', 'ilr-native.js'), 'data', ...args],
        {env: {...process.env, ILR_DATA: folder, ILR_CACHE: join(folder, 'cache')}},
        (error, stdout) => (error ? reject(error) : resolve(stdout)),
      ),
    );
  const shown = await run(join(folder, 'test.jsonl'), '--show', '2');
  t.regex(shown, /2 questions/);
  t.regex(shown, /gold answer: six apples of a kind/);
  t.false(shown.includes('\u001b'));
  const list = await run();
  t.regex(list, /gsm8k +GSM8K: .*\n +train, test; here: test\n/);
  t.regex(list, /not here: ilr-native pull math500/);
});

test('a configuration names data sets: they stay names, and their folder is meant from the file', async (t) => {
  const row = (question: string) => lines([{question, answer: '#### 2'}]);
  const folder = await folderWith(t, {
    'run.yaml':
      'agents: [{name: a, model: .}]\ndata: {train: gsm8k, test: ./q.csv, folder: sets, answer: field}\neval: {data: gsm8k}\n',
    'sets/gsm8k/train.jsonl': row('from train'),
    'sets/gsm8k/test.jsonl': row('from test'),
  });
  const {config} = await readConfigFile(join(folder, 'run.yaml'));
  t.like(config.data, {train: 'gsm8k', test: join(folder, 'q.csv'), folder: join(folder, 'sets')});
  const {train: training, test: tested} = await readRunQuestions(config);
  t.deepEqual([training[0]?.text, tested?.[0]?.text], ['from train', 'from test']);
});

test('training on programs with a prompt that asks for a box is warned of', async (t) => {
  const task = {text: 'Double it.', task_id: 1, test_list: ['assert f(1) == 2'], code: 'def f(x): return 2 * x'};
  const folder = await folderWith(t, {'mbpp/train.jsonl': lines([task])});
  const config = (share?: string) =>
    runSchema.parse({
      agents: [{name: 'a', model: '.'}],
      data: {train: 'mbpp', folder},
      ...(share !== undefined && {dialogue: {prompts: {share}}}),
    });
  const warningsOf = async (given: RunConfig) => {
    const events: TrainEvent[] = [];
    await readRunQuestions(given, (event) => events.push(event));
    return events.map((event) => (event.type === 'warning' ? event.message : ''));
  };
  t.regex((await warningsOf(config()))[0] as string, /MBPP asks for programs/);
  t.deepEqual(await warningsOf(config('{question} Write a program.')), []);
});
