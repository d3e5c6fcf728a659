import {IlrError, type IlrErrorCode} from '../errors.js';
import type {AddonCall} from './addon-types.js';

/** What the addon threw or rejected with, as an IlrError. Without a code it was thrown by JavaScript that ran inside (a getter, say). */
export function toIlrError(thrown: unknown, signal?: AbortSignal): IlrError {
  if (IlrError.is(thrown)) return thrown;
  const {code, message} =
    thrown instanceof Error ? (thrown as Error & {code?: unknown}) : {code: undefined, message: String(thrown)};
  if (code === 'ILR_ABORTED') return abortedError(signal);
  if (typeof code === 'string' && code.startsWith('ILR_')) return new IlrError(code as IlrErrorCode, message);
  return new IlrError('ILR_INVALID_ARGUMENT', `An argument could not be read: ${message}`, {cause: thrown});
}

export function abortedError(signal?: AbortSignal): IlrError {
  return new IlrError('ILR_ABORTED', 'The call was aborted.', signal?.aborted ? {cause: signal.reason} : undefined);
}

/** Starts a call of the addon at once (calls keep their order) and ties it to `signal`. Every rejection is an IlrError. */
export async function runCall<T>(start: () => AddonCall<T>, signal?: AbortSignal): Promise<T> {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new IlrError('ILR_INVALID_ARGUMENT', 'signal: expected an AbortSignal');
  }
  if (signal?.aborted) throw abortedError(signal);
  let call: AddonCall<T> | undefined;
  const abort = () => call?.abort();
  try {
    call = start();
    signal?.addEventListener('abort', abort, {once: true});
    return await call.promise;
  } catch (error) {
    throw toIlrError(error, signal);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}
