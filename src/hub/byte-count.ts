import type {HubFile} from './listing.js';
import type {PullOptions} from './options.js';

export function sum(files: readonly HubFile[]): number {
  return files.reduce((total, {bytes}) => total + bytes, 0);
}

/** Counts bytes of all files together. */
export class ByteCount {
  received = 0;
  private phase: 'check' | 'download' = 'check';
  private done = 0;
  private readonly total: number;
  private readonly onEvent: PullOptions['onEvent'];

  constructor(files: readonly HubFile[], onEvent: PullOptions['onEvent']) {
    this.total = sum(files);
    this.onEvent = onEvent;
  }

  start(phase: 'check' | 'download', done: number): void {
    this.phase = phase;
    this.done = done;
  }

  add(bytes: number, isNew: boolean): void {
    this.done += bytes;
    if (isNew) this.received += bytes;
    const {phase, done, total, received} = this;
    this.onEvent?.({type: 'progress', phase, done, total, received});
  }

  file({path, bytes}: HubFile, state: 'kept' | 'downloaded'): void {
    this.onEvent?.({type: 'file', path, bytes, state});
  }
}
