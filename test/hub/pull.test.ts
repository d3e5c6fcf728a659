import {readdir, readFile, symlink, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {IlrError, type IlrErrorCode} from '../../src/errors.js';
import type {PullEvent, PullOptions} from '../../src/hub/options.js';
import {type PullResult, pull} from '../../src/hub/pull.js';
import {folderWith} from '../helpers/folder.js';
import {answer, cutAfter, FakeHub, noise, quick, sendInstead, sendRange, tinyRepository} from '../helpers/hub.js';

const model = {kind: 'model', id: 'owner/tiny'} as const;
const weights = noise(300_000);

interface Pulled {
  readonly folder: string;
  readonly events: PullEvent[];
  readonly run: (changes?: Partial<PullOptions>) => Promise<PullResult>;
}

async function pulling(t: ExecutionContext, hub: FakeHub, env: Readonly<Record<string, string>> = {}): Promise<Pulled> {
  const folder = path.join(await folderWith(t), 'model');
  const settings = await hub.settings(env);
  const events: PullEvent[] = [];
  const run = (changes: Partial<PullOptions> = {}) =>
    pull({repository: model, settings, folder, limits: quick, onEvent: (event) => events.push(event), ...changes});
  return {folder, events, run};
}

async function failing(
  t: ExecutionContext,
  work: Promise<unknown>,
  code: IlrErrorCode,
  message: RegExp,
): Promise<void> {
  const error = await t.throwsAsync(work, {instanceOf: IlrError});
  t.is(error?.code, code, error?.message);
  t.regex(error?.message ?? '', message);
}

async function names(folder: string): Promise<string[]> {
  const entries = await readdir(folder, {recursive: true, withFileTypes: true});
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
}

const usual = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];

test('a model comes whole, without pickles and other formats, and a second call downloads nothing', async (t) => {
  const hub = await FakeHub.start(t, {'models/owner/tiny': tinyRepository(weights)});
  hub.pageSize = 2;
  const {folder, events, run} = await pulling(t, hub);
  const result = await run();
  t.deepEqual(await names(folder), ['.ilr-pull/record.json', ...usual]);
  t.deepEqual(await readFile(path.join(folder, 'model.safetensors')), weights);
  t.is(result.commit, 'c'.repeat(40));
  t.is(result.receivedBytes, result.bytes);
  t.true(result.files.every(({state}) => state === 'downloaded'));
  t.is(hub.asked('/tree/').length, 5);
  const last = events.findLast((event) => event.type === 'progress');
  t.is(last?.type === 'progress' && last.done, result.bytes);

  const before = hub.asked('/resolve/').length;
  const again = await run();
  t.is(again.receivedBytes, 0);
  t.true(again.files.every(({state}) => state === 'kept'));
  t.is(hub.asked('/resolve/').length, before);
});

test('a cut connection goes on where it broke, by Range, byte for byte', async (t) => {
  const hub = await FakeHub.start(t, {'models/owner/tiny': tinyRepository(weights)});
  hub.fail('model.safetensors', cutAfter(100_000), cutAfter(150_000));
  const {folder, events, run} = await pulling(t, hub);
  const result = await run();
  t.deepEqual(await readFile(path.join(folder, 'model.safetensors')), weights);
  const ranges = hub.requests.filter(({server}) => server === 'store').map(({headers}) => headers.range);
  t.is(ranges.length, 3);
  t.is(ranges[0], undefined);
  t.regex(ranges[1] ?? '', /^bytes=[1-9]\d*-$/);
  t.true(events.filter(({type}) => type === 'retry').length === 2);
  t.is(result.receivedBytes, result.bytes, 'no byte came twice');
});

test('a busy server is asked again, and waited for as long as it says', async (t) => {
  const hub = await FakeHub.start(t, {'models/owner/tiny': tinyRepository(weights)});
  hub.fail('model.safetensors', answer(503), answer(429, {'retry-after': '0'}), answer(500));
  hub.fail('/api/models/owner/tiny/revision/main', answer(502), answer(429, {ratelimit: '"api";r=0;t=0'}));
  const {folder, run} = await pulling(t, hub);
  await run();
  t.deepEqual(await readFile(path.join(folder, 'model.safetensors')), weights);

  hub.fail('/api/models/owner/tiny/revision/main', answer(429, {'retry-after': '4000'}));
  await failing(t, run(), 'ILR_IO', /429.* asks to come back in 4000 s/);
  hub.fail('/api/models/owner/tiny/revision/main', ...Array.from({length: 4}, () => answer(503)));
  await failing(t, run(), 'ILR_IO', /the server answers 503, in 4 attempts; try again later/);
});

