import {createHash} from 'node:crypto';
import {createReadStream} from 'node:fs';
import {open, readdir, rename, rm} from 'node:fs/promises';
import path from 'node:path';
import {withIo} from '../io.js';

export {withIo};

/** What a file must be to count as the one that was written. */
export interface FileStamp {
  readonly bytes: number;
  readonly sha256: string;
}

/** Writes a file and waits until the disk has it. */
export async function writeSynced(file: string, content: string | Uint8Array): Promise<void> {
  await withIo('writing', file, async () => {
    await using handle = await open(file, 'w');
    await handle.writeFile(content);
    await handle.sync();
  });
}

/** Makes an existing file, or the names in a folder, durable. */
export async function sync(file: string): Promise<void> {
  await withIo('syncing', file, async () => {
    await using handle = await open(file, 'r');
    await handle.sync();
  });
}

export async function stampOf(file: string): Promise<FileStamp> {
  return withIo('reading', file, async () => {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of createReadStream(file, {highWaterMark: 1 << 20}) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    return {bytes, sha256: hash.digest('hex')};
  });
}

/** Paths of all files under a folder, relative to it, sorted. */
export async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, {withFileTypes: true, recursive: true});
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
}

const temporaryPrefix = '.tmp-';

/** A name beside `target` that `removeTemporary` knows as a leftover. */
export function temporaryName(target: string): string {
  return path.join(path.dirname(target), `${temporaryPrefix}${path.basename(target)}-${process.pid}`);
}

/** Removes what a killed process left half written. */
export async function removeTemporary(parent: string): Promise<void> {
  await withIo('cleaning', parent, async () => {
    const names = await readdir(parent).catch(() => []);
    for (const name of names)
      if (name.startsWith(temporaryPrefix)) await rm(path.join(parent, name), {recursive: true, force: true});
  });
}

/** Takes a folder away at once, so that no reader sees half of it, then frees its space. */
export async function removeFolder(folder: string): Promise<void> {
  const away = `${temporaryName(folder)}-old`;
  try {
    await rename(folder, away);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  await rm(away, {recursive: true, force: true});
}

/**
Puts a finished folder in the place of `target`: every file and folder of it is synced, then it is renamed, so that
`target` is either the old one, absent for a moment, or the whole new one.
*/
export async function publishFolder(temporary: string, target: string): Promise<void> {
  await withIo('writing', target, async () => {
    const entries = await readdir(temporary, {withFileTypes: true, recursive: true});
    for (const entry of entries) await sync(path.join(entry.parentPath, entry.name));
    await sync(temporary);
    await removeFolder(target);
    await rename(temporary, target);
    await sync(path.dirname(target));
  });
}
