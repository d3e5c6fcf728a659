import type {Report, SetupProgress} from '../native/progress.js';
import type {Screen} from './terminal.js';

/** Shows a set-up: one line per thing done, and at the foot of a terminal how far the present one is. */
export function createSetupReport(screen: Screen, now: () => number = Date.now): Report {
  const start = now();
  let last = '';
  let lineAt = 0;
  return (progress) => {
    const isStep = progress.total !== undefined;
    const text = formatProgress(progress, (now() - start) / 1000);
    if (isStep && screen.isLive) return screen.draw([text]);
    // Without a terminal a long step says so every five seconds, and when it ends.
    const isDue = !isStep || now() - lineAt >= 5000 || progress.done === progress.total;
    if (!isDue || text === last) return;
    screen.line(text);
    last = text;
    lineAt = now();
  };
}

export function formatProgress({phase, message, done, total, unit}: SetupProgress, seconds: number): string {
  const head = `${phase.padEnd(9)} ${seconds.toFixed(0).padStart(3)} s  `;
  if (done === undefined || total === undefined) return head + message;
  if (unit === 'files') return `${head}[${done}/${total}] ${message}`;
  return `${head}${message} ${megabytes(done)} of ${megabytes(total)} MB (${Math.floor((100 * done) / Math.max(total, 1))} %)`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
}
