import {setTimeout as sleep} from 'node:timers/promises';
import {IlrError, messageOf} from '../errors.js';
import {withRelay} from '../relay.js';

export interface JsonRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** A longer answer is refused. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

export interface Attempts {
  /** Of one attempt, answer and all. */
  readonly timeoutMs: number;
  /** Attempts behind the first. */
  readonly retries: number;
  /** Ahead of the second attempt; doubled for each further one, up to a minute. */
  readonly backoffMs: number;
}

/** What another attempt may mend: the server is busy or broken, the connection failed, or it took too long. */
class Passing extends Error {
  constructor(
    message: string,
    readonly waitMs = 0,
  ) {
    super(message);
  }
}

const longestWaitMs = 60_000;

/**
Posts JSON and reads JSON, with further attempts after 408, 429, 5xx, a failed connection or a late answer. Redirects are not followed,
so that no secret goes to another host.

@throws IlrError `ILR_IO` with the last reason; the address stands there without its query.
*/
export async function postJson(request: JsonRequest, {timeoutMs, retries, backoffMs}: Attempts): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await postOnce(request, timeoutMs);
    } catch (error) {
      request.signal?.throwIfAborted();
      if (!(error instanceof Passing) || attempt > retries) {
        const {origin, pathname} = request.url;
        throw new IlrError(
          'ILR_IO',
          `${origin}${pathname}: ${messageOf(error)}${attempt > 1 ? ` (${attempt} attempts)` : ''}`,
        );
      }
      // Spread out, so that those that failed together do not come again together.
      const wait = backoffMs * 2 ** (attempt - 1) * (1 + Math.random() / 4);
      await sleep(Math.min(longestWaitMs, Math.max(error.waitMs, wait)), undefined, {signal: request.signal});
    }
  }
}

function postOnce({url, headers, body, maxBytes, signal}: JsonRequest, timeoutMs: number): Promise<unknown> {
  return withRelay(signal, async (controller) => {
    const timer = setTimeout(() => controller.abort(), timeoutMs);
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: {accept: 'application/json', 'content-type': 'application/json', ...headers},
        body,
        redirect: 'manual',
        signal: controller.signal,
      });
      if (response.status !== 200) {
        await response.body?.cancel();
        throw refusal(response);
      }
      return parse(await readText(response, maxBytes));
    } catch (error) {
      if (error instanceof Passing || IlrError.is(error)) throw error;
      if (controller.signal.aborted) throw new Passing(`no answer within ${timeoutMs} ms`);
      throw new Passing(`the connection failed: ${reasonOf(error)}`);
    } finally {
      clearTimeout(timer);
    }
  });
}

function refusal({status, headers}: Response): Error {
  if (status === 408 || status === 429 || status >= 500) {
    const seconds = Number(headers.get('retry-after'));
    return new Passing(`HTTP ${status}`, Number.isFinite(seconds) ? 1000 * seconds : 0);
  }
  if (status >= 300 && status < 400)
    return new IlrError('ILR_IO', `HTTP ${status}: redirects are not followed; give the address itself`);
  return new IlrError('ILR_IO', `HTTP ${status}`);
}

async function readText(response: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) throw new IlrError('ILR_IO', `expected an answer of at most ${maxBytes} bytes, got more`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not quoted: a server may answer with what it was sent, the secret included.
    throw new IlrError('ILR_IO', `expected an answer in JSON, got another text of ${text.length} characters`);
  }
}

/** fetch hides what happened in `cause`. */
function reasonOf(error: unknown): string {
  const {cause} = error as {cause?: unknown};
  const code = (cause as {code?: unknown} | undefined)?.code;
  return typeof code === 'string' ? code : messageOf(cause ?? error);
}
