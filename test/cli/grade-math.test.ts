import {spawn} from 'node:child_process';
import {Readable, Writable} from 'node:stream';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {type GradeStreamOptions, gradeLines} from '../../src/cli/grade-math.js';

async function grade(lines: readonly string[], options: GradeStreamOptions = {}) {
  let text = '';
  const output = new Writable({
    write(chunk, _, done) {
      text += chunk;
      done();
    },
  });
  const counts = await gradeLines(Readable.from(lines.map((line) => `${line}\n`)), output, options);
  return {
    counts,
    rows: text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line)),
  };
}

test('grade math: a line for a line, in order', async (t) => {
  const {counts, rows} = await grade([
    '{"gold": "\\\\frac12", "answer": "so it is \\\\boxed{0.5}"}',
    '{"gold": 3, "answer": "4"}',
    '{"gold": "", "answer": "4"}',
  ]);
  t.deepEqual(rows, [
    {correct: true, extracted: '0.5', gold: '\\frac12', reason: 'equal'},
    {correct: false, extracted: '4', gold: '3', reason: 'not equal'},
    {correct: null, gold: '', reason: 'the gold answer is empty or too long'},
  ]);
  t.deepEqual(counts, {lines: 3, correct: 1, malformed: 0, ungradable: 1});
});

test('grade math: a line that is no pair is null with its number and what was expected, and the rest goes on', async (t) => {
  const {counts, rows} = await grade([
    'nonsense',
    '[1]',
    '{"gold": "1"}',
    '{"gold": {}, "answer": "1"}',
    '{"gold": "1", "answer": "1"}',
  ]);
  t.deepEqual(
    rows.map((row) => row.correct),
    [null, null, null, null, true],
  );
  t.regex(rows[0].reason, /line 1: expected a JSON object/);
  t.regex(rows[2].reason, /line 3: expected text or a number in "answer"; --field answer=<name>/);
  t.is(counts.malformed, 4);
});

test('grade math: other fields and options', async (t) => {
  const {rows} = await grade(['{"target": "28\\\\%", "output": "28"}'], {
    goldField: 'target',
    answerField: 'output',
    percent: 'strict',
  });
  t.false(rows[0].correct);
});

/** Runs the command with a heap that all lines together would not fit in. */
function runCommand(
  lines: number,
): Promise<{readonly code: number | null; readonly rows: number; readonly wrong: number}> {
  const bin = fileURLToPath(new URL('../../../bin/ilr-native.js', import.meta.url));
  const child = spawn(process.execPath, ['--max-old-space-size=40', bin, 'grade', 'math'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const filler = 'So we think about it once more. '.repeat(60);
  const source = function* () {
    for (let i = 0; i < lines; i++) yield `${JSON.stringify({gold: i, answer: `${filler}\\boxed{${i}}`})}\n`;
  };
  Readable.from(source()).pipe(child.stdin);
  let rows = 0;
  let wrong = 0;
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() as string;
    for (const part of parts) {
      if (!part.startsWith(`{"correct":true,"extracted":"${rows}"`)) wrong++;
      rows++;
    }
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({code, rows, wrong})));
}

test('grade math: 100,000 lines (200 MB) stream through a heap of 40 MB, in order', async (t) => {
  t.deepEqual(await runCommand(100_000), {code: 0, rows: 100_000, wrong: 0});
});
