import {IlrError} from '../errors.js';

export interface InterruptSignals {
  /** Aborted by the first Ctrl-C (or SIGTERM). */
  readonly first: AbortSignal;
  /** Aborted by the second. */
  readonly second: AbortSignal;
  dispose(): void;
}

/** Turns Ctrl-C into signals: the first asks for an end in good order, the second for one at once, a third ends the process. */
export function interruptSignals(): InterruptSignals {
  const controllers = [new AbortController(), new AbortController()];
  const onSignal = () => {
    const next = controllers.find((controller) => !controller.signal.aborted);
    if (next === undefined) process.exit(interruptedExitCode);
    next.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const [first, second] = controllers.map((controller) => controller.signal) as [AbortSignal, AbortSignal];
  const dispose = () => {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  };
  return {first, second, dispose};
}

/** What a shell expects of a command that Ctrl-C ended. */
export const interruptedExitCode = 130;

/** True for the error by which work ends that `signal` aborted. */
export function isInterruption(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && IlrError.is(error) && error.code === 'ILR_ABORTED';
}
