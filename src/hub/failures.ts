import type {IncomingHttpHeaders} from 'node:http';
import {IlrError, messageOf} from '../errors.js';
import {type Repository, repositoryName} from './repository.js';
import {TransientError} from './retry.js';
import type {HubSettings} from './settings.js';

/** An answer that is not a good one. */
export interface Refusal {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly place: string;
  /** False of a server that the hub redirected to. */
  readonly isHub: boolean;
  readonly repository: Repository;
  readonly file?: string;
  readonly settings: HubSettings;
}

/** What an answer's status means, and what to do: a TransientError where asking again may help. */
export function statusError(refusal: Refusal): Error {
  const {status, headers, place, isHub, repository, file, settings} = refusal;
  const said = saidBy(refusal);
  const code = headers['x-error-code'];
  const page = `${settings.endpoint}/${repositoryName(repository)}`;
  const has = settings.token === undefined ? 'no token is set' : 'a token is set';
  if ([408, 425, 429, 500, 502, 503, 504].includes(status))
    return new TransientError(`${place}: the server answers ${status}${said}`, {retryAfterMs: retryAfterOf(headers)});
  if (status === 407)
    return new IlrError(
      'ILR_IO',
      `the proxy asks for a user name and password (407): http://user:password@host:port in HTTPS_PROXY or HTTP_PROXY`,
    );
  // The address that the hub gave is signed for a while: the next attempt asks the hub for another.
  if (!isHub)
    return status < 500 && status !== 401 && status !== 403
      ? new IlrError('ILR_IO', `${place}: the server answers ${status}${said}`)
      : new TransientError(`${place}: the server answers ${status}`);
  if (code === 'RevisionNotFound')
    return notThere(`${page} has no such revision${said}; expected a branch, a tag or a commit in --revision`);
  if (code === 'EntryNotFound') return notThere(`${page} has no such file${said}`);
  if (status === 404 && file !== undefined)
    return new IlrError('ILR_IO', `${page} lists ${file}, and has it not (404)${said}: try again`);
  if (status === 401 && /invalid (?:credentials|username or password|user token)/i.test(said))
    return new IlrError(
      'ILR_IO',
      `${settings.endpoint} does not accept the token (401): mend or unset HF_TOKEN, or log in again with \`hf auth login\``,
    );
  if (code === 'GatedRepo' || status === 403)
    return new IlrError(
      'ILR_IO',
      `${page} is gated or forbidden (${status}; ${has})${said}: open that page, accept its licence there, ` +
        'and set HF_TOKEN to a token that may read it (made at https://huggingface.co/settings/tokens)',
    );
  if (status === 401 || status === 404)
    return notThere(
      `${settings.endpoint} has no ${repository.kind === 'model' ? 'model' : 'data set'} ${repository.id}, or it is private or gated (${status}; ${has})${said}: ` +
        `check the name at ${page}; for a gated one accept its licence there and set HF_TOKEN`,
    );
  return new IlrError('ILR_IO', `${place}: the server answers ${status}${said}`);
}

const notThere = (message: string): IlrError => new IlrError('ILR_INVALID_ARGUMENT', message);

/** The server's own words, short; it might say the token back. */
function saidBy({headers, body, settings}: Refusal): string {
  const header = headers['x-error-message'];
  const text = (typeof header === 'string' ? header : undefined) ?? jsonError(body);
  if (text === undefined) return '';
  const plain = settings.token === undefined ? text : text.replaceAll(settings.token, '…');
  return ` (${JSON.stringify(plain.replaceAll(/\s+/g, ' ').slice(0, 200))})`;
}

function jsonError(body: string): string | undefined {
  try {
    const {error} = JSON.parse(body);
    return typeof error === 'string' ? error : undefined;
  } catch {
    return undefined; // a page, or nothing
  }
}

/** Seconds or a date; or the hub's own `ratelimit: "api";r=0;t=55`. */
export function retryAfterOf(headers: IncomingHttpHeaders, now: number = Date.now()): number | undefined {
  const after = headers['retry-after'];
  if (after !== undefined && /^\d{1,9}$/.test(after)) return Number(after) * 1000;
  const date = after === undefined ? Number.NaN : Date.parse(after);
  if (Number.isFinite(date)) return Math.max(0, date - now);
  const seconds = /;\s*t=(\d{1,9})/.exec(String(headers.ratelimit ?? ''))?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

const unreachable = [
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'UND_ERR_CONNECT_TIMEOUT',
];
const broken = [
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ECONNABORTED',
  'UND_ERR_SOCKET',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
];

/** What a failed connection means. A server that was never reached is not waited for: this machine may be offline. */
export function networkError(error: unknown, place: string, hasReached: boolean): Error {
  const code = codeOf(error);
  const reason = `${messageOf(error)}${code !== undefined && !messageOf(error).includes(code) ? ` (${code})` : ''}`;
  if (broken.includes(code ?? '') || (hasReached && unreachable.includes(code ?? '')))
    return new TransientError(`${place}: the connection broke: ${reason}`, {cause: error});
  if (unreachable.includes(code ?? ''))
    return new IlrError(
      'ILR_IO',
      `${place} cannot be reached: ${reason}. Is this machine offline? Behind a proxy, set HTTPS_PROXY; for another hub, HF_ENDPOINT`,
      {cause: error},
    );
  const proxy = /Proxy response \((\d+)\)/.exec(messageOf(error))?.[1];
  if (proxy !== undefined && ['502', '503', '504'].includes(proxy))
    return new TransientError(`${place}: the proxy answers ${proxy}`, {cause: error});
  if (proxy !== undefined)
    return new IlrError(
      'ILR_IO',
      `${place}: the proxy of HTTPS_PROXY or HTTP_PROXY refuses (${proxy})${proxy === '407' ? ': it asks for http://user:password@host:port' : ''}`,
      {cause: error},
    );
  if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(code ?? ''))
    return new IlrError(
      'ILR_IO',
      `${place}: its certificate is not trusted: ${reason}; NODE_EXTRA_CA_CERTS names a file of further authorities`,
      {cause: error},
    );
  return new IlrError('ILR_IO', `${place}: ${reason}`, {cause: error});
}

/** Of the error, of what lies below it, or of one of several addresses that were tried. */
function codeOf(error: unknown): string | undefined {
  const {code, cause, errors} = (error ?? {}) as {code?: unknown; cause?: unknown; errors?: unknown};
  if (typeof code === 'string') return code;
  const [first] = Array.isArray(errors) ? errors : [];
  return first !== undefined ? codeOf(first) : cause !== undefined ? codeOf(cause) : undefined;
}
