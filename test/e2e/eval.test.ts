import {spawn} from 'node:child_process';
import {mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import type {EvalReport} from '../../src/eval/report.js';
import {packageRoot} from '../../src/native/paths.js';
import {questionLines, writeTinyRun} from '../helpers/tiny-run.js';

const cli = path.join(packageRoot(), 'bin', 'ilr-native.js');
const folder = await mkdtemp(path.join(tmpdir(), 'ilr-eval-'));
test.before(async () => {
  await writeTinyRun(folder);
  await writeFile(path.join(folder, 'sums.jsonl'), questionLines(16));
  const other = (i: number) => ({id: i, question: `${i}-1=?`, answer: `${i - 1}`, level: 1 + (i % 2)});
  const lines = Array.from({length: 9}, (_, i) => JSON.stringify(other(i)));
  await writeFile(path.join(folder, 'differences.jsonl'), lines.join('\n'));
});
test.after.always(() => rm(folder, {recursive: true, force: true}));

/** @param stopAt - Sends the signal, that of Ctrl-C when left out, once this stands on the error output. */
function ilrEval(
  args: readonly string[],
  stopAt?: RegExp,
  signal: NodeJS.Signals = 'SIGINT',
): Promise<{code: number | null; output: string; errors: string}> {
  const child = spawn(process.execPath, [cli, 'eval', ...args], {cwd: folder, stdio: ['ignore', 'pipe', 'pipe']});
  let output = '';
  let errors = '';
  let isStopped = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
    if (isStopped || !stopAt?.test(errors)) return;
    isStopped = true;
    child.kill(signal);
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({code, output, errors})));
}

const matrix = [
  'agents/ann',
  'agents/bob',
  '--data',
  'sums.jsonl',
  '--data',
  'differences.jsonl',
  '--config',
  'config.yaml',
];
const together = [
  '--modes',
  'solo,debate,idea3',
  '--samples',
  '2',
  '--k',
  '1,2',
  '--batch',
  '2',
  '--max-new-tokens',
  '10',
];

test('two models on two files, alone and together: interrupted, killed and gone on with, the same bytes', async (t) => {
  const whole = await ilrEval([...matrix, ...together, '--output', 'whole']);
  t.is(whole.code, 0, whole.errors);
  t.regex(whole.output, /^sums, solo\nmodel +questions +greedy % \[95 %\].*\nann +16 .*\nbob +16 /);
  t.regex(whole.output, /\ndifferences, idea3\n/);
  t.regex(whole.output, /\nmodes, mean@2: 12 tests, exact paired permutation test\n/);

  const args = [...matrix, ...together, '--output', 'parts'];
  const first = await ilrEval(args, /solo ann on sums: 16 questions/);
  t.is(first.code, 130, first.errors);
  t.regex(first.errors, /To go on: ilr-native eval agents\/ann agents\/bob --data sums\.jsonl .* --output parts/);
  await t.throwsAsync(readFile(path.join(folder, 'parts', 'report.json')));
  const saved = (await readFile(path.join(folder, 'parts', 'samples.jsonl'), 'utf8')).split('\n').length - 1;
  t.true(saved >= 16 * 3);
  const second = await ilrEval(args, /debate ann \+ bob on sums: /, 'SIGKILL');
  t.is(second.code, null, second.errors);
  t.regex(second.errors, /solo ann on sums: all 16 questions were answered before/);
  const third = await ilrEval(args);
  t.is(third.code, 0, third.errors);
  t.is(third.output, whole.output);
  for (const name of ['report.json', 'report.md', 'report.html'])
    t.deepEqual(
      await readFile(path.join(folder, 'parts', name)),
      await readFile(path.join(folder, 'whole', name)),
      name,
    );
});

test('bfloat16 is asked for, and is another evaluation', async (t) => {
  const args = [
    'agents/ann',
    '--data',
    'sums.jsonl',
    '--reward',
    'reward.mjs',
    '--samples',
    '0',
    '--max-new-tokens',
    '8',
  ];
  const report = async (more: readonly string[]) => {
    const {code, errors} = await ilrEval([...args, '--output', 'dtypes', ...more]);
    t.is(code, 0, errors);
    return JSON.parse(await readFile(path.join(folder, 'dtypes', 'report.json'), 'utf8')) as EvalReport;
  };
  t.is((await report([])).models[0]?.dtype, 'float32');
  t.is((await report(['--dtype', 'bfloat16'])).models[0]?.dtype, 'bfloat16');
  const lines = (await readFile(path.join(folder, 'dtypes', 'samples.jsonl'), 'utf8')).split('\n').length - 1;
  t.is(lines, 32);
});

