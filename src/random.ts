import {createHash} from 'node:crypto';

/** What a draw is for. Two purposes never share a stream. */
export type Purpose =
  | 'difficulty'
  | 'ability'
  | 'share'
  | 'analyse'
  | 'fuse'
  | 'debate'
  | 'eval'
  | 'warm-start'
  | 'data'
  | 'order'
  | 'peers'
  | 'strategy'
  | 'minibatch'
  | 'bootstrap'
  | 'init';

export interface StreamKey {
  readonly seed: number;
  readonly purpose: Purpose;
  readonly agent?: number;
  readonly step?: number;
  readonly question?: string;
  readonly sample?: number;
  /** Of dynamic sampling, where 0 is the step's own, or of a debate. */
  readonly round?: number;
}

/**
The 64-bit random stream of a draw, a pure function of its key, so that a resumed run repeats an uninterrupted one and
a completion's draws do not depend on its neighbours.

@returns the first 8 bytes (little-endian) of SHA-256 over the key's fields.
*/
export function streamOf(key: StreamKey): bigint {
  const text = JSON.stringify([
    key.seed,
    key.purpose,
    key.agent ?? -1,
    key.step ?? -1,
    key.question ?? '',
    key.sample ?? -1,
    ...(key.round ? [key.round] : []),
  ]);
  return createHash('sha256').update(text).digest().readBigUInt64LE(0);
}

/** A seeded generator for data, orders and bootstraps: splitmix64 over one stream. Never used for sampling tokens. */
export class Random {
  private state: bigint;

  constructor(key: StreamKey) {
    this.state = streamOf(key);
  }

  /** Uniform in [0, 1), 53 bits. */
  next(): number {
    const mask = 0xffffffffffffffffn;
    this.state = (this.state + 0x9e3779b97f4a7c15n) & mask;
    let z = this.state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
    z ^= z >> 31n;
    return Number(z >> 11n) / 2 ** 53;
  }

  /** A whole number in [0, n). */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  /** A copy of `items` in random order (Fisher–Yates). */
  shuffle<T>(items: readonly T[]): T[] {
    const out = [...items];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [out[i], out[j]] = [out[j] as T, out[i] as T];
    }
    return out;
  }
}
