import test from 'ava';
import {runProcess} from '../../src/native/run-process.js';

/** Timers that hold the process up. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}

test.serial('a program that is not there is a problem, and leaves no timer that holds the process up', async (t) => {
  const before = timers();
  const result = await runProcess('no-such-program-of-ilr', [], {timeoutMs: 60_000});
  t.is(result.code, undefined);
  t.regex(result.problem ?? '', /ENOENT/);
  t.is(timers(), before);
});

test.serial('a program that takes too long is ended', async (t) => {
  const result = await runProcess(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {timeoutMs: 100});
  t.deepEqual([result.code, result.problem], [undefined, 'ended by SIGTERM']);
});
