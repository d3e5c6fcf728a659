import path from 'node:path';
import type {StepMetrics} from '../types.js';
import {AppendedFile} from './appended-file.js';
import {scalarsEvent, startEvent, versionEvent} from './event-bytes.js';

/** Readers take the files of a folder in the order of their names, and know them by `tfevents`. */
const nameForm = /^events\.out\.tfevents\.(\d{10})\.ilr$/;

export function isEventFile(name: string): boolean {
  return nameForm.test(name);
}

/**
The event file of one session of a run, for TensorBoard. Each resumption begins another, for a reader that has read a file does not
notice when it is cut; its first events take back what such a reader holds of later steps.
*/
export class EventFile {
  private readonly file: string;
  private opened: AppendedFile | undefined;

  /** @param earlier - names of what is in the folder. The file is made with the first step. */
  constructor(folder: string, earlier: readonly string[]) {
    const places = earlier.map((name) => Number(nameForm.exec(name)?.[1] ?? -1));
    const place = String(Math.max(-1, ...places) + 1);
    this.file = path.join(folder, `events.out.tfevents.${place.padStart(10, '0')}.ilr`);
  }

  /** @param wallTime - seconds since 1970. */
  async append({step, ...scalars}: StepMetrics, wallTime: number): Promise<void> {
    const header = {wallTime, step};
    const event = scalarsEvent(header, scalars);
    if (this.opened !== undefined) return this.opened.append(event);
    this.opened = (await AppendedFile.open(this.file, 0)).opened;
    await this.opened.append(Buffer.concat([versionEvent(header), startEvent(header), event]));
  }

  /** None before the first step. */
  get files(): readonly AppendedFile[] {
    return this.opened === undefined ? [] : [this.opened];
  }
}
