import type {PullEvent} from '../hub/options.js';
import {duration} from './progress.js';
import {type Output, Screen} from './terminal.js';

/** Without a terminal, how far it is is said this often. */
const lineEveryMs = 10_000;
/** Rate and time left are of the last few seconds. */
const rateOverMs = 8000;

type ProgressEvent = Extract<PullEvent, {type: 'progress'}>;

/** Shows a download: bytes, rate and time left at the foot of a terminal, a line now and then elsewhere. */
export class PullProgress {
  private readonly screen: Screen;
  private readonly name: string;
  private readonly now: () => number;
  private readonly received: {readonly at: number; readonly bytes: number}[] = [];
  private lineAt: number;
  private begun = false;

  constructor(output: Output, name: string, now: () => number = Date.now) {
    this.screen = new Screen(output, now);
    this.name = name;
    this.now = now;
    this.lineAt = now();
  }

  /** True when it is known what is to be downloaded. */
  get hasBegun(): boolean {
    return this.begun;
  }

  /** A line that stays. */
  line(text: string): void {
    this.screen.line(text);
  }

  /** Takes the live line away. */
  finish(): void {
    this.screen.clear();
  }

  readonly onEvent = (event: PullEvent): void => {
    if (event.type === 'progress') this.onProgress(event);
    if (event.type === 'plan') this.begun = true;
    if (event.type === 'file' && event.state === 'downloaded')
      this.line(`downloaded ${event.path} (${bytesText(event.bytes)})`);
    if (event.type === 'plan' && event.files > 0)
      this.line(
        `${this.name}, commit ${event.commit.slice(0, 12)}: ${event.files} ${event.files === 1 ? 'file' : 'files'} to download, ${bytesText(event.bytes)}`,
      );
    if (event.type === 'retry')
      this.line(`${event.message}${event.waitMs > 0 ? `; again in ${duration(event.waitMs)}` : ''}`);
  };

  private onProgress(event: ProgressEvent): void {
    const now = this.now();
    const [oldest] = this.received;
    const latest = this.received.at(-1);
    if (latest === undefined || now - latest.at >= 200) this.received.push({at: now, bytes: event.received});
    if (oldest !== undefined && now - oldest.at > rateOverMs) this.received.shift();
    if (this.screen.isLive) this.screen.draw([this.text(event)]);
    else if (now - this.lineAt >= lineEveryMs) {
      this.line(this.text(event));
      this.lineAt = now;
    }
  }

  private text({phase, done, total, received}: ProgressEvent): string {
    const share = `${Math.floor((100 * done) / Math.max(total, 1))} %`;
    const head = `${phase === 'check' ? 'checking' : 'downloading'} ${bytesText(done)} of ${bytesText(total)} (${share})`;
    const [oldest] = this.received;
    const seconds = oldest === undefined ? 0 : (this.now() - oldest.at) / 1000;
    const rate = seconds < 1 ? 0 : (received - (oldest?.bytes ?? 0)) / seconds;
    if (phase === 'check' || rate <= 0) return head;
    return `${head}  ${bytesText(rate)}/s  ${duration((1000 * (total - done)) / rate)} left`;
  }
}

/** `812 bytes`, `3.4 kB`, `988 MB`, `15.23 GB`. */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${Math.round(bytes)} bytes`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
