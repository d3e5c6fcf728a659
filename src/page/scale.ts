/** A stretch of numbers with round marks. */
export interface Scale {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
}

/** A scale that holds all finite `values`, ending on round numbers; `at least` is how far it reaches where they are close. */
export function scaleOf(
  values: readonly number[],
  {atLeast = 0, within, marks = 4}: {atLeast?: number; within?: readonly [number, number]; marks?: number} = {},
): Scale {
  const [from, to] = extentOf(values) ?? [0, 1];
  const pad = Math.max(0, (Math.max(atLeast, Math.abs(to) * 1e-6, 1e-12) - (to - from)) / 2);
  const [bottom, top] = clampTo(from - pad, to + pad, within);
  const step = roundStep((top - bottom) / marks);
  const first = Math.floor(bottom / step + 1e-9);
  const last = Math.ceil(top / step - 1e-9);
  const ticks = Array.from({length: last - first + 1}, (_, i) => Number(((first + i) * step).toPrecision(12)));
  return {low: ticks[0] as number, high: ticks.at(-1) as number, ticks};
}

/** Least and greatest of the finite values; undefined where there are none. */
export function extentOf(values: readonly number[]): readonly [number, number] | undefined {
  let [least, greatest] = [Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    least = Math.min(least, value);
    greatest = Math.max(greatest, value);
  }
  return least > greatest ? undefined : [least, greatest];
}

/** Where a value lies on a scale, from 0 to 1. */
export function placeOn({low, high}: Scale, value: number): number {
  return (value - low) / (high - low);
}

/** As many digits as the marks need. */
export function tickText(value: number, {ticks}: Scale): string {
  const step = Math.abs((ticks[1] ?? 1) - (ticks[0] ?? 0));
  if (value !== 0 && (Math.abs(value) >= 1e6 || step < 1e-5)) return value.toExponential(1);
  const digits = Math.max(0, Math.min(8, Math.ceil(-Math.log10(step) - 1e-9)));
  return value.toFixed(digits).replace('-', '\u2212');
}

function clampTo(from: number, to: number, within: readonly [number, number] | undefined): [number, number] {
  if (within === undefined) return [from, to];
  const [low, high] = within;
  const shift = from < low ? low - from : to > high ? high - to : 0;
  return [Math.max(low, from + shift), Math.min(high, to + shift)];
}

/** 1, 2 or 5 times a power of ten. */
function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((one) => one * power >= rough * (1 - 1e-9)) ?? 10;
  return factor * power;
}
