import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {fileURLToPath} from 'node:url';
import {job, sandboxTest, survivors} from '../../../helpers/sandbox.js';

const module = fileURLToPath(new URL('../../../../src/reward/code/sandbox.js', import.meta.url));

sandboxTest('a program does not outlive the process that started it, even one that was killed', async (t) => {
  const memoryBytes = 2 ** 29 + 1_000_000 + process.pid;
  const script = `
    import {openSandbox} from ${JSON.stringify(module)};
    const sandbox = await openSandbox({limits: {memoryBytes: ${memoryBytes}}});
    const runner = 'import os, time\\nos.write(2, b"x" * 100)\\ntime.sleep(1000)';
    void sandbox.run({input: Buffer.from(JSON.stringify({runner})), limits: {wallSeconds: 1000}});
    setTimeout(() => console.log('running'), 500);`;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {stdio: ['ignore', 'pipe', 'inherit']});
  await once(owner.stdout, 'data');
  t.true((await survivors(String(memoryBytes), 0)).length > 0, 'the program did not start');
  owner.kill('SIGKILL');
  await once(owner, 'close');
  t.deepEqual(await survivors(String(memoryBytes)), []);
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
