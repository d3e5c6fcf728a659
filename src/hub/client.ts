import type {IncomingHttpHeaders} from 'node:http';
import type {Readable} from 'node:stream';
import {type Dispatcher, EnvHttpProxyAgent, request} from 'undici';
import {IlrError} from '../errors.js';
import {networkError, statusError} from './failures.js';
import type {HubLimits} from './limits.js';
import type {Repository} from './repository.js';
import {aborted, type RetryOptions, TransientError, withRetries} from './retry.js';
import type {HubSettings} from './settings.js';
import {Watchdog} from './watchdog.js';

/** What the hub itself says of a file, before it hands over to where the bytes are. */
export interface HubMetadata {
  readonly commit?: string;
  readonly size?: number;
  /** The sha256 of a large file, the git object of a small one. */
  readonly etag?: string;
}

export interface HubResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly url: URL;
  readonly metadata: HubMetadata;
  /** The bytes as they come; ends with a TransientError when they stop coming. */
  readonly body: AsyncIterable<Buffer>;
  /** To be called at the end, also of an answer that is not read. */
  close(): void;
}

export interface OpenOptions {
  readonly repository: Repository;
  /** What is asked for, where it is a file that the hub lists. */
  readonly file?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

type Answer = Dispatcher.ResponseData;

/** Asks one hub. Redirects are followed here, so that the token goes to the hub alone. */
export class HubClient {
  readonly settings: HubSettings;
  readonly limits: HubLimits;
  private readonly origin: string;
  private readonly dispatcher: EnvHttpProxyAgent;
  private readonly userAgent: string;
  private hasReached = false;

  constructor(settings: HubSettings, limits: HubLimits, userAgent = 'ilr-native') {
    this.settings = settings;
    this.limits = limits;
    this.userAgent = userAgent;
    this.origin = new URL(settings.endpoint).origin;
    // Without a tunnel for http:, as curl and Python do it: many proxies allow CONNECT to port 443 alone.
    this.dispatcher = new EnvHttpProxyAgent({...settings.proxies, proxyTunnel: false});
  }

  /** An address of the hub; `path` begins with a slash and is encoded. */
  url(path: string): URL {
    return new URL(this.settings.endpoint + path);
  }

  /** @throws what `open` throws, after some attempts. */
  async json(
    url: URL,
    options: OpenOptions & Pick<RetryOptions, 'onRetry'>,
  ): Promise<{value: unknown; headers: IncomingHttpHeaders}> {
    const {signal, onRetry} = options;
    const work = async () => {
      const {body, headers, close} = await this.open(url, options);
      const bytes = await readAll(body, this.limits.maxJsonBytes, url).finally(close);
      try {
        return {value: JSON.parse(bytes.toString('utf8')) as unknown, headers};
      } catch (cause) {
        throw new IlrError(
          'ILR_IO',
          `${placeOf(url)}: expected JSON, got: ${(cause as Error).message}; does HF_ENDPOINT name a hub?`,
          {cause},
        );
      }
    };
    return withRetries(work, {limits: this.limits, signal, onRetry});
  }

  /**
  One GET with its redirects, of which a good answer comes back.

  @throws TransientError for what another attempt may mend; IlrError `ILR_INVALID_ARGUMENT` for a repository, revision or file that is
  not there, `ILR_IO` for everything else that the hub or the network refuse, `ILR_ABORTED`.
  */
  async open(start: URL, options: OpenOptions): Promise<HubResponse> {
    const {repository, file, signal} = options;
    const watchdog = new Watchdog(this.limits, signal);
    let url = start;
    try {
      let isHub = url.origin === this.origin;
      let metadata: HubMetadata = {};
      for (let redirects = 0; ; redirects++) {
        const answer = await this.ask(url, isHub, options, watchdog);
        if (isHub) metadata = {...metadataOf(answer), ...metadata};
        const next = redirectOf(answer, url);
        if (next === undefined) {
          const {statusCode: status, headers} = answer;
          const isNoRange = status === 416 && options.headers?.range !== undefined;
          if (status >= 300 && !isNoRange) throw await this.refused(answer, url, isHub, {repository, file});
          const close = () => {
            watchdog.stop();
            drop(answer);
          };
          return {status, headers, url, metadata, body: this.watched(answer.body, url, watchdog, signal), close};
        }
        drop(answer);
        if (redirects >= this.limits.redirects)
          throw new IlrError(
            'ILR_IO',
            `${placeOf(start)}: more than ${this.limits.redirects} redirects, the last to ${placeOf(next)}`,
          );
        // Once away from the hub, an address of the hub is another server's words: no token any more.
        isHub &&= next.origin === this.origin;
        url = next;
      }
    } catch (error) {
      watchdog.stop();
      throw this.failure(error, url, watchdog, signal);
    }
  }

