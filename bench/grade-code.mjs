// Programs graded per second, end to end (a Python process in the sandbox for each), and how many reference solutions of MBPP, its sanitised part and
// HumanEval pass, as they are and made wrong in four ways. Needs ../shared and a sandbox.
//   node bench/grade-code.mjs [--concurrency 2] [--out bench/results/grade-code.json]
import {availableParallelism} from 'node:os';
import {parseArgs} from 'node:util';
import {gradeProgram} from '../dist/src/reward/code/grader.js';
import {openSandbox} from '../dist/src/reward/code/sandbox.js';
import {testReader} from '../dist/src/reward/code/test-reader.js';
import {references, spoilers} from '../dist/test/helpers/code-references.js';
import {report} from './report.mjs';

const {values} = parseArgs({options: {concurrency: {type: 'string'}, out: {type: 'string'}}});
const concurrency = Number(values.concurrency ?? availableParallelism());
const sandbox = await openSandbox({concurrency});

async function timed(work) {
  const start = performance.now();
  return [await work(), (performance.now() - start) / 1000];
}

const functions = (names, program) => names.filter((name) => new RegExp(`^def ${name}\\b`, 'm').test(program));

async function measure(set) {
  const tasks = references(set);
  const readTests = testReader(sandbox);
  const [read, readSeconds] = await timed(() => Promise.all(tasks.map(({tests}) => readTests(tests))));
  const gradeAll = (programOf) =>
    Promise.all(
      tasks.map((task, i) => gradeProgram(sandbox, task.tests, read[i], `\`\`\`python\n${programOf(task, i)}\n\`\`\``)),
    );
  const [grades, seconds] = await timed(() => gradeAll(({program}) => program));
  const wrongPass = {};
  for (const [name, spoil] of Object.entries(spoilers)) {
    const wrong = await gradeAll(({program}, i) => `${program}\n${spoil(functions(read[i].names, program))}`);
    wrongPass[name] = tasks.filter((_, i) => wrong[i].correct).map(({id}) => id);
  }
  return {
    tasks: tasks.length,
    checks: read.reduce((sum, {checks}) => sum + checks.length, 0),
    leftOut: read.flatMap(({unsupported}, i) => unsupported.map(({reason}) => `${tasks[i].id}: ${reason}`)),
    readSeconds: Number(readSeconds.toFixed(2)),
    referencesPass: grades.filter(({correct}) => correct).length,
    referencesFail: tasks.flatMap(({id}, i) => (grades[i].correct ? [] : [`${id}: ${grades[i].reason}`])),
    programsPerSecond: Number((tasks.length / seconds).toFixed(1)),
    wrongPass,
  };
}

const results = {};
for (const set of ['mbpp', 'mbpp_sanitized', 'humaneval']) results[set] = await measure(set);
await sandbox.close();
report('grade-code.mjs', {sandbox: sandbox.description, concurrency, ...results});
