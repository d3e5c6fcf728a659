import {appendFile, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import {runSchema} from '../../src/config.js';
import {IlrError} from '../../src/errors.js';
import {
  type CheckpointContent,
  latestCheckpoint,
  openCheckpoint,
  pruneCheckpoints,
  readState,
  writeCheckpoint,
} from '../../src/record/checkpoint.js';
import {removeTemporary} from '../../src/record/files.js';
import type {RunIdentity} from '../../src/record/identity.js';

const config = runSchema.parse({agents: [{name: 'a', model: 'm'}], data: {train: 't'}});
const identity: RunIdentity = {config, threads: [1], device: 'cpu', questions: 'q', versions: {node: '20'}};
const temporary = () => mkdtemp(path.join(tmpdir(), 'ilr-checkpoint-'));

function content(step: number, over: Partial<CheckpointContent> = {}): CheckpointContent {
  return {
    step,
    identity,
    recordBytes: {'metrics.jsonl': 10 * step},
    state: {step, ability: [0.5]},
    agents: ['a', 'b'],
    writeAgent: (index, folder) => writeFile(path.join(folder, 'model.safetensors'), `weights ${index} at ${step}`),
    ...over,
  };
}

test('a checkpoint comes back as it was written, with the hash and size of every file', async (t) => {
  const parent = await temporary();
  await writeCheckpoint(parent, content(7, {score: 0.25}));
  const {checkpoint, damaged} = await latestCheckpoint(parent);
  t.deepEqual(damaged, []);
  t.is(checkpoint?.folder, path.join(parent, 'step-000007'));
  t.is(checkpoint?.manifest.score, 0.25);
  t.deepEqual(checkpoint?.manifest.recordBytes, {'metrics.jsonl': 70});
  t.deepEqual(Object.keys(checkpoint?.manifest.files ?? {}), [
    'a/model.safetensors',
    'b/model.safetensors',
    'trainer.json',
  ]);
  // printf 'weights 0 at 7' | sha256sum
  t.deepEqual(checkpoint?.manifest.files['a/model.safetensors'], {
    bytes: 14,
    sha256: 'f468ea71b9210e5b50ae5418efd22bf6dd3b8d6cc25bd4d09a42ef71f1f03172',
  });
  t.deepEqual(checkpoint && (await readState(checkpoint)), {step: 7, ability: [0.5]});
  t.deepEqual(await readdir(parent), ['step-000007']);
});

test('a folder without checkpoints, or no folder, has none', async (t) => {
  const parent = await temporary();
  t.is((await latestCheckpoint(parent)).checkpoint, undefined);
  t.is((await latestCheckpoint(path.join(parent, 'absent'))).checkpoint, undefined);
});

test('a file that was cut, changed or removed is named, and the checkpoint before it is used', async (t) => {
  const harm: [string, (file: string) => Promise<void>, RegExp][] = [
    ['cut', (file) => truncate(file, 3), /step-000002\/b\/model\.safetensors: expected 14 bytes, found 3/],
    ['changed', (file) => writeFile(file, 'weights 1 at X'), /step-000002\/b\/model\.safetensors: its content is not/],
    ['removed', (file) => rm(file), /step-000002\/b\/model\.safetensors: missing/],
  ];
  for (const [what, damage, message] of harm) {
    const parent = await temporary();
    await writeCheckpoint(parent, content(1));
    await writeCheckpoint(parent, content(2));
    const folder = path.join(parent, 'step-000002');
    await damage(path.join(folder, 'b', 'model.safetensors'));
    const error = await t.throwsAsync(openCheckpoint(folder), {instanceOf: IlrError, message}, what);
    t.is((error as IlrError).code, 'ILR_CHECKPOINT');
    const {checkpoint, damaged} = await latestCheckpoint(parent);
    t.is(checkpoint?.manifest.step, 1);
    t.is(damaged.length, 1);
    t.regex(damaged[0] ?? '', message);
  }
});

test('a broken manifest counts as damage, and with every checkpoint damaged the error lists them', async (t) => {
  const parent = await temporary();
  await writeCheckpoint(parent, content(1));
  await writeCheckpoint(parent, content(2));
  await appendFile(path.join(parent, 'step-000001', 'manifest.json'), '}');
  await rm(path.join(parent, 'step-000002', 'manifest.json'));
  const error = await t.throwsAsync(latestCheckpoint(parent), {instanceOf: IlrError});
  t.regex(error?.message ?? '', /step-000002\/manifest\.json: missing[\s\S]*step-000001\/manifest\.json: is not JSON/);
});

test('a manifest whose config was edited by hand is refused', async (t) => {
  const parent = await temporary();
  const {folder} = await writeCheckpoint(parent, content(1));
  const file = path.join(folder, 'manifest.json');
  await writeFile(file, (await readFile(file, 'utf8')).replace('"groupSize": 8', '"groupSize": 9'));
  await t.throwsAsync(openCheckpoint(folder), {message: /config has been changed/});
});

test('when an agent cannot be saved, the earlier checkpoint is untouched and nothing is left behind', async (t) => {
  const parent = await temporary();
  await writeCheckpoint(parent, content(1));
  const full = Object.assign(new Error('no space left on device'), {code: 'ENOSPC'});
  const error = await t.throwsAsync(
    writeCheckpoint(
      parent,
      content(2, {
        writeAgent: async (index, folder) => {
          await writeFile(path.join(folder, 'model.safetensors'), 'half');
          if (index === 1) throw full;
        },
      }),
    ),
    {instanceOf: IlrError},
  );
  t.is((error as IlrError).code, 'ILR_IO');
  t.regex(error?.message ?? '', /disk is full/);
  t.deepEqual(await readdir(parent), ['step-000001']);
  t.is((await latestCheckpoint(parent)).checkpoint?.manifest.step, 1);
});

test('what a killed process left half written is no checkpoint and is removed', async (t) => {
  const parent = await temporary();
  await writeCheckpoint(parent, content(1));
  await mkdir(path.join(parent, '.tmp-step-000002-999'));
  await writeFile(path.join(parent, '.tmp-step-000002-999', 'trainer.json'), '{');
  t.is((await latestCheckpoint(parent)).checkpoint?.manifest.step, 1);
  await removeTemporary(parent);
  t.deepEqual(await readdir(parent), ['step-000001']);
});

test('saving a step again replaces the checkpoint', async (t) => {
  const parent = await temporary();
  await writeCheckpoint(parent, content(3));
  await writeCheckpoint(parent, content(3, {score: 0.5}));
  t.deepEqual(await readdir(parent), ['step-000003']);
  t.is((await latestCheckpoint(parent)).checkpoint?.manifest.score, 0.5);
});

test('pruning keeps the latest and the best, the later of equals', async (t) => {
  const parent = await temporary();
  const scores = [0.1, 0.6, 0.6, 0.3, undefined, 0.2];
  for (const [step, score] of scores.entries()) await writeCheckpoint(parent, content(step, {score}));
  await pruneCheckpoints(parent, 2, true);
  t.deepEqual((await readdir(parent)).sort(), ['step-000002', 'step-000004', 'step-000005']);
  await pruneCheckpoints(parent, 1, false);
  t.deepEqual(await readdir(parent), ['step-000005']);
});
