import {appendFile, mkdtemp, readdir, readFile, stat, truncate, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import {StepFiles} from '../../src/record/step-files.js';
import {type ReadEvent, readEvents} from '../helpers/events.js';

const temporary = () => mkdtemp(path.join(tmpdir(), 'ilr-steps-'));
const both = {tensorboard: true, wandb: true};
const began = 1_764_000_000_000;

/** Ten seconds a look, from `from` seconds on. */
function clock(from = 0): () => number {
  let looks = 0;
  return () => began + 1000 * (from + 10 * looks++);
}

async function eventsOf(folder: string): Promise<ReadEvent[]> {
  const names = (await readdir(folder)).filter((name) => name.includes('tfevents')).sort();
  return (await Promise.all(names.map(async (name) => readEvents(await readFile(path.join(folder, name)))))).flat();
}

const linesOf = async (folder: string, name: string) =>
  (await readFile(path.join(folder, name), 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

test('one stream: metrics.jsonl, an event file and a history of the same steps, with the given clock', async (t) => {
  const folder = await temporary();
  const files = await StepFiles.open({folder, record: both, known: {}, now: clock()});
  await files.append({step: 0, 'ann/accuracy/solo': 0.5});
  await files.append({step: 1, 'ann/accuracy/solo': 0.75, 'ann/loss': 0.125});
  await files.close();
  t.deepEqual((await readdir(folder)).sort(), [
    'events.out.tfevents.0000000000.ilr',
    'metrics.jsonl',
    'wandb-history.jsonl',
  ]);
  t.deepEqual(await linesOf(folder, 'metrics.jsonl'), [
    {step: 0, 'ann/accuracy/solo': 0.5},
    {step: 1, 'ann/accuracy/solo': 0.75, 'ann/loss': 0.125},
  ]);
  t.deepEqual(await linesOf(folder, 'wandb-history.jsonl'), [
    {_step: 0, _timestamp: began / 1000 + 10, _runtime: 10, 'ann/accuracy/solo': 0.5},
    {_step: 1, _timestamp: began / 1000 + 20, _runtime: 20, 'ann/accuracy/solo': 0.75, 'ann/loss': 0.125},
  ]);
  t.deepEqual(await eventsOf(folder), [
    {wallTime: began / 1000 + 10, step: 0, version: 'brain.Event:2'},
    {wallTime: began / 1000 + 10, step: 0, session: 1},
    {wallTime: began / 1000 + 10, step: 0, scalars: {'ann/accuracy/solo': 0.5}},
    {wallTime: began / 1000 + 20, step: 1, scalars: {'ann/accuracy/solo': 0.75, 'ann/loss': 0.125}},
  ]);
});

test('a resumed run has each step once, and its new event file takes back what a reader holds of later ones', async (t) => {
  const folder = await temporary();
  const first = await StepFiles.open({folder, record: both, known: {}, now: clock()});
  for (const step of [0, 1, 2]) await first.append({step, loss: step});
  await first.sync();
  const known = first.bytes;
  for (const step of [3, 4]) await first.append({step, loss: 9});
  await first.close();
  // killed in the middle of a write
  for (const name of Object.keys(known)) await appendFile(path.join(folder, name), '{"step":5,"lo');

  const second = await StepFiles.open({folder, record: both, known, now: clock(1000)});
  t.deepEqual(second.missing, []);
  for (const step of [3, 4]) await second.append({step, loss: step});
  const later = second.bytes;
  await second.close();
  t.deepEqual(
    (await linesOf(folder, 'metrics.jsonl')).map(({step, loss}) => [step, loss]),
    [0, 1, 2, 3, 4].map((step) => [step, step]),
  );
  t.deepEqual(
    (await linesOf(folder, 'wandb-history.jsonl')).map(({_step, _runtime, loss}) => [_step, _runtime, loss]),
    [
      [0, 10, 0],
      [1, 20, 1],
      [2, 30, 2],
      [3, 40, 3], // ten seconds into its session: the pause between does not count
      [4, 50, 4],
    ],
  );
  const events = await eventsOf(folder);
  t.deepEqual(
    events.filter(({scalars}) => scalars).map(({step, scalars}) => [step, scalars?.loss]),
    [0, 1, 2, 3, 4].map((step) => [step, step]),
  );
  t.deepEqual(
    events.filter(({session}) => session === 1).map(({step}) => step),
    [0, 3],
  );

  // A third session knows the files of both; of none, it begins anew.
  const third = await StepFiles.open({folder, record: both, known: later, now: clock(2000)});
  await third.close();
  t.is((await eventsOf(folder)).filter(({scalars}) => scalars).length, 5);
  const anew = await StepFiles.open({folder, record: both, known: {}, now: clock(3000)});
  await anew.append({step: 0, loss: 7});
  await anew.close();
  t.deepEqual(
    (await eventsOf(folder)).map(({step, scalars}) => [step, scalars?.loss]),
    [
      [0, undefined],
      [0, undefined],
      [0, 7],
    ],
  );
});

test('figures that are not finite are words to W&B, and themselves to TensorBoard', async (t) => {
  const folder = await temporary();
  const files = await StepFiles.open({folder, record: both, known: {}, now: clock()});
  await files.append({step: 1, a: Number.NaN, b: Number.POSITIVE_INFINITY, c: Number.NEGATIVE_INFINITY});
  await files.close();
  const [{a, b, c}] = await linesOf(folder, 'wandb-history.jsonl');
  t.deepEqual([a, b, c], ['NaN', 'Infinity', '-Infinity']);
  t.deepEqual((await eventsOf(folder)).at(-1)?.scalars, {a: Number.NaN, b: Infinity, c: -Infinity});
});

test('only the forms that are asked for; one that is left off later keeps what it had', async (t) => {
  const folder = await temporary();
  const first = await StepFiles.open({folder, record: both, known: {}, now: clock()});
  await first.append({step: 0});
  const known = first.bytes;
  await first.append({step: 1});
  await first.close();
  const none = {tensorboard: false, wandb: false};
  const second = await StepFiles.open({folder, record: none, known, now: clock()});
  await second.append({step: 1});
  t.deepEqual(Object.keys(second.bytes).sort(), Object.keys(known).sort());
  await second.close();
  t.deepEqual((await linesOf(folder, 'metrics.jsonl')).length, 2);
  t.deepEqual((await linesOf(folder, 'wandb-history.jsonl')).length, 1);
  t.is((await eventsOf(folder)).length, 3);

  const other = await temporary();
  await writeFile(path.join(other, 'wandb-history.jsonl'), 'of a run that was killed before it was saved');
  const third = await StepFiles.open({folder: other, record: none, known: {}, now: clock()});
  await third.append({step: 0});
  await third.close();
  t.deepEqual(await readdir(other), ['metrics.jsonl']);
});

test('a file that is shorter than the checkpoint knew is said', async (t) => {
  const folder = await temporary();
  const first = await StepFiles.open({folder, record: both, known: {}, now: clock()});
  await first.append({step: 0});
  await first.close();
  const events = path.join(folder, 'events.out.tfevents.0000000000.ilr');
  await truncate(events, (await stat(events)).size - 5);
  const second = await StepFiles.open({folder, record: both, known: first.bytes, now: clock()});
  await second.close();
  t.deepEqual(second.missing, [[events, 5]]);
});
