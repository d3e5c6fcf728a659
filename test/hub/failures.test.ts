import test, {type ExecutionContext} from 'ava';
import {retryAfterOf} from '../../src/hub/failures.js';
import type {PullOptions} from '../../src/hub/options.js';
import {pull} from '../../src/hub/pull.js';
import {folderWith} from '../helpers/folder.js';
import {answer, FakeHub, type Fault, quick, tinyRepository} from '../helpers/hub.js';

const revision = '/api/models/owner/tiny/revision/main';
const tree = `/api/models/owner/tiny/tree/${'c'.repeat(40)}`;

async function opened(t: ExecutionContext) {
  const hub = await FakeHub.start(t, {'models/owner/tiny': tinyRepository()});
  const folder = await folderWith(t);
  const run = async (changes: Partial<PullOptions> = {}, env: Readonly<Record<string, string>> = {}) =>
    pull({
      repository: {kind: 'model', id: 'owner/tiny'},
      settings: await hub.settings(env),
      folder,
      limits: quick,
      ...changes,
    });
  return {hub, run};
}

test('what is not there is said with the id and where it was looked for', async (t) => {
  const {hub, run} = await opened(t);
  await t.throwsAsync(run({repository: {kind: 'model', id: 'owner/none'}}), {
    code: 'ILR_INVALID_ARGUMENT',
    message: new RegExp(
      `^${hub.endpoint} has no model owner/none, or it is private or gated \\(401; no token is set\\)`,
    ),
  });
  await t.throwsAsync(run({repository: {kind: 'dataset', id: 'owner/none'}}, {HF_TOKEN: 'hf_a'}), {
    message: /has no data set owner\/none.*a token is set.*check the name at .*\/datasets\/owner\/none/,
  });
  await t.throwsAsync(run({revision: 'v9'}), {
    code: 'ILR_INVALID_ARGUMENT',
    message: /has no such revision \("Invalid rev id: v9"\); expected a branch, a tag or a commit/,
  });
});

test('a gated model says where its licence is accepted, also where only its files are gated', async (t) => {
  const {hub, run} = await opened(t);
  const gated = answer(403, {
    'x-error-code': 'GatedRepo',
    'x-error-message': 'Access to model owner/tiny is restricted',
  });
  const expected = {
    code: 'ILR_IO',
    message: new RegExp(
      `^${hub.endpoint}/owner/tiny is gated or forbidden \\(403; no token is set\\) \\("Access to.*accept its licence there, and set HF_TOKEN`,
    ),
  };
  hub.fail(revision, gated);
  await t.throwsAsync(run(), expected);
  hub.fail('config.json', gated);
  await t.throwsAsync(run(), expected);
});

test('a token that is not accepted is named by its variable alone', async (t) => {
  const {hub, run} = await opened(t);
  const said = 'Invalid credentials in Authorization header: hf_secret';
  hub.fail(revision, answer(401, {'x-error-message': said}));
  const refused = await t.throwsAsync(run({}, {HF_TOKEN: 'hf_secret'}), {
    message: /does not accept the token \(401\): mend or unset HF_TOKEN/,
  });
  hub.fail(revision, answer(418, {}, JSON.stringify({error: said})));
  const other = await t.throwsAsync(run({}, {HF_TOKEN: 'hf_secret'}), {
    message: /answers 418 \("Invalid credentials in Authorization header: …"\)/,
  });
  t.false(`${refused?.message}${other?.message}`.includes('hf_secret'));
});

test('an address that is no hub is said to be none', async (t) => {
  const {hub, run} = await opened(t);
  for (const [path, fault] of [
    [revision, answer(200, {}, '<html>Welcome</html>')],
    [revision, answer(200, {}, '{"sha": "../../x"}')],
    [tree, answer(200, {}, '{"files": []}')],
    [tree, answer(200, {}, '[{"type": "file", "path": "a", "size": -1}]')],
  ] as const) {
    hub.fail(path, fault);
    await t.throwsAsync(run(), {code: 'ILR_IO', message: /does HF_ENDPOINT name a hub\?/});
  }
});

test('a list without end, of too many files or bytes, or in a circle is refused', async (t) => {
  const {hub, run} = await opened(t);
  await t.throwsAsync(run({limits: {...quick, maxFiles: 8}}), {message: /expected at most 8 files, got more/});
  await t.throwsAsync(run({limits: {...quick, maxJsonBytes: 100}}), {
    message: /an answer of at most 100 bytes, got more/,
  });
  const endless: Fault = (_, response) => {
    response.writeHead(200).write('[');
    const more = () => {
      while (!response.destroyed && response.write('{"type":"directory","path":"a"},'.repeat(1000)));
    };
    response.on('drain', more).on('error', () => {});
    more();
  };
  hub.fail(tree, endless);
  await t.throwsAsync(run({limits: {...quick, maxJsonBytes: 2 ** 20}}), {
    message: /an answer of at most 1048576 bytes, got more/,
  });
  const circle: Fault = (request, response) =>
    response.writeHead(200, {link: `<${hub.endpoint}${request.url}>; rel="next"`}).end('[]');
  hub.fail(tree, circle, circle);
  await t.throwsAsync(run(), {message: /go in a circle/});
});

