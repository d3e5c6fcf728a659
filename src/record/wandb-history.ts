import {readFile} from 'node:fs/promises';
import type {StepMetrics} from '../types.js';
import {type AppendedFile, jsonLine} from './appended-file.js';
import {withIo} from './files.js';

/** The step metrics as the lines of a Weights & Biases history, `wandb-history.jsonl`. */
export class WandbHistory {
  private readonly file: AppendedFile;
  /** Seconds since 1970 when the run would have begun, had it never stopped. */
  private readonly startedAt: number;

  private constructor(file: AppendedFile, startedAt: number) {
    this.file = file;
    this.startedAt = startedAt;
  }

  /** @param wallTime - seconds since 1970. */
  static async open(file: AppendedFile, wallTime: number): Promise<WandbHistory> {
    const text = await withIo('reading', file.file, () => readFile(file.file, 'utf8'));
    const last = text.split('\n').at(-2);
    return new WandbHistory(file, wallTime - (last === undefined ? 0 : JSON.parse(last)._runtime));
  }

  async append(metrics: StepMetrics, wallTime: number): Promise<void> {
    await this.file.append(jsonLine(historyLine(metrics, wallTime, wallTime - this.startedAt)));
  }
}

/** Figures that are not finite are words, as in W&B's own files: JSON has no number for them. */
function historyLine({step, ...figures}: StepMetrics, timestamp: number, runtime: number) {
  const values = Object.entries(figures).map(([key, value]) => [key, Number.isFinite(value) ? value : String(value)]);
  return {_step: step, _timestamp: timestamp, _runtime: runtime, ...Object.fromEntries(values)};
}
