import type {HubLimits} from './limits.js';

/** Its `signal` fires when the caller's does, or when less than `stallBytes` came in a span of `stallMs`. */
export class Watchdog {
  readonly signal: AbortSignal;
  private readonly controller = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private readonly outer: AbortSignal | undefined;
  private readonly onOuter = (): void => this.controller.abort(this.outer?.reason);
  private bytes = 0;
  private stalled = false;

  constructor({stallMs, stallBytes}: HubLimits, outer?: AbortSignal) {
    this.signal = this.controller.signal;
    this.outer = outer;
    if (outer?.aborted) this.onOuter();
    outer?.addEventListener('abort', this.onOuter, {once: true});
    this.timer = setInterval(() => {
      if (this.bytes < stallBytes) {
        this.stalled = true;
        this.controller.abort();
      }
      this.bytes = 0;
    }, stallMs);
  }

  get hasStalled(): boolean {
    return this.stalled;
  }

  /** Bytes of a body that came; without a number, an answer that began. */
  feed(bytes = Number.POSITIVE_INFINITY): void {
    this.bytes += bytes;
  }

  stop(): void {
    clearInterval(this.timer);
    this.outer?.removeEventListener('abort', this.onOuter);
  }
}