test('a hundred thousand files are listed, and only what is needed is taken', async (t) => {
  const {hub, run} = await opened(t);
  const listed = Array.from({length: 100_000}, (_, i) => ({
    type: 'file',
    path: `images/${i}.png`,
    size: 1,
    oid: 'a'.repeat(40),
  }));
  hub.repositories.set('models/owner/tiny', {...tinyRepository(), listed});
  hub.pageSize = 20_000;
  t.is((await run()).files.length, 5);
  t.is(hub.asked('/tree/').length, 6);
});

test('a mirror may lie below a path', async (t) => {
  const {hub, run} = await opened(t);
  hub.pageSize = 4;
  const {files} = await run({}, {HF_ENDPOINT: `${hub.endpoint}/mirror/`, HF_TOKEN: 'hf_a'});
  t.is(files.length, 5);
  const asked = hub.requests.filter(({server}) => server === 'hub');
  t.true(asked.every(({url, headers}) => url.startsWith('/mirror/') && headers.authorization === 'Bearer hf_a'));
});

test('a next page on another host is asked of the hub itself', async (t) => {
  const {hub, run} = await opened(t);
  hub.fail(tree, (_, response) =>
    response.writeHead(200, {link: '<https://elsewhere.invalid/x?recursive=true&cursor=2>; rel="next"'}).end('[]'),
  );
  // cursor 2 leaves the first two files out: there is no config.json
  await t.throwsAsync(run(), {code: 'ILR_UNSUPPORTED', message: /got "generation_config\.json"/});
  t.is(hub.asked('cursor=2').length, 1);
});

test('a hub that contradicts itself is not believed', async (t) => {
  const {hub, run} = await opened(t);
  const file = `/owner/tiny/resolve/${'c'.repeat(40)}/config.json`;
  for (const [headers, message] of [
    [{'x-repo-commit': 'd'.repeat(40)}, /lists commit c+ and hands out d+/],
    [{'x-linked-size': '7'}, /lists size 23 and hands out 7/],
    [{etag: `"${'e'.repeat(40)}"`}, /lists git object [0-9a-f]+ and hands out e+/],
  ] as const) {
    hub.fail(file, answer(200, headers, '{"model_type": "qwen2"}'));
    await t.throwsAsync(run(), {code: 'ILR_IO', message});
  }
});

test('a list without hashes gets them where the files are, and none is not enough', async (t) => {
  const {hub, run} = await opened(t);
  const listed = [{type: 'file', path: 'config.json', size: 23}];
  hub.fail(tree, answer(200, {}, JSON.stringify(listed)));
  t.is((await run({include: ['config.json']})).files.length, 1);
  hub.fail(tree, answer(200, {}, JSON.stringify(listed)));
  hub.fail(`/owner/tiny/resolve/${'c'.repeat(40)}/config.json`, answer(200, {}, 'x'));
  await t.throwsAsync(run({include: ['config.json'], folder: await folderWith(t)}), {
    message: /tells no checksum of it/,
  });
});

test('a hub that cannot be reached is said to be so at once; one that was is waited for', async (t) => {
  const {hub, run} = await opened(t);
  await t.throwsAsync(run({}, {HF_ENDPOINT: 'http://127.0.0.1:9'}), {
    code: 'ILR_IO',
    message:
      /^http:\/\/127\.0\.0\.1:9\/.* cannot be reached: .*ECONNREFUSED.*offline\? Behind a proxy, set HTTPS_PROXY/,
  });
  hub.fail('model.safetensors', answer(302, {location: 'http://127.0.0.1:9/x'}));
  hub.fail(`/owner/tiny/resolve/${'c'.repeat(40)}/model.safetensors`, answer(302, {location: 'http://127.0.0.1:9/x'}));
  t.is((await run()).files.length, 5);
});

test('a signed address that has run out is asked for anew', async (t) => {
  const {hub, run} = await opened(t);
  hub.fail('model.safetensors', answer(403, {}, '<Error>expired</Error>'));
  await run();
  t.is(hub.asked(`/resolve/${'c'.repeat(40)}/model.safetensors`).length, 2);
});

test('Retry-After is seconds or a date, and the hub has a header of its own', (t) => {
  t.is(retryAfterOf({'retry-after': '7'}), 7000);
  t.is(retryAfterOf({'retry-after': 'Wed, 21 Oct 2015 07:28:05 GMT'}, Date.UTC(2015, 9, 21, 7, 28, 0)), 5000);
  t.is(retryAfterOf({'retry-after': 'Wed, 21 Oct 2015 07:28:05 GMT'}, Date.UTC(2016, 0)), 0);
  t.is(retryAfterOf({ratelimit: '"resolvers";r=0;t=55'}), 55_000);
  t.is(retryAfterOf({'retry-after': 'soon'}), undefined);
  t.is(retryAfterOf({}), undefined);
});
