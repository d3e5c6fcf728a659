import {IlrError} from '../../../src/errors.js';
import {openSandbox} from '../../../src/reward/code/sandbox.js';
import {job, sandboxTest} from '../../helpers/sandbox.js';

sandboxTest('a runner finds the payload, byte for byte, and what it writes comes back', async (t, sandbox) => {
  const payload = Buffer.from([0, 10, 255, 13, 10, 0]);
  const echo = 'import sys\nsys.stdout.buffer.write(PAYLOAD)\nprint("é", file=sys.stderr)\nsys.exit(3)';
  const result = await sandbox.run(job(echo, payload));
  t.like(result, {status: 'exited', exitCode: 3, signal: null, stderr: 'é\n'});
  t.deepEqual(result.stdout, payload);
});

sandboxTest('the order of a set of strings is the same each time', async (t, sandbox) => {
  const program = job('print(list(set("abcdefghijklmnop")))');
  const results = await Promise.all(Array.from({length: 3}, () => sandbox.run(program)));
  t.is(new Set(results.map(({stdout}) => stdout.toString())).size, 1);
});

sandboxTest('a job without a runner and unknown limits are refused by name', async (t, sandbox) => {
  const refused = async (input: string, limits: object, message: RegExp) => {
    const error = await t.throwsAsync(sandbox.run({input: Buffer.from(input), limits}), {message});
    t.true(IlrError.is(error) && error.code === 'ILR_INVALID_ARGUMENT');
  };
  await refused('print(1)', {}, /expected a first line of JSON/);
  await refused('{"runner": 1}\n', {}, /expected a first line of JSON/);
  await refused('{"runner": ""}\n', {memory: 1}, /memory is none of/);
  await refused(
    '{"runner": ""}\n',
    {cpuSeconds: 0},
    /limits\.cpuSeconds: expected a whole number from 1 to \d+, got 0/,
  );
  for (const wallSeconds of [Number.POSITIVE_INFINITY, Number.NaN, 2_147_480]) {
    // the last: a timer that ends at once
    await refused(
      '{"runner": ""}\n',
      {wallSeconds},
      /limits\.wallSeconds: expected a number from 0\.001 to 86400, got/,
    );
  }
});

sandboxTest('an aborted job rejects, running or waiting, and its place is free again', async (t) => {
  const sandbox = await openSandbox({concurrency: 1});
  const controllers = [new AbortController(), new AbortController()];
  const sleeping = controllers.map(({signal}) => sandbox.run(job('import time\ntime.sleep(60)'), signal));
  const after = sandbox.run(job('print(1)'));
  for (const controller of controllers) controller.abort();
  for (const run of sleeping) t.is((await t.throwsAsync<IlrError>(run)).code, 'ILR_ABORTED');
  t.is((await after).stdout.toString(), '1\n');
  await sandbox.close();
});

sandboxTest('close ends what runs, and nothing starts after it', async (t) => {
  const sandbox = await openSandbox({concurrency: 1});
  const runs = [1, 2].map(() => t.throwsAsync<IlrError>(sandbox.run(job('import time\ntime.sleep(60)'))));
  await sandbox.close();
  for (const error of await Promise.all(runs)) t.is(error.code, 'ILR_DISPOSED');
  t.is((await t.throwsAsync<IlrError>(sandbox.run(job('')))).code, 'ILR_DISPOSED');
});
