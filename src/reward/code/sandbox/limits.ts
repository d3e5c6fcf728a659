import {IlrError} from '../../../errors.js';

export interface Limits {
  /** From the start of the interpreter on, waiting for a free place not counted. */
  readonly wallSeconds: number;
  /** Of all threads together. */
  readonly cpuSeconds: number;
  /** Address space, the interpreter's own 30 MB included. */
  readonly memoryBytes: number;
  /** Of stdout and stderr together. */
  readonly outputBytes: number;
  readonly threads: number;
  readonly openFiles: number;
}

export const defaultLimits: Limits = {
  wallSeconds: 10,
  cpuSeconds: 5,
  memoryBytes: 2 ** 30,
  outputBytes: 2 ** 20,
  threads: 16,
  openFiles: 64,
};

const least: Limits = {
  wallSeconds: 0.001,
  cpuSeconds: 1,
  memoryBytes: 2 ** 26,
  outputBytes: 1,
  threads: 1,
  openFiles: 8,
};

/** A day; a timer of more than 24 ends at once. */
const maxWallSeconds = 86_400;

/**
`limits` over `base`.

@throws IlrError `ILR_INVALID_ARGUMENT` on an unknown name or a value out of range: every limit is finite.
*/
export function mergeLimits(base: Limits, limits: Partial<Limits> = {}): Limits {
  for (const [name, value] of Object.entries(limits)) {
    const minimum = least[name as keyof Limits];
    if (minimum === undefined) {
      throw new IlrError('ILR_INVALID_ARGUMENT', `limits: ${name} is none of ${Object.keys(least).join(', ')}`);
    }
    const isWhole = name === 'wallSeconds' || Number.isSafeInteger(value);
    const maximum = name === 'wallSeconds' ? maxWallSeconds : 2 ** 40;
    if (typeof value !== 'number' || !isWhole || !(value >= minimum && value <= maximum)) {
      const kind = name === 'wallSeconds' ? 'a number' : 'a whole number';
      throw new IlrError(
        'ILR_INVALID_ARGUMENT',
        `limits.${name}: expected ${kind} from ${minimum} to ${maximum}, got ${value}`,
      );
    }
  }
  return {...base, ...limits};
}
