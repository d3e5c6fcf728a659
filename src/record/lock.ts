import {readFile, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {IlrError} from '../errors.js';
import {withIo} from './files.js';

/** Keeps a second process out of an output folder. A killed process holds nothing: its number and start time are no more. */
export class Lock {
  private readonly file: string;

  private constructor(file: string) {
    this.file = file;
  }

  /** @throws IlrError `ILR_INVALID_ARGUMENT` when a living process holds it; `doing` says what such a process does. */
  static async take(folder: string, doing = 'training'): Promise<Lock> {
    const file = path.join(folder, 'run.lock');
    const holder = await readFile(file, 'utf8').catch(() => '');
    const pid = Number.parseInt(holder, 10);
    if (pid !== process.pid && holder !== '' && holder === (await identityOf(pid)))
      throw new IlrError(
        'ILR_INVALID_ARGUMENT',
        `process ${pid} is ${doing} in ${folder}: wait for it or stop it, or give another output folder`,
      );
    await withIo('writing', file, async () => writeFile(file, await identityOf(process.pid)));
    return new Lock(file);
  }

  async release(): Promise<void> {
    await rm(this.file, {force: true});
  }
}

/** A process's number and the time it started at, in clock ticks since boot: numbers are used again, the pair is not. */
async function identityOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field, the command in brackets, may hold spaces.
  const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return `${pid} ${startTime ?? 'ended'}`;
}
