/** How long, how often and how much: of the client, so that tests need not wait. */
export interface HubLimits {
  /** Attempts without any headway before a request or a file is given up. */
  readonly attempts: number;
  /** Milliseconds before the second attempt; doubled each time, up to `maxDelayMs`. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** The longest that a hub may ask for by Retry-After. */
  readonly maxRetryAfterMs: number;
  /** Milliseconds in which an answer must begin, and in each of which `stallBytes` must come. */
  readonly stallMs: number;
  readonly stallBytes: number;
  readonly redirects: number;
  /** Files downloaded at the same time. */
  readonly jobs: number;
  /** Of one JSON answer. */
  readonly maxJsonBytes: number;
  /** Of one repository. */
  readonly maxFiles: number;
}

export const defaultLimits: HubLimits = {
  attempts: 6,
  firstDelayMs: 1000,
  maxDelayMs: 30_000,
  maxRetryAfterMs: 300_000,
  stallMs: 20_000,
  stallBytes: 4096,
  redirects: 10,
  jobs: 4,
  maxJsonBytes: 64 * 2 ** 20,
  maxFiles: 200_000,
};
