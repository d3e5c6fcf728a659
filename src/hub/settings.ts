import {readFile} from 'node:fs/promises';
import {homedir} from 'node:os';
import path from 'node:path';
import type {Env} from '../cache.js';
import {IlrError} from '../errors.js';

/** Where the hub is and how it is reached; read from the variables that Hugging Face's own client reads. */
export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly token?: string;
  readonly isOffline: boolean;
  /** Milliseconds, in the place of `HubLimits.stallMs`. */
  readonly stallMs?: number;
  readonly proxies: {readonly httpProxy: string; readonly httpsProxy: string; readonly noProxy: string};
}

/**
HF_ENDPOINT, HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT, the proxies (HTTP_PROXY, HTTPS_PROXY, NO_PROXY) and the token: HF_TOKEN, else the file that
`hf auth login` writes (HF_TOKEN_PATH, else $HF_HOME/token).

@throws IlrError `ILR_INVALID_ARGUMENT` when one of them cannot be used, `ILR_IO` when the file of the token cannot be read.
*/
export async function readHubSettings(env: Env): Promise<HubSettings> {
  const proxy = (name: string) => env[name.toLowerCase()] || env[name] || '';
  const settings = {
    endpoint: endpointOf(env.HF_ENDPOINT || 'https://huggingface.co'),
    isOffline: isTrue(env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE),
    proxies: {httpProxy: proxy('HTTP_PROXY'), httpsProxy: proxy('HTTPS_PROXY'), noProxy: proxy('NO_PROXY')},
  };
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY']) checkProxy(name, proxy(name));
  const token = isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN) ? undefined : await readToken(env);
  const stallMs = timeoutOf(env.HF_HUB_DOWNLOAD_TIMEOUT);
  return {...settings, ...(token !== undefined && {token}), ...(stallMs !== undefined && {stallMs})};
}

const isTrue = (text: string | undefined): boolean => /^(1|on|yes|true)$/i.test(text ?? '');

function endpointOf(text: string): string {
  const url = urlOf(text);
  if (url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash)
    return url.href.replace(/\/+$/, '');
  // Not quoted: it may hold a password.
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    'HF_ENDPOINT: expected the address of a hub, such as https://huggingface.co, without a user name, a query or a fragment',
  );
}

function checkProxy(name: string, text: string): void {
  if (text === '' || /^(https?|socks5?):$/.test(urlOf(text)?.protocol ?? '')) return;
  throw new IlrError('ILR_INVALID_ARGUMENT', `${name}: expected an address such as http://proxy.example.org:3128`);
}

function timeoutOf(seconds: string | undefined): number | undefined {
  if (seconds === undefined || seconds === '') return undefined;
  if (/^\d{1,5}$/.test(seconds) && Number(seconds) > 0) return 1000 * Number(seconds);
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `HF_HUB_DOWNLOAD_TIMEOUT: expected whole seconds above 0, got ${JSON.stringify(seconds)}`,
  );
}

function urlOf(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

async function readToken(env: Env): Promise<string | undefined> {
  const given = clean(env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN);
  if (given !== undefined) return checkToken(given, env.HF_TOKEN ? 'HF_TOKEN' : 'HUGGING_FACE_HUB_TOKEN');
  const file = tokenFile(env);
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return undefined;
    throw new IlrError('ILR_IO', `${file}: the token of the Hugging Face Hub could not be read: ${cause.message}`, {
      cause,
    });
  });
  const token = clean(text);
  return token === undefined ? undefined : checkToken(token, file);
}

function tokenFile(env: Env): string {
  const home = env.HOME || homedir();
  const expand = (text: string) =>
    text
      .replace(/^~(?=\/|$)/, home)
      .replace(/\$(?:\{(\w+)\}|(\w+))/g, (all, braced, plain) => env[braced ?? plain] ?? all);
  if (env.HF_TOKEN_PATH) return expand(env.HF_TOKEN_PATH);
  const cache = env.XDG_CACHE_HOME || path.join(home, '.cache');
  return path.join(expand(env.HF_HOME || path.join(cache, 'huggingface')), 'token');
}

function clean(text: string | undefined): string | undefined {
  return text?.replaceAll(/[\r\n]/g, '').trim() || undefined;
}

/** It goes into a header; and it is never quoted. */
function checkToken(token: string, source: string): string {
  if (/^[\x21-\x7e]{1,4096}$/.test(token)) return token;
  throw new IlrError('ILR_INVALID_ARGUMENT', `${source}: expected a token (hf_…) without spaces or other characters`);
}