test('bytes with a wrong checksum are removed and named', async (t) => {
  const hub = await FakeHub.start(t, {'models/owner/tiny': tinyRepository(weights)});
  const flip = sendInstead((bytes) => Buffer.concat([Buffer.from([bytes.readUInt8(0) ^ 1]), bytes.subarray(1)]));
  hub.fail('model.safetensors', flip);
  const {folder, run} = await pulling(t, hub);
  await failing(
    t,
    run(),
    'ILR_IO',
    /^model\.safetensors of owner\/tiny .* do not have the checksum .*sha256 [0-9a-f]{64}/,
  );
  hub.fail('tokenizer.json', flip);
  await failing(
    t,
    run({folder: await folderWith(t)}),
    'ILR_IO',
    /^tokenizer\.json of owner\/tiny .*git object [0-9a-f]{40}/,
  );
  // what was whole is kept, and nothing has its name before all are there
  t.false((await names(folder)).some((name) => usual.includes(name)));
  await run();
  t.deepEqual(await readFile(path.join(folder, 'model.safetensors')), weights);
});

test('a part that is not of the file, put together, is downloaded once more from its start', async (t) => {
  const hub = await FakeHub.start(t, {'models/owner/tiny': tinyRepository(weights)});
  const {folder, run} = await pulling(t, hub);
  const abort = new AbortController();
  hub.fail('model.safetensors', (_, response, bytes) => {
    response.writeHead(200, {'content-length': bytes.length});
    response.write(bytes.subarray(0, 80_000));
  });
  await failing(
    t,
    run({
      signal: abort.signal,
      onEvent: (event) => event.type === 'progress' && event.received > 80_000 && abort.abort(),
    }),
    'ILR_ABORTED',
    /stopped/,
  );
  const part = (await names(folder)).find((name) => name.endsWith('.incomplete')) ?? '';
  const parts = await Promise.all(
    (await names(folder)).map(async (name) => ({name, bytes: (await readFile(path.join(folder, name))).length})),
  );
  const largest = parts.sort((a, b) => b.bytes - a.bytes)[0];
  t.true(part !== '' && (largest?.bytes ?? 0) > 10_000);
  await writeFile(path.join(folder, largest?.name ?? ''), Buffer.alloc(50_000, 7));
  const result = await run();
  t.deepEqual(await readFile(path.join(folder, 'model.safetensors')), weights);
  t.true(result.receivedBytes > weights.length);
});

test('a server that ignores Range starts the file anew; one that sends another range too', async (t) => {
  const hub = await FakeHub.start(t, {'models/owner/tiny': tinyRepository(weights)});
  const {folder, run} = await pulling(t, hub);
  hub.fail('model.safetensors', cutAfter(100_000), (_, response, bytes) => void response.writeHead(200).end(bytes));
  await run();
  t.deepEqual(await readFile(path.join(folder, 'model.safetensors')), weights);

  hub.repositories.set('models/owner/other', tinyRepository(noise(200_000, 2)));
  hub.fail(
    'model.safetensors',
    cutAfter(100_000),
    (_, response, bytes) =>
      void response.writeHead(206, {'content-range': `bytes 0-9/${bytes.length}`}).end(bytes.subarray(0, 10)),
    cutAfter(100_000),
    answer(416),
  );
  const other = path.join(folder, '..', 'other');
  await run({repository: {kind: 'model', id: 'owner/other'}, folder: other, limits: {...quick, attempts: 6}});
  t.deepEqual(await readFile(path.join(other, 'model.safetensors')), noise(200_000, 2));
});