  async close(): Promise<void> {
    await this.dispatcher.destroy();
  }

  private async ask(url: URL, isHub: boolean, {headers}: OpenOptions, watchdog: Watchdog): Promise<Answer> {
    const {token} = this.settings;
    const answer = await request(url, {
      dispatcher: this.dispatcher,
      signal: watchdog.signal,
      headers: {
        'user-agent': this.userAgent,
        // The bytes as they are: their number and their hash are known.
        'accept-encoding': 'identity',
        ...headers,
        ...(isHub && token !== undefined && {authorization: `Bearer ${token}`}),
      },
    });
    this.hasReached = true;
    watchdog.feed();
    return answer;
  }

  private async *watched(body: Readable, url: URL, watchdog: Watchdog, signal?: AbortSignal): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        watchdog.feed(chunk.length);
        yield chunk;
      }
    } catch (error) {
      throw this.failure(error, url, watchdog, signal);
    }
  }

  private async refused(
    answer: Answer,
    url: URL,
    isHub: boolean,
    asked: Pick<OpenOptions, 'repository' | 'file'>,
  ): Promise<Error> {
    const text = await readAll(answer.body, 2 ** 14, url).catch(() => Buffer.alloc(0));
    drop(answer);
    return statusError({
      status: answer.statusCode,
      headers: answer.headers,
      body: text.toString('utf8'),
      place: placeOf(url),
      isHub,
      ...asked,
      settings: this.settings,
    });
  }

  private failure(error: unknown, url: URL, watchdog: Watchdog, signal?: AbortSignal): unknown {
    if (signal?.aborted) return aborted(signal);
    if (watchdog.hasStalled)
      return new TransientError(
        `${placeOf(url)}: less than ${this.limits.stallBytes} bytes came in ${this.limits.stallMs / 1000} s`,
      );
    if (IlrError.is(error) || error instanceof TransientError) return error;
    return networkError(error, placeOf(url), this.hasReached);
  }
}

/** Without its query, which may be a signature that gives access. */
export function placeOf(url: URL): string {
  return url.origin + url.pathname;
}

function metadataOf({statusCode, headers}: Answer): HubMetadata {
  const commit = single(headers['x-repo-commit']);
  const etag = single(headers['x-linked-etag']) ?? (statusCode < 300 ? single(headers.etag) : undefined);
  const size = single(headers['x-linked-size']);
  return {
    ...(commit !== undefined && {commit}),
    ...(etag !== undefined && {etag: etag.replace(/^W\//, '').replaceAll('"', '')}),
    ...(size !== undefined && /^\d{1,15}$/.test(size) && {size: Number(size)}),
  };
}

export function single(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : header?.[0];
}

function redirectOf({statusCode, headers}: Answer, from: URL): URL | undefined {
  const location = single(headers.location);
  if (![301, 302, 303, 307, 308].includes(statusCode) || location === undefined) return undefined;
  if (!URL.canParse(location, from.href))
    throw new IlrError('ILR_IO', `${placeOf(from)}: redirects to what is no address`);
  const to = new URL(location, from);
  const isWeaker = from.protocol === 'https:' && to.protocol === 'http:';
  if (isWeaker || !/^https?:$/.test(to.protocol))
    throw new IlrError(
      'ILR_IO',
      `${placeOf(from)}: redirects to ${to.protocol}//${to.host}, which is not followed (expected https)`,
    );
  return to;
}

/** An answer that nobody reads. */
function drop({body}: Answer): void {
  body.on('error', () => {}).destroy();
}

async function readAll(body: AsyncIterable<Buffer>, maxBytes: number, url: URL): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxBytes)
      throw new IlrError('ILR_IO', `${placeOf(url)}: expected an answer of at most ${maxBytes} bytes, got more`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
