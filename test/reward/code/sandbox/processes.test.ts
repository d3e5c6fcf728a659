import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {readFile} from 'node:fs/promises';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import type {Launcher} from '../../../../src/reward/code/sandbox/launcher.js';
import {defaultLimits, openLauncher} from '../../../../src/reward/code/sandbox.js';
import {job, sandboxTest, survivors} from '../../../helpers/sandbox.js';

/** Waits for the interpreter to sleep in its program: to have been still for a while. gVisor's processes have other names: five seconds have to do. */
async function sleepingPython(word: string): Promise<void> {
  for (let still = 0, looks = 0; still < 10 && looks < 100; looks++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const pids = await survivors(word, 0);
    const states = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')));
    const isAsleep = states.some((state) => /^\d+ \(python[^)]*\) S/.test(state));
    still = isAsleep ? still + 1 : 0;
  }
}

const module = fileURLToPath(new URL('../../../../src/reward/code/sandbox.js', import.meta.url));

sandboxTest('a program does not outlive the process that started it, even one that was killed', async (t) => {
  const memoryBytes = 2 ** 29 + 1_000_000 + process.pid;
  const script = `
    import {openSandbox} from ${JSON.stringify(module)};
    const sandbox = await openSandbox({limits: {memoryBytes: ${memoryBytes}}});
    const runner = 'import os, time\\nos.write(2, b"x" * 100)\\ntime.sleep(1000)';
    void sandbox.run({input: Buffer.from(JSON.stringify({runner})), limits: {wallSeconds: 1000}});
    console.log('started');`;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {stdio: ['ignore', 'pipe', 'inherit']});
  await once(owner.stdout, 'data');
  await sleepingPython(String(memoryBytes));
  owner.kill('SIGKILL');
  await once(owner, 'close');
  t.deepEqual(await survivors(String(memoryBytes)), []);
});

test('a launcher that fails is an error, never the result of a program', async (t) => {
  const launcher = (script: string): Launcher => ({
    kind: 'bubblewrap',
    description: 'fails',
    command: () => ({file: '/bin/sh', args: ['-c', script]}),
  });
  for (const [script, message] of [
    ['echo "bwrap: no space left for namespaces" >&2; exit 1', /does not start: bwrap: no space left for namespaces/],
    ['kill -9 $$', /does not start: it ended with SIGKILL before it stood/],
  ] as const) {
    const sandbox = openLauncher(launcher(script), 1, defaultLimits);
    await t.throwsAsync(sandbox.run(job('print(1)')), {code: 'ILR_UNSUPPORTED', message});
  }
});

sandboxTest('a program that is aborted at any moment leaves nothing behind', async (t, sandbox) => {
  const memoryBytes = 2 ** 29 + 2_000_000 + process.pid;
  // Before the handshake about 1 of 24 stayed: killed between the start of bwrap's second process and its wish to die with the first.
  for (let round = 0; round < 96; round++) {
    const controller = new AbortController();
    const run = sandbox.run({...job('import time\ntime.sleep(1000)'), limits: {memoryBytes}}, controller.signal);
    setTimeout(() => controller.abort(), round % 24);
    await t.throwsAsync(run, {code: 'ILR_ABORTED'});
  }
  t.deepEqual(await survivors(String(memoryBytes)), []);
});
