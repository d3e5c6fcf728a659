import {setTimeout as sleep} from 'node:timers/promises';
import {IlrError} from '../errors.js';
import type {HubLimits} from './limits.js';

/** What may go well the next time: a busy server, a broken connection, an answer that stalled. */
export class TransientError extends Error {
  /** As the server asks. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: ErrorOptions & {readonly retryAfterMs?: number} = {}) {
    super(message, options);
    this.retryAfterMs = options.retryAfterMs;
  }
}

export interface RetryOptions {
  readonly limits: HubLimits;
  readonly signal?: AbortSignal;
  /** True when the attempt that just failed got further than any before it: the attempts are then counted anew. */
  readonly hasHeadway?: () => boolean;
  readonly onRetry?: (message: string, waitMs: number) => void;
}

/**
Does the work again, after growing pauses, as long as it fails with a TransientError.

@throws IlrError `ILR_IO` when the attempts are used up, or when the server asks for a longer pause than is waited; `ILR_ABORTED`.
*/
export async function withRetries<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const {limits, signal, hasHeadway, onRetry} = options;
  for (let failed = 1; ; failed++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      if (hasHeadway?.()) failed = 1;
      const waitMs = pauseOf(error, failed, limits);
      onRetry?.(error.message, waitMs);
      await sleep(waitMs, undefined, {signal}).catch(() => {
        throw aborted(signal);
      });
    }
  }
}

function pauseOf({message, retryAfterMs, cause}: TransientError, failed: number, limits: HubLimits): number {
  if (failed >= limits.attempts)
    throw new IlrError('ILR_IO', `${message}, in ${failed} attempts; try again later`, {
      cause,
    });
  const own = Math.min(limits.maxDelayMs, limits.firstDelayMs * 2 ** (failed - 1));
  if (retryAfterMs === undefined) return own;
  if (retryAfterMs > limits.maxRetryAfterMs)
    throw new IlrError('ILR_IO', `${message}, and asks to come back in ${Math.ceil(retryAfterMs / 1000)} s`);
  return Math.max(own, retryAfterMs);
}

export function aborted(signal: AbortSignal | undefined): IlrError {
  return new IlrError('ILR_ABORTED', 'the download was stopped', {cause: signal?.reason});
}
