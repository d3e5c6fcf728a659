import test, {type ExecutionContext} from 'ava';
import {messageOf} from '../../../../src/errors.js';
import {proveLauncher} from '../../../../src/reward/code/sandbox/canaries.js';
import {gvisor} from '../../../../src/reward/code/sandbox/gvisor.js';
import type {Launcher} from '../../../../src/reward/code/sandbox/launcher.js';
import {defaultLimits, openLauncher} from '../../../../src/reward/code/sandbox.js';
import {job, survivors} from '../../../helpers/sandbox.js';

/** The fallback, where runsc is installed and may make namespaces. */
const found: Launcher | string = await gvisor(process.env).then(
  (launcher) => proveLauncher(launcher).then(() => launcher, messageOf),
  messageOf,
);

test.after.always(async () => {
  if (typeof found !== 'string') await found.close?.();
});

function gvisorTest(title: string, run: (t: ExecutionContext, launcher: Launcher) => Promise<unknown>): void {
  if (typeof found === 'string') test.skip(`${title} (${found.split('\n')[0]})`, () => undefined);
  else test(title, async (t) => void (await run(t, found)));
}

gvisorTest('a program runs in gVisor, whose canaries were all stopped', async (t, launcher) => {
  const sandbox = openLauncher({...launcher, close: undefined}, 2, defaultLimits);
  const program = 'import os\nprint(PAYLOAD, sorted(os.listdir("/")), list(set("abcdef")))';
  const runs = await Promise.all([sandbox.run(job(program, 'p')), sandbox.run(job(program, 'p'))]);
  t.regex(runs[0].stdout.toString(), /^b'p' \['dev', 'lib', 'lib64', 'usr'\] /);
  t.deepEqual(runs[0].stdout, runs[1].stdout);
  await sandbox.close();
});

gvisorTest('gVisor without the filter of system calls is refused', async (t, launcher) => {
  const weakened = {...launcher, command: (limits: typeof defaultLimits) => launcher.bareCommand?.(limits)} as Launcher;
  const error = await t.throwsAsync(proveLauncher(weakened));
  t.regex(error.message, /were not stopped: fork, start a program, .*open a socket/);
});

gvisorTest('a program that is aborted in gVisor leaves nothing behind', async (t, launcher) => {
  const memoryBytes = 2 ** 29 + 3_000_000 + process.pid;
  const sandbox = openLauncher({...launcher, close: undefined}, 2, defaultLimits);
  for (const delay of [0, 50, 150, 300, 500]) {
    const controller = new AbortController();
    const run = sandbox.run({...job('import time\ntime.sleep(1000)'), limits: {memoryBytes}}, controller.signal);
    setTimeout(() => controller.abort(), delay);
    await t.throwsAsync(run, {code: 'ILR_ABORTED'});
  }
  t.deepEqual(await survivors(String(memoryBytes)), []);
});
