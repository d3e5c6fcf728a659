import {mkdtemp, readdir, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import type {RunConfigInput} from '../../src/config.js';
import {Random} from '../../src/random.js';
import {resultOf, runInChild} from '../helpers/child-run.js';
import type {Moment} from '../helpers/killed-run.js';
import {writeTinyRun} from '../helpers/tiny-run.js';

const folder = await mkdtemp(path.join(tmpdir(), 'ilr-kill-'));
test.before(async () => {
  await writeTinyRun(folder);
});
test.after.always(() => rm(folder, {recursive: true, force: true}));

const run = (name: string, mode: 'start' | 'resume', moment?: Moment, overrides: Partial<RunConfigInput> = {}) =>
  runInChild(folder, name, mode, moment, overrides);
let whole: ReturnType<typeof wholeRun> | undefined;

/** The run that is never stopped. */
async function wholeRun() {
  const {code, errors} = await run('whole', 'start');
  if (code !== 0) throw new Error(errors);
  return resultOf(folder, 'whole');
}

async function resumesTo(t: ExecutionContext, name: string): Promise<void> {
  const resumed = await run(name, 'resume');
  t.is(resumed.code, 0, resumed.errors);
  whole ??= wholeRun();
  t.deepEqual(await resultOf(folder, name), await whole);
  await rm(path.join(folder, name), {recursive: true});
}

const random = new Random({seed: 10, purpose: 'order'});
const between = (low: number, high: number) => low + random.below(high - low + 1);
const moments: Moment[] = [
  {step: 0, phase: 'difficulty', done: between(1, 40), delayMs: 0},
  {step: between(3, 6), phase: 'sharing', done: between(0, 15), delayMs: 0},
  {step: between(3, 6), phase: 'analysis', done: between(0, 3), delayMs: 0},
  {step: between(3, 6), phase: 'fusion', done: between(0, 15), delayMs: 0},
  ...Array.from({length: 3}, () => ({
    step: between(3, 6),
    phase: 'update' as const,
    done: between(0, 1),
    delayMs: between(1, 3),
  })),
  ...Array.from({length: 3}, () => ({
    step: 2 * between(2, 3),
    phase: 'save' as const,
    done: 0,
    delayMs: 0,
    files: between(1, 13),
  })),
];

for (const [index, moment] of moments.entries()) {
  const {step, phase, done, files} = moment;
  const where = files === undefined ? `after ${done} of it` : `after ${files} files`;
  test(`killed in ${phase} of step ${step}, ${where} (${index}), a run ends as if it had not been`, async (t) => {
    const name = `killed-${index}`;
    const killed = await run(name, 'start', moment);
    t.is(killed.signal, 'SIGKILL', killed.errors);
    if (phase === 'save') {
      const names = await readdir(path.join(folder, name, 'checkpoints'));
      t.true(
        names.some((each) => each.startsWith('.tmp-')),
        'killed while it was writing',
      );
    }
    await resumesTo(t, name);
  });
}

test('killed again and again, a run ends as if it had not been', async (t) => {
  for (const [index, moment] of [moments[1], moments[4], moments[7]].entries())
    await run('often', index === 0 ? 'start' : 'resume', moment);
  await resumesTo(t, 'often');
});

test('another thread count or a changed setting is refused by name, and leaves the run as it was', async (t) => {
  await run('changed', 'start', {step: 4, phase: 'update', done: 0, delayMs: 1});
  const threads = await run('changed', 'resume', undefined, {threads: 4});
  t.is(threads.code, 1);
  t.regex(threads.errors, /threads: 1 \+ 1 in the checkpoint, 2 \+ 2 now.*last bits/);
  const setting = await run('changed', 'resume', undefined, {optimizer: {learningRate: 2e-3}});
  t.is(setting.code, 1);
  t.regex(setting.errors, /optimizer\.learningRate: 0\.001 in the checkpoint, 0\.002 now/);
  await resumesTo(t, 'changed');
});
