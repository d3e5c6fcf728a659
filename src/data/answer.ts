import {lastBoxed} from '../boxed.js';

/** What stands behind the last `####`, as in GSM8K. */
export function behindHashes(text: string): string | undefined {
  return text.split('####').slice(1).at(-1);
}

/** The content of the last box, also of `\boxed 2`, as some solutions of MATH have it. */
export function boxedAnswer(text: string): string | undefined {
  return lastBoxed(text) ?? [...text.matchAll(/\\boxed\s+([^\s${}]+)/g)].at(-1)?.[1];
}

/** A level as a number, or text such as `Level 3`. */
export function toLevel(value: unknown): number | undefined {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  const digits = typeof value === 'string' ? /^(?:level\s*)?(\d+)$/i.exec(value.trim())?.[1] : undefined;
  return digits === undefined ? undefined : Number(digits);
}
