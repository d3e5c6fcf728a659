import {readdirSync, rmSync, statSync} from 'node:fs';
import {readdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {localModel, pulledFolder, pullHint} from '../../src/hub/local.js';
import type {PullOptions} from '../../src/hub/options.js';
import {pull} from '../../src/hub/pull.js';
import {folderWith} from '../helpers/folder.js';
import {cutAfter, FakeHub, type FakeRepository, noise, quick, tinyRepository} from '../helpers/hub.js';

const model = {kind: 'model', id: 'owner/tiny'} as const;
const next = 'd'.repeat(40);

async function opened(t: ExecutionContext, repository: FakeRepository = tinyRepository()) {
  const hub = await FakeHub.start(t, {'models/owner/tiny': repository});
  const folder = await folderWith(t);
  const run = async (changes: Partial<PullOptions> & {readonly env?: Readonly<Record<string, string>>} = {}) => {
    const {env, ...rest} = changes;
    return pull({repository: model, settings: await hub.settings(env), folder, limits: quick, ...rest});
  };
  const text = (name: string) => readFile(path.join(folder, name), 'utf8');
  return {hub, folder, run, text};
}

const index = JSON.stringify({
  weight_map: {a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors'},
});
const sharded: FakeRepository = {
  files: {
    'config.json': '{}',
    'tokenizer.json': '{}',
    'model.safetensors.index.json': index,
    'model-00001-of-00002.safetensors': noise(1000, 3),
    'model-00002-of-00002.safetensors': noise(1000, 4),
  },
  commit: next,
};

test('a newer commit replaces what was pulled, and takes the old weights away', async (t) => {
  const {hub, folder, run} = await opened(t);
  await run();
  hub.repositories.set('models/owner/tiny', sharded);
  const result = await run();
  t.deepEqual(result.removed.toSorted(), ['generation_config.json', 'model.safetensors', 'tokenizer_config.json']);
  t.deepEqual((await readdir(folder)).sort(), ['.ilr-pull', ...Object.keys(sharded.files)].sort());
  t.is(result.commit, next);
  // the tokenizer is another file: its bytes differ
  t.true(result.files.every(({state}) => state === 'downloaded'));
});

test('a file of the same bytes is kept from one commit to the next, and another include adds to it', async (t) => {
  const {hub, run, folder} = await opened(t);
  await run();
  hub.repositories.set('models/owner/tiny', {...tinyRepository(), commit: next});
  const before = hub.asked('/resolve/').length;
  t.is((await run()).receivedBytes, 0);
  t.is(hub.asked('/resolve/').length, before);
  t.is((await run({include: ['*.gguf']})).files.length, 1);
  t.true((await readdir(folder)).includes('model.safetensors'));
  t.is((await run({env: {HF_HUB_OFFLINE: '1'}})).files.length, 5, 'the record has the files of both');
});

test('a file of somebody else is not written over without --force', async (t) => {
  const {hub, run, folder, text} = await opened(t);
  await writeFile(path.join(folder, 'config.json'), 'mine');
  const error = await t.throwsAsync(run(), {code: 'ILR_IO'});
  t.regex(error?.message ?? '', /config\.json is neither what the hub has nor what was pulled before.*--force/);
  t.is(hub.asked('/resolve/').length, 0, 'refused before any download');
  t.is(await text('config.json'), 'mine');
  await run({force: true});
  t.is(await text('config.json'), '{"model_type": "qwen2"}');
  // edited after it was pulled: somebody's again
  await writeFile(path.join(folder, 'tokenizer_config.json'), 'edited');
  await t.throwsAsync(run(), {message: /tokenizer_config\.json is neither/});
  hub.repositories.set('models/owner/tiny', sharded);
  await t.throwsAsync(run({repository: {kind: 'model', id: 'owner/other'}}), {
    message: /holds owner\/tiny: choose another --folder/,
  });
  const result = await run({force: true});
  t.false(result.removed.includes('tokenizer_config.json'), 'what was edited is not taken away');
  t.is(await text('tokenizer_config.json'), 'edited');
});

test('of shards one is missing: nothing gets its name', async (t) => {
  const {'model-00002-of-00002.safetensors': _, ...files} = sharded.files;
  const {run, folder} = await opened(t, {files});
  const error = await t.throwsAsync(run(), {code: 'ILR_IO'});
  t.regex(error?.message ?? '', /index\.json names "model-00002-of-00002\.safetensors", which is not among the files/);
  t.deepEqual(await readdir(folder), ['.ilr-pull']);
});

test('a failure while files get their names leaves no config.json', async (t) => {
  const {run, folder} = await opened(t);
  let left = 5;
  const onEvent: PullOptions['onEvent'] = (event) => {
    if (event.type !== 'file' || --left > 0) return;
    const state = path.join(folder, '.ilr-pull');
    // of generation_config.json and tokenizer_config.json: they have nothing left to be named
    for (const name of readdirSync(state))
      if (statSync(path.join(state, name)).size === 2) rmSync(path.join(state, name));
  };
  await t.throwsAsync(run({onEvent}), {code: 'ILR_IO', message: /^writing .*_config\.json: /});
  t.false((await readdir(folder)).includes('config.json'));
  const result = await run();
  t.is(result.receivedBytes, 4, 'all else was there, as a part or by its name');
});

test('what is there in part is not counted as still to be downloaded', async (t) => {
  const {run, hub} = await opened(t);
  hub.fail('model.safetensors', ...Array.from({length: 4}, () => cutAfter(10_000)));
  await t.throwsAsync(run({include: ['model.safetensors']}), {code: 'ILR_IO'});
  const plans: number[] = [];
  await run({include: ['model.safetensors'], onEvent: (event) => event.type === 'plan' && plans.push(event.bytes)});
  t.is(plans.length, 1);
  t.true((plans[0] ?? 0) > 0 && (plans[0] ?? 0) <= 290_000);
});

test('one file of weights is preferred to shards', async (t) => {
  const both = {files: {...sharded.files, ...tinyRepository().files}};
  const {run} = await opened(t, both);
  const {files} = await run();
  t.deepEqual(
    files.map(({path: name}) => name).filter((name) => name.includes('safetensors')),
    ['model.safetensors'],
  );
});

test('a model without safetensors, and a data set without rows, are refused by what they hold', async (t) => {
  const {run, hub} = await opened(t, {files: {'config.json': '{}', 'pytorch_model.bin': 'x'}});
  await t.throwsAsync(run(), {
    code: 'ILR_UNSUPPORTED',
    message: /got "config\.json", "pytorch_model\.bin"\. Pickled weights/,
  });
  t.is((await run({include: ['*.bin']})).files.length, 1);
  hub.repositories.set('datasets/owner/pictures', {files: {'README.md': 'x', 'a.png': 'x'}});
  const repository = {kind: 'dataset', id: 'owner/pictures'} as const;
  await t.throwsAsync(run({repository, folder: await folderWith(t)}), {
    code: 'ILR_UNSUPPORTED',
    message: /Parquet, got "README\.md", "a\.png"/,
  });
});

test('of a data set come the files that can be read, in their folders', async (t) => {
  const files = {
    'README.md': 'x',
    'main/train.parquet': 'x',
    'main/test.jsonl.gz': 'y',
    'pictures/a.png': 'z',
    'all.csv': 'w',
  };
  const {run, hub, folder} = await opened(t);
  hub.repositories.set('datasets/owner/rows', {files, large: ['main/train.parquet']});
  const repository = {kind: 'dataset', id: 'owner/rows'} as const;
  const result = await run({repository});
  t.deepEqual(result.files.map(({path: name}) => name).sort(), [
    'README.md',
    'all.csv',
    'main/test.jsonl.gz',
    'main/train.parquet',
  ]);
  t.is(await readFile(path.join(folder, 'main', 'train.parquet'), 'utf8'), 'x');
  const other = await folderWith(t);
  const some = await run({repository, folder: other, include: ['main/'], exclude: ['*.gz']});
  t.deepEqual(
    some.files.map(({path: name}) => name),
    ['main/train.parquet'],
  );
  await t.throwsAsync(run({repository, folder: other, include: ['mian/*']}), {
    code: 'ILR_INVALID_ARGUMENT',
    message: /no file that matches "mian\/\*"; it has "README\.md"/,
  });
});

test('offline, what was pulled is checked, and what is missing is said', async (t) => {
  const {run, hub, folder} = await opened(t);
  const env = {HF_HUB_OFFLINE: '1'};
  await t.throwsAsync(run({env}), {code: 'ILR_IO', message: /owner\/tiny is not in .*HF_HUB_OFFLINE is set/});
  await run();
  const {length} = hub.requests;
  const result = await run({env});
  t.is(result.files.length, 5);
  t.is(result.receivedBytes, 0);
  await t.throwsAsync(run({env, revision: 'v2'}), {message: /holds main \(c+\) of owner\/tiny, not v2/});
  await writeFile(path.join(folder, 'model.safetensors'), 'cut');
  await t.throwsAsync(run({env}), {message: /model\.safetensors is not whole in /});
  t.is(hub.requests.length, length);
});

test('parts of a commit that is no longer pulled go when the pull is done, those of files left out stay', async (t) => {
  const {run, hub, folder} = await opened(t);
  const parts = async () =>
    (await readdir(path.join(folder, '.ilr-pull'))).filter((name) => name.endsWith('.incomplete'));
  hub.fail('model.safetensors', ...Array.from({length: 4}, () => cutAfter(1000)));
  await t.throwsAsync(run({include: ['model.safetensors']}), {code: 'ILR_IO'});
  t.is((await parts()).length, 1);
  await run({include: ['config.json']});
  t.is((await parts()).length, 1);
  hub.repositories.set('models/owner/tiny', sharded);
  await run();
  t.is((await parts()).length, 0);
});

test('more than the disk has is refused before it is downloaded', async (t) => {
  const listed = [{type: 'file', path: 'data.jsonl', size: 2 ** 52, oid: 'a'.repeat(40)}];
  const {run, hub} = await opened(t, {files: {}, listed});
  await t.throwsAsync(run({include: ['*']}), {
    code: 'ILR_IO',
    message: /4503599\.63 GB are still to be downloaded, the disk has .* GB free/,
  });
  t.is(hub.asked('/resolve/').length, 0);
});

test('a model is its folder, else what was pulled under its id', async (t) => {
  const home = await folderWith(t, {'here/model/config.json': '{}'});
  const env = {ILR_CACHE: path.join(home, 'cache')};
  const here = path.join(home, 'here/model');
  t.is(localModel(here, 'owner/tiny', env), here);
  const absent = path.join(home, 'owner/tiny');
  t.is(localModel(absent, 'owner/tiny', env), absent);
  const pulled = pulledFolder(model, env);
  const {run} = await opened(t);
  await run({folder: pulled});
  t.is(localModel(absent, 'owner/tiny', env), pulled);
  t.is(localModel(absent, './owner/tiny', env), absent);
  t.is(localModel(absent, '../../owner', env), absent);
  t.is(pullHint('./owner/tiny'), '');
  t.regex(pullHint('owner/tiny'), /ilr-native pull owner\/tiny$/);
});
