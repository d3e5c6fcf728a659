import {IlrError, isErrorCode, messageOf} from '../errors.js';
import type {AddonCall} from './addon-types.js';

/** What the addon threw or rejected with, as an IlrError. Without a code it was thrown by JavaScript that ran inside (a getter, say). */
export function toIlrError(thrown: unknown, signal?: AbortSignal): IlrError {
  if (isOurs(thrown)) return thrown;
  const {code, cause} = detailsOf(thrown);
  if (code === 'ILR_ABORTED') return abortedError(signal);
  const message = messageOf(thrown);
  if (isErrorCode(code)) return new IlrError(code, message, cause === undefined ? undefined : {cause});
  return new IlrError('ILR_INVALID_ARGUMENT', `An argument could not be read: ${message}`, {cause: thrown});
}

/** Runs what reads a caller's values: whatever they throw becomes an IlrError. */
export function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw toIlrError(error);
  }
}

/** An argument of options, `{}` where it was left out. What is in it, the addon checks. */
export function optionsOf<T extends object>(options: T | undefined): Partial<T> {
  if (options === undefined) return {};
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return options;
  throw new IlrError('ILR_INVALID_ARGUMENT', `options: expected an object, got ${describeKind(options)}`);
}

/** Starts a call of the addon at once (calls keep their order) and ties it to the options' `signal`. Every rejection is an IlrError. */
export async function runCall<T>(start: () => AddonCall<T>, options?: {readonly signal?: AbortSignal}): Promise<T> {
  let signal: AbortSignal | undefined;
  let call: AddonCall<T> | undefined;
  let isListening = false;
  const abort = () => call?.abort();
  try {
    signal = options?.signal;
    assertSignal(signal);
    if (signal?.aborted) throw abortedError(signal);
    call = start();
    signal?.addEventListener('abort', abort, {once: true});
    isListening = true;
    return await call.promise;
  } catch (error) {
    throw toIlrError(error, signal);
  } finally {
    if (isListening) signal?.removeEventListener('abort', abort);
  }
}

function isOurs(thrown: unknown): thrown is IlrError {
  return IlrError.is(thrown) && isErrorCode(detailsOf(thrown).code);
}

function detailsOf(thrown: unknown): {readonly code?: unknown; readonly cause?: unknown} {
  try {
    const {code, cause} = thrown as Error & {code?: unknown};
    return {code, cause};
  } catch {
    return {};
  }
}

function assertSignal(signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new IlrError('ILR_INVALID_ARGUMENT', `signal: expected an AbortSignal, got ${describeKind(signal)}`);
}

function describeKind(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
}

function abortedError(signal?: AbortSignal): IlrError {
  return new IlrError('ILR_ABORTED', 'The call was aborted.', signal?.aborted ? {cause: signal.reason} : undefined);
}
