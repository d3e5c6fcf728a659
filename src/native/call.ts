import {IlrError, type IlrErrorCode} from '../errors.js';
import type {AddonCall} from './addon-types.js';

/** What the addon threw or rejected with, as an IlrError. Without a code it was thrown by JavaScript that ran inside (a getter, say). */
export function toIlrError(thrown: unknown, signal?: AbortSignal): IlrError {
  if (IlrError.is(thrown)) return thrown;
  const {code, message} = (thrown instanceof Error ? thrown : new Error(String(thrown))) as Error & {code?: unknown};
  if (code === 'ILR_ABORTED') return abortedError(signal);
  if (typeof code === 'string' && code.startsWith('ILR_')) return new IlrError(code as IlrErrorCode, message);
  return new IlrError('ILR_INVALID_ARGUMENT', `An argument could not be read: ${message}`, {cause: thrown});
}

/** Starts a call of the addon at once (calls keep their order) and ties it to the options' `signal`. Every rejection is an IlrError. */
export async function runCall<T>(start: () => AddonCall<T>, options?: {readonly signal?: AbortSignal}): Promise<T> {
  let signal: AbortSignal | undefined;
  let call: AddonCall<T> | undefined;
  const abort = () => call?.abort();
  try {
    signal = options?.signal;
    assertSignal(signal);
    if (signal?.aborted) throw abortedError(signal);
    call = start();
    signal?.addEventListener('abort', abort, {once: true});
    return await call.promise;
  } catch (error) {
    throw toIlrError(error, signal);
  } finally {
    if (signal instanceof AbortSignal) signal.removeEventListener('abort', abort);
  }
}

function assertSignal(signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new IlrError('ILR_INVALID_ARGUMENT', `signal: expected an AbortSignal, got ${typeof signal}`);
}

function abortedError(signal?: AbortSignal): IlrError {
  return new IlrError('ILR_ABORTED', 'The call was aborted.', signal?.aborted ? {cause: signal.reason} : undefined);
}
