import {readdir, rm} from 'node:fs/promises';
import path from 'node:path';
import type {RunConfig} from '../config.js';
import type {StepMetrics} from '../types.js';
import {AppendedFile, jsonLine} from './appended-file.js';
import {EventFile, isEventFile} from './event-file.js';
import {withIo} from './files.js';
import {WandbHistory} from './wandb-history.js';

const metricsName = 'metrics.jsonl';
const historyName = 'wandb-history.jsonl';

export interface StepFilesOptions {
  readonly folder: string;
  readonly record: RunConfig['record'];
  /** Length of each file as the checkpoint knew it; what is there besides is cut or removed. */
  readonly known: Readonly<Record<string, number>>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** One stream of step metrics in the forms that others read: metrics.jsonl, TensorBoard's event files, a Weights & Biases history. */
export class StepFiles {
  /** [file, bytes] that the checkpoint knew and that are not there. */
  readonly missing: readonly (readonly [string, number])[];
  private readonly kept: readonly AppendedFile[];
  private readonly metrics: AppendedFile;
  private readonly history: WandbHistory | undefined;
  private readonly events: EventFile | undefined;
  private readonly now: () => number;

  private constructor(
    kept: readonly {opened: AppendedFile; missing: number}[],
    history: WandbHistory | undefined,
    events: EventFile | undefined,
    now: () => number,
  ) {
    this.kept = kept.map(({opened}) => opened);
    this.missing = kept.filter(({missing}) => missing > 0).map(({opened, missing}) => [opened.file, missing]);
    this.metrics = this.kept[0] as AppendedFile;
    this.history = history;
    this.events = events;
    this.now = now;
  }

  static async open({folder, record, known, now}: StepFilesOptions): Promise<StepFiles> {
    const open = (name: string) => AppendedFile.open(path.join(folder, name), known[name] ?? 0);
    const there = (await withIo('reading', folder, () => readdir(folder))).filter(
      (name) => name === historyName || isEventFile(name),
    );
    for (const name of there) if (known[name] === undefined) await remove(path.join(folder, name));
    const earlier = there.filter((name) => known[name] !== undefined);
    const written = record.wandb && !earlier.includes(historyName) ? [historyName] : [];
    const kept = await Promise.all([metricsName, ...earlier, ...written].map(open));
    const history = kept.find(({opened}) => record.wandb && opened.name === historyName);
    return new StepFiles(
      kept,
      history && (await WandbHistory.open(history.opened, now() / 1000)),
      record.tensorboard ? new EventFile(folder, earlier) : undefined,
      now,
    );
  }

  async append(metrics: StepMetrics): Promise<void> {
    const wallTime = this.now() / 1000;
    await this.metrics.append(jsonLine(metrics));
    await this.events?.append(metrics, wallTime);
    await this.history?.append(metrics, wallTime);
  }

  /** Length of each file. */
  get bytes(): Record<string, number> {
    return Object.fromEntries(this.files.map((file) => [file.name, file.bytes]));
  }

  get isEmpty(): boolean {
    return this.metrics.bytes === 0;
  }

  async sync(): Promise<void> {
    for (const file of this.files) await file.sync();
  }

  async close(): Promise<void> {
    for (const file of this.files) await file.close();
  }

  /** Of a run that measured nothing. */
  async remove(): Promise<void> {
    for (const {file} of this.files) await remove(file);
  }

  private get files(): readonly AppendedFile[] {
    return [...this.kept, ...(this.events?.files ?? [])];
  }
}

function remove(file: string): Promise<void> {
  return withIo('removing', file, () => rm(file, {force: true}));
}