const wrong: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['no questions', ['agents/ann'], /--data/],
  ['a missing file', ['agents/ann', '--data', 'none.jsonl'], /none\.jsonl: expected a question file, got nothing/],
  [
    'a field that is none',
    ['agents/ann', '--data', 'sums.jsonl', '--field', 'gold=answer'],
    /Expected id, question, answer, level, subject/,
  ],
  ['an answer that is nowhere', ['agents/ann', '--data', 'sums.jsonl', '--answer', 'boxd'], /Did you mean boxed\?/],
  ['a missing model', ['agents/eve', '--data', 'sums.jsonl'], /agents\/eve: expected a model folder/],
  ['one model in a debate', ['agents/ann', '--data', 'sums.jsonl', '--modes', 'debate'], /at least two models/],
  ['a mode that is none', ['agents/ann', '--data', 'sums.jsonl', '--modes', 'solo,debat'], /Did you mean debate\?/],
  ['more k than samples', ['agents/ann', '--data', 'sums.jsonl', '--k', '1,8'], /--k 8: .*\(4\); raise --samples/],
  [
    'an adaptive strategy without validation',
    [...matrix, '--modes', 'idea3', '--strategy', 'adaptive'],
    /--validation/,
  ],
  [
    'a prompt without a question',
    ['agents/ann', '--data', 'sums.jsonl', '--prompt', 'Hello'],
    /placeholder \{question\}/,
  ],
];

for (const [what, args, message] of wrong) {
  test(`${what} is refused before anything is asked`, async (t) => {
    const output = `wrong-${what.replaceAll(' ', '-')}`;
    const {code, errors} = await ilrEval([...args, '--output', output]);
    t.is(code, 1);
    t.regex(errors, message);
    await t.throwsAsync(readFile(path.join(folder, output, 'samples.jsonl')));
  });
}

test('the adaptive strategy measures abilities and difficulties, and says so in the report', async (t) => {
  const args = [
    ...matrix,
    '--modes',
    'idea3',
    '--samples',
    '0',
    '--validation',
    'differences.jsonl',
    '--output',
    'adaptive',
  ];
  const {code, errors} = await ilrEval(args);
  t.is(code, 0, errors);
  const report = JSON.parse(await readFile(path.join(folder, 'adaptive', 'report.json'), 'utf8')) as EvalReport;
  t.is(report.settings.strategy, 'adaptive');
  const lines = (await readFile(path.join(folder, 'adaptive', 'strategies.jsonl'), 'utf8')).trim().split('\n');
  t.is(lines.length, 2);
});

test('benchmarks are known by name, each with its grader; a gold that cannot be graded is left out and reported', async (t) => {
  const data = path.join(folder, 'sets');
  await mkdir(path.join(data, 'gsm8k'), {recursive: true});
  await mkdir(path.join(data, 'math500'), {recursive: true});
  const lines = (rows: readonly object[]) => `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`;
  await writeFile(
    path.join(data, 'gsm8k', 'test.jsonl'),
    lines([
      {question: '1+2', answer: 'So\n#### 3'},
      {question: '2+2', answer: '#### 4'},
    ]),
  );
  const problem = (own: object) => ({
    problem: '1/2',
    solution: '',
    subject: 'Algebra',
    level: 2,
    unique_id: 'a/1',
    ...own,
  });
  await writeFile(
    path.join(data, 'math500', 'test.jsonl'),
    lines([
      problem({answer: '\\frac12'}),
      problem({answer: '3', level: 1, unique_id: 'b/2'}),
      problem({answer: '$$', unique_id: 'c/3', subject: 'Odd'}),
    ]),
  );
  const args = [
    'agents/ann',
    '--benchmarks',
    'GSM8K,math-500',
    '--data-folder',
    data,
    '--samples',
    '0',
    '--max-new-tokens',
    '8',
    '--prompt',
    '{question}',
  ];
  const {code, errors, output} = await ilrEval([...args, '--output', 'sets-out']);
  t.is(code, 0, errors);
  t.regex(output, /^gsm8k, solo\nmodel.*\nann +2 .*\n\nmath500, solo\nmodel.*\nann +2 /);
  t.regex(errors, /math500: left out 1 of 3 questions that cannot be graded; the first is c\/3/);
  const report = JSON.parse(await readFile(path.join(folder, 'sets-out', 'report.json'), 'utf8')) as EvalReport;
  t.deepEqual(
    report.benchmarks.map(({name, reward, questions, leftOut}) => [name, reward, questions, leftOut.length]),
    [
      ['gsm8k', 'math', 2, 0],
      ['math500', 'math', 2, 1],
    ],
  );
  t.deepEqual(
    report.results[1]?.levels.map(({value, questions}) => [value, questions]),
    [
      ['1', 1],
      ['2', 1],
    ],
  );
  t.deepEqual(
    report.results[1]?.subjects.map(({value}) => value),
    ['Algebra'],
  );
  const unknown = await ilrEval(['agents/ann', '--benchmarks', 'gsm8q']);
  t.regex(unknown.errors, /got "gsm8q"\. Did you mean gsm8k\?/);
  const absent = await ilrEval(['agents/ann', '--benchmarks', 'aime24', '--data-folder', data]);
  t.regex(absent.errors, /ilr-native pull aime24/);
});
