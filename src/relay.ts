import {setMaxListeners} from 'node:events';

/**
A controller of one's own below a caller's signal, which it follows until `work` ends. However much listens to it, the caller's signal has one
listener more, and none afterwards.
*/
export async function withRelay<T>(
  signal: AbortSignal | undefined,
  work: (controller: AbortController) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  const follow = () => controller.abort(signal?.reason);
  if (signal?.aborted) follow();
  signal?.addEventListener('abort', follow, {once: true});
  try {
    return await work(controller);
  } finally {
    signal?.removeEventListener('abort', follow);
  }
}
