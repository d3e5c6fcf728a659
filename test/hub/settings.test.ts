import path from 'node:path';
import test from 'ava';
import {readHubSettings} from '../../src/hub/settings.js';
import {folderWith} from '../helpers/folder.js';

test('the token is that of HF_TOKEN, else of the file that the official client writes', async (t) => {
  const home = await folderWith(t, {
    '.cache/huggingface/token': 'hf_home\n',
    'hf/token': ' hf_hfhome ',
    'xdg/huggingface/token': 'hf_xdg',
    'own/secret': 'hf_\r\npath\n',
    'empty/token': '\n',
  });
  const tokenOf = async (env: Readonly<Record<string, string>>) => (await readHubSettings({HOME: home, ...env})).token;
  // in the order of huggingface_hub 2.4.0's get_token and constants.py
  t.is(await tokenOf({}), 'hf_home');
  t.is(await tokenOf({HF_TOKEN: 'hf_env', HUGGING_FACE_HUB_TOKEN: 'hf_old'}), 'hf_env');
  t.is(await tokenOf({HUGGING_FACE_HUB_TOKEN: 'hf_old'}), 'hf_old');
  t.is(await tokenOf({HF_TOKEN: ' \n'}), 'hf_home');
  t.is(await tokenOf({HF_HOME: '~/hf'}), 'hf_hfhome');
  t.is(await tokenOf({HF_HOME: '$BASE/hf', BASE: home}), 'hf_hfhome');
  t.is(await tokenOf({XDG_CACHE_HOME: path.join(home, 'xdg')}), 'hf_xdg');
  t.is(await tokenOf({HF_TOKEN_PATH: path.join(home, 'own/secret'), HF_HOME: '~/hf'}), 'hf_path');
  t.is(await tokenOf({HF_HOME: path.join(home, 'empty')}), undefined);
  t.is(await tokenOf({HF_HOME: path.join(home, 'nowhere')}), undefined);
  t.is(await tokenOf({HF_TOKEN: 'hf_env', HF_HUB_DISABLE_IMPLICIT_TOKEN: '1'}), undefined);
});

test('a token, an endpoint or a proxy that cannot be used is refused without quoting it', async (t) => {
  for (const [env, message] of [
    [{HF_TOKEN: 'hf secret'}, /^HF_TOKEN: expected a token/],
    [{HF_TOKEN: 'hf_\u00e9secret'}, /^HF_TOKEN: expected a token/],
    [{HF_ENDPOINT: 'huggingface.co'}, /^HF_ENDPOINT: expected the address of a hub/],
    [{HF_ENDPOINT: 'https://me:secret@huggingface.co'}, /^HF_ENDPOINT/],
    [{HF_ENDPOINT: 'file:///secret'}, /^HF_ENDPOINT/],
    [{HTTPS_PROXY: 'me:secret@proxy'}, /^HTTPS_PROXY: expected an address such as/],
    [{http_proxy: 'nothing at all secret'}, /^HTTP_PROXY/],
  ] as const) {
    const error = await t.throwsAsync(readHubSettings({HOME: '/nowhere', ...env}), {
      code: 'ILR_INVALID_ARGUMENT',
      message,
    });
    t.false(error?.message.includes('secret'));
  }
});

test('the time limit is in seconds', async (t) => {
  const read = (seconds: string) => readHubSettings({HOME: '/nowhere', HF_HUB_DOWNLOAD_TIMEOUT: seconds});
  t.is((await read('45')).stallMs, 45_000);
  t.is((await read('')).stallMs, undefined);
  for (const wrong of ['0', '-1', '1.5', 'soon'])
    await t.throwsAsync(read(wrong), {
      code: 'ILR_INVALID_ARGUMENT',
      message: /^HF_HUB_DOWNLOAD_TIMEOUT: expected whole seconds above 0/,
    });
});

test('endpoint, proxies and offline mode come from the environment', async (t) => {
  const settings = await readHubSettings({
    HOME: '/nowhere',
    HF_ENDPOINT: 'https://mirror.example.org/hf//',
    HTTPS_PROXY: 'http://a:1',
    https_proxy: 'http://b:2',
    NO_PROXY: 'c',
  });
  t.is(settings.endpoint, 'https://mirror.example.org/hf');
  t.deepEqual(settings.proxies, {httpProxy: '', httpsProxy: 'http://b:2', noProxy: 'c'});
  t.false(settings.isOffline);
  t.false('token' in settings);
  t.is((await readHubSettings({HOME: '/nowhere'})).endpoint, 'https://huggingface.co');
  for (const value of ['1', 'true', 'ON', 'Yes'])
    t.true((await readHubSettings({HOME: '/nowhere', HF_HUB_OFFLINE: value})).isOffline);
  t.true((await readHubSettings({HOME: '/nowhere', TRANSFORMERS_OFFLINE: '1'})).isOffline);
  t.false((await readHubSettings({HOME: '/nowhere', HF_HUB_OFFLINE: '0'})).isOffline);
});
