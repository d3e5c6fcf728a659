import {spawn} from 'node:child_process';
import {PassThrough, Readable} from 'node:stream';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {gradeCodeLines} from '../../src/cli/grade-code.js';
import type {Sandbox} from '../../src/reward/code/sandbox.js';
import {sandboxTest} from '../helpers/sandbox.js';

async function grade(sandbox: Sandbox, rows: readonly unknown[], options = {}) {
  const output = new PassThrough();
  const text = output.toArray();
  const lines = rows.map((row) => `${typeof row === 'string' ? row : JSON.stringify(row)}\n`);
  const counts = await gradeCodeLines(Readable.from(lines), output, {sandbox, ...options});
  output.end();
  const written = Buffer.concat(await text).toString();
  return {
    counts,
    grades: written
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line)),
  };
}

const asserts = ['assert add(1, 2) == 3', 'assert add(0.1, 0.2) == 0.3'];
const fenced = (program: string) => `\`\`\`python\n${program}\n\`\`\``;

sandboxTest('grade code: a grade for each line, in order, whatever the line holds', async (t, sandbox) => {
  const rows = [
    {tests: asserts, answer: fenced('import time\ntime.sleep(0.5)\ndef add(a, b): return a + b')},
    {tests: asserts, answer: fenced('def add(a, b): return 3')},
    '',
    '{"tests": ',
    '[1]',
    {tests: [], answer: 'x'},
    {tests: [1], answer: 'x'},
    {tests: asserts, answer: 5},
    {tests: asserts, answer: 'x', entry_point: 5},
    {tests: 'assert add(1, 2) == add(2, 1)', answer: fenced('def add(a, b): return 3')},
    {tests: asserts, answer: 'No idea.'},
    {
      tests: 'def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == candidate(3)',
      entry_point: 'double',
      prefix: 'def double(x):\n    """ Twice. """\n',
      answer: '    return 2 * x\n',
    },
    {tests: ['assert size(root) == 1'], setup: ['root = [7]', 'other = 1'], answer: 'def size(x): return len(x)'},
  ];
  const {counts, grades} = await grade(sandbox, rows);
  t.deepEqual(grades, [
    {correct: true, passed: 2, total: 2, reason: 'passed'},
    {correct: false, passed: 1, total: 2, reason: 'test 2 of 2: add(0.1, 0.2): returned 3, expected 0.3'},
    {correct: null, reason: grades[2].reason},
    {correct: null, reason: 'line 4: expected a JSON object'},
    {
      correct: null,
      reason: 'line 5: expected text or a list of texts in "tests"; --field tests=<name> names another field',
    },
    {
      correct: null,
      reason: 'line 6: expected text or a list of texts in "tests"; --field tests=<name> names another field',
    },
    {correct: null, reason: 'line 7: expected text in "answer"; --field answer=<name> names another field'},
    {correct: null, reason: 'line 8: expected text in "entry_point"; --field entry_point=<name> names another field'},
    {correct: null, reason: 'compares the program with itself'},
    {correct: false, passed: 0, total: 2, reason: 'no program found'},
    {correct: true, passed: 1, total: 1, skipped: 1, reason: 'passed'},
    {correct: true, passed: 1, total: 1, reason: 'passed'},
  ]);
  t.regex(grades[2].reason, /^line 3: expected a JSON object, got: /);
  t.deepEqual(counts, {lines: 12, correct: 3, malformed: 6, ungradable: 1, failed: 0});
});

sandboxTest('grade code: fields by other names, and many lines through a window of a few', async (t, sandbox) => {
  let running = 0;
  let most = 0;
  const watched: Sandbox = {
    ...sandbox,
    async run(job, signal) {
      most = Math.max(most, ++running);
      return sandbox.run(job, signal).finally(() => running--);
    },
  };
  const rows = Array.from({length: 40}, (_, i) => ({
    test_list: [`assert f(1) == ${i}`],
    completion: fenced(`def f(x): return ${i % 2 ? i : -1}`),
  }));
  const fields = {tests: 'test_list', answer: 'completion'};
  const {counts, grades} = await grade(watched, rows, {fields, window: 3});
  t.deepEqual(
    grades.map(({correct}) => correct),
    rows.map((_, i) => i % 2 === 1),
  );
  t.is(counts.correct, 20);
  t.true(most > 1 && most <= 4, `${most}`); // the window, and a reading of tests
});

sandboxTest('grade code: an answer comes as soon as it is there, before the input ends', async (t, sandbox) => {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const done = gradeCodeLines(input, output, {sandbox});
  for (const isRight of [true, false]) {
    input.write(
      `${JSON.stringify({tests: asserts, answer: fenced(`def add(a, b): return a ${isRight ? '+' : '-'} b`)})}\n`,
    );
    const [line] = (await new Promise<Buffer>((resolve) => output.once('data', resolve))).toString().split('\n');
    t.is(JSON.parse(line as string).correct, isRight);
  }
  input.end();
  t.is((await done).lines, 2);
});

test('grade code: a sandbox that fails is told of each line, and never a wrong answer', async (t) => {
  const broken: Sandbox = {
    kind: 'broken',
    description: '',
    run: () => Promise.reject(new Error('no namespaces')),
    close: async () => {},
  };
  const {counts, grades} = await grade(broken, [{tests: asserts, answer: fenced('def add(a, b): return 3')}]);
  t.deepEqual(grades, [{correct: null, reason: 'not run: no namespaces'}]);
  t.like(counts, {failed: 1, correct: 0});
});

const bin = fileURLToPath(new URL('../../../bin/ilr-native.js', import.meta.url));

function runCommand(args: readonly string[], input: string) {
  return new Promise<{code: number | null; stdout: string; stderr: string}>((resolve) => {
    const child = spawn(process.execPath, [bin, 'grade', 'code', ...args]);
    const texts = {stdout: '', stderr: ''};
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text) => (texts[name] += text));
    child.on('close', (code) => resolve({code, ...texts}));
    child.stdin.end(input);
  });
}

sandboxTest('grade code: the command, its limits and its exit code', async (t) => {
  const rows = [
    {tests: asserts, code: fenced('def add(a, b): return a + b')},
    {tests: asserts, code: fenced('def add(a, b):\n    while True: pass')},
  ];
  const input = rows.map((row) => JSON.stringify(row)).join('\n');
  const {code, stdout, stderr} = await runCommand(
    ['--field', 'answer=code', '--timeout', '1', '--concurrency', '2', '--memory', '256'],
    input,
  );
  const [right, late] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.is(right.correct, true);
  t.like(late, {correct: false, passed: 0});
  t.regex(late.reason, /no result within 1 s|killed by SIG/);
  t.regex(stderr, /2 graded: 1 correct, 0 without tests that compare values, 0 not run, 0 malformed\n$/);
  t.is(code, 0);
});

test('grade code: an unknown field is refused', async (t) => {
  const {code, stderr} = await runCommand(['--field', 'test=x'], '');
  t.not(code, 0);
  t.regex(stderr, /Expected one of tests, answer, entry_point, setup, prefix/);
});
