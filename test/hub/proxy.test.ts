import {createServer, type IncomingMessage, request} from 'node:http';
import type {AddressInfo} from 'node:net';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {pull} from '../../src/hub/pull.js';
import {folderWith} from '../helpers/folder.js';
import {FakeHub, quick, tinyRepository} from '../helpers/hub.js';

const model = {kind: 'model', id: 'owner/tiny'} as const;

/** A forward proxy that notes what it is asked for, and refuses tunnels. */
async function startProxy(t: ExecutionContext, tunnelAnswer: string) {
  const asked: {readonly method?: string; readonly url?: string; readonly headers: IncomingMessage['headers']}[] = [];
  const proxy = createServer((incoming, response) => {
    asked.push(incoming);
    const {method, headers} = incoming;
    const onward = request(incoming.url ?? '', {method, headers}, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy()).end();
  });
  proxy.on('connect', (incoming, socket) => {
    asked.push(incoming);
    socket.end(`HTTP/1.1 ${tunnelAnswer}\r\n\r\n`);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return {asked, host: `127.0.0.1:${(proxy.address() as AddressInfo).port}`};
}

test('HTTP_PROXY is gone through, with its user name and password, and NO_PROXY goes by it', async (t) => {
  const hub = await FakeHub.start(t, {'models/owner/tiny': tinyRepository()});
  const {asked, host} = await startProxy(t, '403 Forbidden');
  const folder = await folderWith(t);
  const run = async (env: Readonly<Record<string, string>>, to: string) =>
    pull({
      repository: model,
      settings: await hub.settings({HF_TOKEN: 'hf_a', ...env}),
      folder: path.join(folder, to),
      limits: quick,
    });
  const proxied = await run({HTTP_PROXY: `http://me:pass%20word@${host}`}, 'a');
  t.is(proxied.files.length, 5);
  t.is(asked.length, hub.requests.length);
  t.true(asked.every(({url}) => url?.startsWith(hub.endpoint) || url?.startsWith(hub.storeEndpoint)));
  const basic = `Basic ${Buffer.from('me:pass word').toString('base64')}`;
  t.true(asked.every(({headers}) => headers['proxy-authorization'] === basic));
  t.true(hub.requests.every(({headers, server}) => (headers.authorization === 'Bearer hf_a') === (server === 'hub')));
  const {length} = asked;
  await run({HTTP_PROXY: `http://${host}`, NO_PROXY: 'example.org,127.0.0.1'}, 'b');
  t.is(asked.length, length);
});

for (const [answer, message] of [
  ['403 Forbidden', /the proxy of HTTPS_PROXY or HTTP_PROXY refuses \(403\)/],
  ['407 Proxy Authentication Required', /refuses \(407\): it asks for http:\/\/user:password@host:port/],
  ['503 Busy', /the proxy answers 503, in 4 attempts/],
] as const)
  test(`an https hub is reached by a tunnel, and a proxy that answers ${answer} is named`, async (t) => {
    const hub = await FakeHub.start(t);
    const {asked, host} = await startProxy(t, answer);
    const env = {HF_TOKEN: 'hf_a', HF_ENDPOINT: 'https://hub.invalid', HTTPS_PROXY: `http://me:secret@${host}`};
    const folder = await folderWith(t);
    const error = await t.throwsAsync(
      pull({repository: model, settings: await hub.settings(env), folder, limits: quick}),
      {code: 'ILR_IO', message},
    );
    t.is(asked[0]?.method, 'CONNECT');
    t.is(asked[0]?.url, 'hub.invalid:443');
    t.is(asked[0]?.headers['proxy-authorization'], `Basic ${Buffer.from('me:secret').toString('base64')}`);
    t.is(asked[0]?.headers.authorization, undefined, 'the token goes through the tunnel, not to the proxy');
    t.false(error?.message.includes('secret'));
  });

test('a proxy that is not there is said', async (t) => {
  const hub = await FakeHub.start(t);
  const settings = await hub.settings({HF_ENDPOINT: 'https://hub.invalid', HTTPS_PROXY: 'http://127.0.0.1:9'});
  await t.throwsAsync(pull({repository: model, settings, folder: await folderWith(t), limits: quick}), {
    code: 'ILR_IO',
    message: /cannot be reached: .*ECONNREFUSED.*HTTPS_PROXY/,
  });
});
