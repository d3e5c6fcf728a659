import {readFile} from 'node:fs/promises';
import type {StepMetrics} from '../types.js';
import {withIo} from './files.js';

/** Figures of the clock, the only ones that two equal runs may differ in. */
const wallClockMetrics: readonly string[] = ['seconds', 'tokensPerSecond'];

/** The steps of a metrics.jsonl; one that is still being written, at its end, is left out. */
export async function readMetrics(file: string): Promise<StepMetrics[]> {
  const text = await withIo('reading', file, () => readFile(file, 'utf8'));
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as StepMetrics);
}

/** The same figures without those of the clock. */
export function withoutClock(metrics: StepMetrics): StepMetrics {
  return Object.fromEntries(
    Object.entries(metrics).filter(
      ([key]) => !wallClockMetrics.some((name) => key === name || key.endsWith(`/${name}`)),
    ),
  ) as StepMetrics;
}
