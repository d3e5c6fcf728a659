import {availableParallelism} from 'node:os';
import type {Readable, Writable} from 'node:stream';
import {type Command, InvalidArgumentError} from 'commander';
import {messageOf} from '../errors.js';
import {gradeProgram, whyNone} from '../reward/code/grader.js';
import {Places} from '../reward/code/sandbox/places.js';
import {type Limits, openSandbox, type Sandbox} from '../reward/code/sandbox.js';
import {type ReadTests, testReader} from '../reward/code/test-reader.js';
import type {CodeTests} from '../types.js';
import {type FieldNames, fieldNames, readJob} from './code-row.js';
import {openInput, readLines, writeLine} from './grade-input.js';
import {positive} from './options.js';
import {print} from './terminal.js';

export interface CodeStreamOptions {
  readonly sandbox: Sandbox;
  /** Lines that are read ahead of the first whose grade is not written yet. */
  readonly window?: number;
  readonly limits?: Partial<Limits>;
  /** Where the fields stand, in place of their own names. */
  readonly fields?: FieldNames;
}

export interface CodeCounts {
  lines: number;
  correct: number;
  /** Lines that are no JSON object with tests and an answer. */
  malformed: number;
  /** Lines without tests that compare values. */
  ungradable: number;
  /** Lines whose program the sandbox failed to run. */
  failed: number;
}

type Result = Readonly<Record<string, unknown>> & {readonly correct: boolean | null; readonly reason: string};

/** Grades JSON lines, as many at once as the sandbox takes, and writes the grades in the lines' order; what is held does not grow with their number. */
export async function gradeCodeLines(
  input: Readable,
  output: Writable,
  {sandbox, window = 64, limits, fields = {}}: CodeStreamOptions,
): Promise<CodeCounts> {
  const counts: CodeCounts = {lines: 0, correct: 0, malformed: 0, ungradable: 0, failed: 0};
  const places = new Places(window);
  const never = new AbortController().signal;
  const readTests = rememberTests(testReader(sandbox));
  let written = Promise.resolve();

  async function grade(line: string, number: number): Promise<Result> {
    const job = readJob(line, fields);
    if (typeof job === 'string') {
      counts.malformed++;
      return {correct: null, reason: `line ${number}: ${job}`};
    }
    try {
      const read = await readTests(job.tests);
      if (read.checks.length === 0) {
        counts.ungradable++;
        return {correct: null, reason: whyNone(read)};
      }
      const {correct, passed, total, reason} = await gradeProgram(sandbox, job.tests, read, job.answer, {limits});
      if (correct) counts.correct++;
      const skipped = read.unsupported.length;
      return {correct, passed, total, ...(skipped > 0 && {skipped}), reason};
    } catch (error) {
      counts.failed++;
      return {correct: null, reason: `not run: ${messageOf(error)}`};
    }
  }

  for await (const line of readLines(input)) {
    if (line.trim() === '') continue;
    const release = await places.take(never);
    const graded = grade(line, ++counts.lines);
    written = written.then(async () => {
      await writeLine(output, await graded);
      release();
    });
  }
  await written;
  return counts;
}

const maxRemembered = 1000;

/** Many answers to one question usually stand together: its tests are read once. */
function rememberTests(read: (tests: CodeTests) => Promise<ReadTests>): (tests: CodeTests) => Promise<ReadTests> {
  const known = new Map<string, Promise<ReadTests>>();
  return (tests) => {
    const key = JSON.stringify(tests);
    const found = known.get(key) ?? read(tests);
    known.delete(key);
    known.set(key, found); // the latest last
    if (known.size > maxRemembered) known.delete(known.keys().next().value as string);
    return found;
  };
}

const help = `
One JSON object a line in, one a line out, in the same order:
  $ echo '{"tests": ["assert add(1, 2) == 3"], "answer": "\`\`\`python\\ndef add(a, b): return a + b\\n\`\`\`"}' | ilr-native grade code
  {"correct":true,"passed":1,"total":1,"reason":"passed"}
"tests": assert statements, or a check(candidate) as HumanEval has it, with "entry_point" and "prefix" (the prompt that the answer goes on from);
"setup": statements that run after the program. "correct" is null where no test compares values, or the program could not be run.
A program runs in a sandbox (see ilr-native doctor) without the expected values: the values that it returns are compared outside.`;

export function registerCode(grade: Command): void {
  grade
    .command('code')
    .description('run the Python programs in answers in a sandbox, and compare what they return with what tests expect')
    .argument('[file]', 'JSON lines; standard input when left out')
    .option('--field <name=field>', `${fieldNames.join(', ')}: where they stand (repeatable)`, fieldsOf)
    .option('--concurrency <count>', 'programs at once (default: the number of cores)', positive)
    .option('--timeout <seconds>', 'for one program, all its tests together (default: 10)', positive)
    .option('--memory <MiB>', 'for one program, 30 of which Python takes itself (default: 1024)', positive)
    .addHelpText('after', help)
    .action(async (file: string | undefined, options) => {
      const {field: fields, concurrency = availableParallelism(), timeout, memory} = options;
      const input = await openInput(file);
      const limits = {
        ...(timeout !== undefined && {wallSeconds: timeout, cpuSeconds: timeout}),
        ...(memory !== undefined && {memoryBytes: memory * 2 ** 20}),
      };
      const sandbox = await openSandbox({concurrency, limits});
      try {
        const window = Math.max(64, 4 * concurrency);
        const counts = await gradeCodeLines(input, process.stdout, {sandbox, limits, window, fields});
        report(counts);
      } finally {
        await sandbox.close();
      }
    });
}

function report({lines, correct, malformed, ungradable, failed}: CodeCounts): void {
  print(
    process.stderr,
    `${lines} graded: ${correct} correct, ${ungradable} without tests that compare values, ${failed} not run, ${malformed} malformed\n`,
  );
  if (malformed + failed > 0) process.exitCode = 1;
}

function fieldsOf(value: string, before: FieldNames = {}) {
  const [, name, field] = /^([^=]+)=(.+)$/.exec(value) ?? [];
  const known = fieldNames.find((one) => one === name);
  if (known === undefined) {
    throw new InvalidArgumentError(`Expected one of ${fieldNames.join(', ')}, "=", and the field that holds it.`);
  }
  return {...before, [known]: field as string};
}
