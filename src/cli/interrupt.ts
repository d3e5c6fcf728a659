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
    if (next === undefined) process.exit(130);
    process.exitCode = 130;
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
