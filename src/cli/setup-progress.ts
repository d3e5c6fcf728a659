import type {Report, SetupProgress} from '../native/progress.js';
import type {Screen} from './terminal.js';

/** Shows a set-up: one line per thing done, and at the foot of a terminal how far the present one is. */
export function createSetupReport(screen: Screen, now: () => number = Date.now): Report {
  const start = now();
  let lineAt = 0;
  let ended = '';
  return (progress) => {
    const {phase, message, done, total} = progress;
    const text = formatProgress(progress, (now() - start) / 1000);
    if (total === undefined) return screen.line(text);
    if (screen.isLive) return screen.draw([text]);
    // Without a terminal a long step says so every five seconds, and once when it ends.
    const isEnd = done === total && ended !== phase + message;
    if (!isEnd && (done === total || now() - lineAt < 5000)) return;
    if (isEnd) ended = phase + message;
    screen.line(text);
    lineAt = now();
  };
}

function formatProgress({phase, message, done, total, unit}: SetupProgress, seconds: number): string {
  const head = `${phase.padEnd(9)} ${seconds.toFixed(0).padStart(3)} s  `;
  if (done === undefined || total === undefined) return head + message;
  if (unit === 'files') return `${head}[${done}/${total}] ${message}`;
  return `${head}${message} ${megabytes(done)} of ${megabytes(total)} MB (${Math.floor((100 * done) / Math.max(total, 1))} %)`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
}
