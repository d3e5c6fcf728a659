import test, {type ExecutionContext} from 'ava';
import {messageOf} from '../../../../src/errors.js';
import {gradeProgram} from '../../../../src/reward/code/grader.js';
import {proveLauncher} from '../../../../src/reward/code/sandbox/canaries.js';
import {deno, findPackages} from '../../../../src/reward/code/sandbox/deno.js';
import type {Launcher} from '../../../../src/reward/code/sandbox/launcher.js';
import {defaultLimits, openLauncher} from '../../../../src/reward/code/sandbox.js';
import {testReader} from '../../../../src/reward/code/test-reader.js';
import {job, survivors} from '../../../helpers/sandbox.js';

/** The last resort, where the npm packages deno and pyodide are installed beside this one, or in the working directory. */
const found: Launcher | string = await deno(process.env).catch(messageOf);

test.after.always(async () => {
  if (typeof found !== 'string') await found.close?.();
});

function denoTest(title: string, run: (t: ExecutionContext, launcher: Launcher) => Promise<unknown>): void {
  if (typeof found === 'string') test.serial.skip(`${title} (${found.split('\n')[0]})`, () => undefined);
  else {
    test.serial(title, async (t) => {
      t.timeout(300_000);
      await run(t, {...found, close: undefined});
    });
  }
}

(process.env.NODE_PATH ? test.skip : test)(
  'where the packages are not installed, the error says how to get them',
  (t) => {
    t.throws(() => findPackages(['/nowhere/package.json']), {
      code: 'ILR_UNSUPPORTED',
      message: /npm install deno pyodide/,
    });
  },
);

denoTest('every canary is stopped in Deno', async (t, launcher) => {
  await t.notThrowsAsync(proveLauncher(launcher));
});

const weaknesses: readonly (readonly [given: string, taken: string, attack: RegExp])[] = [
  ['--allow-net', '--deny-net', /connect to a server of the host/],
  ['--allow-write', '--deny-write', /write below/],
  ['--allow-env', '--deny-env', /read the environment/],
  ['--allow-run', '--deny-run', /start a program/],
  ['--allow-sys', '--deny-sys', /ask whose machine it is/],
  ['--data=unlimited', '--data=', /take 2 GB, take 2 GB to share, take 2 GB of pages/],
];
for (const [given, taken, attack] of weaknesses) {
  denoTest(`Deno with ${given} is refused, the attack named`, async (t, launcher) => {
    const command = (limits: typeof defaultLimits) => {
      const {args, ...rest} = launcher.command(limits);
      return {...rest, args: args.map((arg) => (arg.startsWith(taken) ? given : arg))};
    };
    const error = await t.throwsAsync(proveLauncher({...launcher, command}));
    t.regex(error.message, /^attacks that were not stopped: /);
    t.regex(error.message, attack);
  });
}

denoTest('programs are graded in Deno by what they return', async (t, launcher) => {
  const sandbox = openLauncher(launcher, 2, defaultLimits);
  const tests = {asserts: ['assert add(1, 2) == 3', 'assert isinstance(add(1, 1), int) and add(2, 2) in (4, 5)']};
  const read = await testReader(sandbox)(tests);
  t.deepEqual([read.checks.length, read.unsupported], [2, []]);
  const grade = (program: string, limits = {}) =>
    gradeProgram(sandbox, tests, read, `\`\`\`python\n${program}\n\`\`\``, {isCutOff: false, limits});
  const [right, wrong, endless, cheat] = await Promise.all([
    grade('def add(a, b):\n    print("noise")\n    return a + b'),
    grade('def add(a, b):\n    return a - b'),
    grade('def add(a, b):\n    while True: pass', {wallSeconds: 2}),
    grade('import js, os\njs.eval("Deno.exit = () => {}")\nos._exit(0)'),
  ]);
  t.deepEqual([right.correct, right.passed], [true, 2]);
  t.deepEqual([wrong.correct, wrong.passed], [false, 0]);
  t.regex(endless.reason, /no result within/);
  t.deepEqual([cheat.correct, cheat.passed], [false, 0]);
  await sandbox.close();
});

denoTest(
  'what a program takes and writes in Deno is bounded, and its bytes are passed on as they are',
  async (t, launcher) => {
    const sandbox = openLauncher(launcher, 2, defaultLimits);
    const run = async (program: string, limits = {}) => {
      const {status, signal, stdout, stderr} = await sandbox.run({...job(program, 'p'), limits});
      return [status, signal, stdout.toString('latin1').slice(0, 100), stderr] as const;
    };
    const [bytes, pieces, heap, cpu] = await Promise.all([
      run('import os\nos.write(1, b"\\xff" + PAYLOAD)\nprint(dict(os.environ), list(set("ab")) == list(set("ab")))'),
      run('x = [bytearray(1 << 27) for _ in range(16)]\nprint("taken")'),
      run('import js\njs.eval("const a = []; for (;;) a.push(new Array(1e5).fill(1.5))")'),
      run('while True: pass', {cpuSeconds: 1, wallSeconds: 60}),
    ]);
    t.deepEqual(bytes, ['exited', null, '\xffp{} True\n', '']);
    t.is(pieces[2], '');
    t.regex(pieces[3], /MemoryError/);
    t.is(heap[0], 'killed');
    t.deepEqual(cpu.slice(0, 2), ['killed', 'SIGKILL']);
    await sandbox.close();
  },
);

denoTest('a program that is aborted in Deno leaves nothing behind', async (t, launcher) => {
  const memoryBytes = 2 ** 29 + 3_000_000 + process.pid;
  const sandbox = openLauncher(launcher, 2, defaultLimits);
  for (const delay of [0, 100, 2000]) {
    const controller = new AbortController();
    const run = sandbox.run({...job('while True: pass'), limits: {memoryBytes}}, controller.signal);
    setTimeout(() => controller.abort(), delay);
    await t.throwsAsync(run, {code: 'ILR_ABORTED'});
  }
  t.deepEqual(await survivors(String(memoryBytes + 3 * 2 ** 28)), []);
});