test('a file that is shorter or longer than listed is refused, however long it goes on', async (t) => {
  const hub = await FakeHub.start(t, {'models/owner/tiny': tinyRepository(weights)});
  const {run} = await pulling(t, hub);
  hub.fail(
    'model.safetensors',
    (_, response) => void response.writeHead(200, {'content-length': 10}).end('0123456789'),
  );
  await failing(
    t,
    run(),
    'ILR_IO',
    /model\.safetensors: expected 300000 bytes, as the hub lists, the server announces 10/,
  );
  hub.fail('model.safetensors', (_, response, bytes) => {
    response.writeHead(200);
    const more = () => {
      while (response.write(bytes)) if (response.destroyed) return;
    };
    response.on('drain', more).on('error', () => {});
    more();
  });
  await failing(
    t,
    run(),
    'ILR_IO',
    /model\.safetensors: expected 300000 bytes, as the hub lists, the server sends more/,
  );
  hub.fail('model.safetensors', ...Array.from({length: 4}, () => sendInstead((bytes) => bytes.subarray(0, 10))));
  await failing(t, run(), 'ILR_IO', /the answer ended after 10 of 300000 bytes, in 4 attempts/);
  hub.fail(
    'model.safetensors',
    (_, response, bytes) => void response.writeHead(200, {'content-encoding': 'gzip'}).end(bytes),
  );
  await failing(t, run(), 'ILR_IO', /the server compresses it \(gzip\)/);
});

test('an answer that stalls, or drips, is broken off and asked for again', async (t) => {
  const hub = await FakeHub.start(t, {'models/owner/tiny': tinyRepository(weights)});
  const {folder, run, events} = await pulling(t, hub);
  hub.fail(
    'model.safetensors',
    (_, response, bytes) => {
      response.writeHead(200, {'content-length': bytes.length});
      response.write(bytes.subarray(0, 100_000));
    },
    (_, response, bytes) => {
      response.writeHead(200, {'content-length': bytes.length}).flushHeaders();
      const timer = setInterval(() => response.write('x'), 10);
      response.on('close', () => clearInterval(timer));
    },
    () => {}, // never begins to answer
  );
  await run({limits: {...quick, stallMs: 500, attempts: 20}});
  t.deepEqual(await readFile(path.join(folder, 'model.safetensors')), weights);
  const stalls = events.filter(
    (event) => event.type === 'retry' && /less than 4096 bytes came in 0\.5 s/.test(event.message),
  );
  t.true(stalls.length >= 3); // more on a machine that is busy with something else
});

test('the token goes to the hub, never to where it redirects, nor back from there', async (t) => {
  const hub = await FakeHub.start(t, {'models/owner/tiny': tinyRepository(weights)});
  const token = 'hf_verysecret';
  const {run, folder, events} = await pulling(t, hub, {HF_TOKEN: token});
  // there and back: an address of the hub, given by somebody else
  hub.fail(
    'model.safetensors',
    answer(302, {location: `${hub.endpoint}/owner/tiny/resolve/${'c'.repeat(40)}/config.json`}),
    sendRange,
  );
  await t.throwsAsync(run(), {message: /model\.safetensors/});
  const back = hub.asked('config.json').find(({headers}) => headers.authorization === undefined);
  t.truthy(back);
  await run();
  for (const {server, headers} of hub.requests) if (server === 'store') t.is(headers.authorization, undefined);
  for (const {headers} of hub.asked('/api/')) t.is(headers.authorization, `Bearer ${token}`);
  t.true(hub.requests.some(({server}) => server === 'store'));
  t.false(JSON.stringify(events).includes(token));
  for (const name of await names(folder)) t.false((await readFile(path.join(folder, name), 'latin1')).includes(token));
});

test('another name of the same machine is another host', async (t) => {
  const hub = await FakeHub.start(t, {'models/owner/tiny': tinyRepository(weights)});
  const {run} = await pulling(t, hub, {HF_TOKEN: 'hf_secret'});
  const elsewhere = hub.endpoint.replace('127.0.0.1', 'localhost');
  hub.fail(
    '/api/models/owner/tiny/revision/main',
    answer(307, {location: `${elsewhere}/api/models/owner/tiny/revision/main`}),
  );
  await run();
  const moved = hub.asked('/revision/').filter(({headers}) => headers.host?.startsWith('localhost'));
  t.is(moved.length, 1);
  t.is(moved[0]?.headers.authorization, undefined);
});

