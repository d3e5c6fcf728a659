import {mkdir, open, readFile, rm} from 'node:fs/promises';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {IlrError} from '../errors.js';

/**
Runs `work` while no other process of this machine does under the same lock file. A lock left by a dead process is taken over.

@throws IlrError `ILR_ABORTED` when `signal` fires while it waits; what `work` throws.
*/
export async function withLock<T>(
  file: string,
  onWait: (pid: number) => void,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  await mkdir(path.dirname(file), {recursive: true});
  let waitsFor = 0;
  while (!(await takeLock(file))) {
    const pid = await owner(file);
    if (pid === undefined) {
      await rm(file, {force: true});
      continue;
    }
    if (pid !== waitsFor) onWait(pid);
    waitsFor = pid;
    await sleep(300, undefined, {signal}).catch((cause) => {
      throw new IlrError('ILR_ABORTED', 'stopped while another process had the lock', {cause});
    });
  }
  try {
    return await work();
  } finally {
    await rm(file, {force: true});
  }
}

async function takeLock(file: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx');
    await handle.writeFile(String(process.pid));
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** The living process that holds the lock, or undefined. */
async function owner(file: string): Promise<number | undefined> {
  // The file is empty for a moment between its creation and its pid: look twice.
  for (let attempt = 0; attempt < 2; attempt++) {
    const pid = Number(await readFile(file, 'utf8').catch(() => ''));
    if (pid > 0) return isAlive(pid) ? pid : undefined;
    await sleep(200);
  }
  return undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
