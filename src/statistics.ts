import {IlrError} from './errors.js';
import {type StreamKey, streamOf} from './random.js';

/** Mean of `values`; NaN when there are none. */
export function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}

export function sum(values: readonly number[]): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** Ranks from 1; equal values share the mean of their places. */
export function midRanks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) => (values[a] as number) - (values[b] as number));
  const ranks = new Array<number>(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end] as number] === values[order[start] as number]) end++;
    for (let place = start; place < end; place++) ranks[order[place] as number] = (start + 1 + end) / 2;
    start = end;
  }
  return ranks;
}

function pearson(x: readonly number[], y: readonly number[]): number {
  const mx = mean(x);
  const my = mean(y);
  let xy = 0;
  let xx = 0;
  let yy = 0;
  for (let i = 0; i < x.length; i++) {
    const dx = (x[i] as number) - mx;
    const dy = (y[i] as number) - my;
    xy += dx * dy;
    xx += dx * dx;
    yy += dy * dy;
  }
  return xy / Math.sqrt(xx * yy);
}

/** Spearman's rank correlation with mid-ranks for ties; NaN when a side has no spread. */
export function spearman(x: readonly number[], y: readonly number[]): number {
  requireSameLength(x, y);
  return pearson(midRanks(x), midRanks(y));
}

export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

export interface BootstrapOptions {
  readonly seed: number;
  /** 10,000 by default. */
  readonly resamples?: number;
  /** 0.95 by default. */
  readonly level?: number;
}

/** Percentile bootstrap of the mean over questions. */
export function meanInterval(values: readonly number[], options: BootstrapOptions): Interval {
  const {resamples = 10_000, level = 0.95} = options;
  if (values.length === 0) return {mean: Number.NaN, low: Number.NaN, high: Number.NaN};
  const next = fastRandom({seed: options.seed, purpose: 'bootstrap'});
  const means = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    let total = 0;
    for (let i = 0; i < values.length; i++) total += values[Math.floor(next() * values.length)] as number;
    means[r] = total / values.length;
  }
  means.sort();
  const at = (q: number) => means[Math.round(q * (resamples - 1))] as number;
  return {mean: mean(values), low: at((1 - level) / 2), high: at((1 + level) / 2)};
}

/** Interval of the mean of `after − before`, questions drawn in pairs. */
export function pairedInterval(
  before: readonly number[],
  after: readonly number[],
  options: BootstrapOptions,
): Interval {
  requireSameLength(before, after);
  return meanInterval(
    after.map((value, i) => value - (before[i] as number)),
    options,
  );
}

/** sfc32 from a stream: millions of draws a second, where `Random`'s big integers would take seconds per interval. */
function fastRandom(key: StreamKey): () => number {
  const stream = streamOf(key);
  let a = Number(stream & 0xffffffffn) | 0;
  let b = Number(stream >> 32n) | 0;
  let c = 0x9e3779b9 | 0;
  let counter = 1;
  const next = () => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 15; i++) next();
  return next;
}

function requireSameLength(x: readonly number[], y: readonly number[]): void {
  if (x.length === y.length) return;
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `Expected two lists of the same questions, got ${x.length} and ${y.length} values.`,
  );
}