test('redirects in a circle, to other protocols and to no address end', async (t) => {
  const hub = await FakeHub.start(t, {'models/owner/tiny': tinyRepository(weights)});
  const {run} = await pulling(t, hub);
  const api = '/api/models/owner/tiny/revision/main';
  hub.fail(api, ...Array.from({length: 20}, () => answer(302, {location: api})));
  await failing(t, run(), 'ILR_IO', /more than 10 redirects/);
  hub.fail(api, answer(302, {location: 'file:///etc/passwd'}));
  await failing(t, run(), 'ILR_IO', /redirects to file:/);
  hub.fail(api, answer(302, {location: 'http://[broken'}));
  await failing(t, run(), 'ILR_IO', /redirects to what is no address/);
});

for (const [name, problem] of [
  ['../outside.json', /"\.\.\/outside\.json", which leaves the target folder/],
  ['a/../../outside.json', /leaves the target folder/],
  ['/etc/passwd', /is absolute/],
  ['C:/outside', /is absolute/],
  ['a\\..\\..\\outside', /holds a backslash/],
  ['config.json\0.txt', /holds a NUL/],
  ['./config.json', /has an empty part/],
  ['a//b', /has an empty part/],
  ['', /has no name/],
] as const)
  test(`a list with the file ${JSON.stringify(name)} is refused, whatever is taken`, async (t) => {
    const listed = [{type: 'file', path: name, size: 1, oid: 'a'.repeat(40)}];
    const hub = await FakeHub.start(t, {'models/owner/tiny': {...tinyRepository(weights), listed}});
    const {folder, run} = await pulling(t, hub);
    await failing(t, run(), 'ILR_IO', problem);
    await failing(t, run({include: ['config.json']}), 'ILR_IO', problem);
    t.is(hub.asked('/resolve/').length, 0);
    await t.throwsAsync(readdir(folder), {code: 'ENOENT'});
  });

for (const [name, problem] of [
  ['CONFIG.json', /differs from "config\.json" only in spelling/],
  ['config.json', /stands twice/],
  ['config.json/inside', /"config\.json", which is a file, and a folder/],
  ['nul.json', /device on Windows/],
  ['Com1', /device on Windows/],
  ['what?', /holds one of/],
  ['file:stream', /holds one of/],
  ['ends.', /ends with one or a dot/],
  ['.ILR-pull/record.json', /kept free/],
  ['.git/hooks/post-checkout', /kept free/],
  ['gnp.\u202etxt', /not shown/],
  ['\ud800', /not shown/],
  ['x'.repeat(300), /longer than 200 bytes/],
] as const)
  test(`the file ${JSON.stringify(name.slice(0, 30))} is not taken`, async (t) => {
    const listed = [{type: 'file', path: name, size: 1, oid: 'a'.repeat(40)}];
    const hub = await FakeHub.start(t, {'models/owner/tiny': {...tinyRepository(weights), listed}});
    const {run} = await pulling(t, hub);
    await failing(t, run({include: ['*']}), 'ILR_IO', problem);
    t.is(hub.asked('/resolve/').length, 0);
  });

test('a symbolic link in the target is not written through', async (t) => {
  const files = {...tinyRepository(weights).files, 'additional_chat_templates/a.jinja': '{{ a }}'};
  const hub = await FakeHub.start(t, {'models/owner/tiny': {files, large: ['model.safetensors']}});
  const outside = await folderWith(t, {'config.json': 'mine'});
  const {run} = await pulling(t, hub);
  const inner = await folderWith(t);
  await symlink(outside, path.join(inner, 'additional_chat_templates'));
  await failing(t, run({folder: inner}), 'ILR_IO', /additional_chat_templates is a symbolic link/);
  const file = await folderWith(t);
  await symlink(path.join(outside, 'config.json'), path.join(file, 'config.json'));
  await failing(t, run({folder: file}), 'ILR_IO', /config\.json is a symbolic link/);
  const state = await folderWith(t);
  await symlink(outside, path.join(state, '.ilr-pull'));
  await failing(t, run({folder: state}), 'ILR_IO', /\.ilr-pull is a symbolic link/);
  t.deepEqual(await readdir(outside), ['config.json']);
  t.is(await readFile(path.join(outside, 'config.json'), 'utf8'), 'mine');
});
