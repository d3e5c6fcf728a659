import {createHash} from 'node:crypto';
import {lstat, mkdir, readdir, readFile, realpath, rename, rm, statfs} from 'node:fs/promises';
import path from 'node:path';
import {z} from 'zod';
import {IlrError} from '../errors.js';
import {withIo} from '../io.js';
import {feedFile, isRight, type Known, startDigest} from './digest.js';
import type {HubFile} from './listing.js';
import {syncFile} from './part.js';

/** In the target folder: what is not whole yet, and the record of what was pulled. */
export const stateFolder = '.ilr-pull';

const recordSchema = z.object({
  format: z.literal(1),
  kind: z.enum(['model', 'dataset']),
  id: z.string(),
  endpoint: z.string(),
  revision: z.string(),
  commit: z.string(),
  files: z.array(
    z.object({
      path: z.string(),
      bytes: z.int().nonnegative(),
      sha256: z.string().optional(),
      gitBlob: z.string().optional(),
    }),
  ),
});

/** What a folder holds by `pull`: all of one commit. */
export type PullRecord = z.infer<typeof recordSchema>;

/** The folder that files are pulled into. Nothing but whole, checked files gets a name in it. */
export class Target {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = path.resolve(folder);
  }

  place(name: string): string {
    return path.join(this.folder, ...name.split('/'));
  }

  /** Where a file grows: named by what it will be, so that no other commit's bytes are taken for it. */
  part({path: name, sha256, gitBlob}: HubFile): string {
    const key = createHash('sha256')
      .update(`${name}\0${sha256 ?? gitBlob}`)
      .digest('hex')
      .slice(0, 40);
    return path.join(this.folder, stateFolder, `${key}.incomplete`);
  }

  async create(): Promise<void> {
    await withIo('creating', this.folder, () => mkdir(this.folder, {recursive: true}));
    await this.requireOwn([`${stateFolder}/record.json`]);
    const folder = path.join(this.folder, stateFolder);
    await withIo('creating', folder, () => mkdir(folder, {recursive: true}));
  }

  /**
  Refuses names that lead out of the folder by a symbolic link in it.

  @throws IlrError `ILR_IO` naming the link.
  */
  async requireOwn(names: readonly string[]): Promise<void> {
    const places = new Set<string>();
    for (const name of names) {
      const segments = name.split('/');
      for (let count = 1; count <= segments.length; count++) places.add(segments.slice(0, count).join('/'));
    }
    const files = new Set(names);
    for (const name of places) {
      const place = this.place(name);
      const found = await withIo('reading', place, () => lstat(place).catch(ifMissing));
      if (found === undefined) continue;
      if (found.isSymbolicLink())
        throw new IlrError(
          'ILR_IO',
          `${place} is a symbolic link, through which nothing is written: remove it, or choose another folder`,
        );
      if (files.has(name) ? !found.isFile() : !found.isDirectory())
        throw new IlrError(
          'ILR_IO',
          `${place}: expected a ${files.has(name) ? 'file' : 'folder'}, got something else: remove it, or choose another folder`,
        );
    }
  }

  /** True when the file is there and is what the hub has. */
  async holds(name: string, known: Known, onBytes: (bytes: number) => void, signal?: AbortSignal): Promise<boolean> {
    const place = this.place(name);
    return withIo('reading', place, async () => {
      const found = await lstat(place).catch(ifMissing);
      if (found?.size !== known.bytes || !found.isFile()) return false;
      const digest = startDigest(known);
      await feedFile(digest, place, onBytes, signal);
      return isRight(digest, known);
    });
  }

  async has(name: string): Promise<boolean> {
    return (await lstat(this.place(name)).catch(() => undefined)) !== undefined;
  }

  /** Of these files, the bytes that an earlier download left. */
  async partBytes(files: readonly HubFile[]): Promise<number> {
    let bytes = 0;
    for (const file of files) {
      const found = await lstat(this.part(file)).catch(() => undefined);
      if (found?.isFile() && found.size <= file.bytes) bytes += found.size;
    }
    return bytes;
  }

  /** Gives a whole file its name. */
  async publish(file: HubFile): Promise<void> {
    const place = this.place(file.path);
    await withIo('writing', place, async () => {
      await mkdir(path.dirname(place), {recursive: true});
      await rename(this.part(file), place);
    });
  }

  async remove(name: string): Promise<void> {
    const place = this.place(name);
    await withIo('removing', place, () => rm(place, {force: true}));
  }

  async readRecord(): Promise<PullRecord | undefined> {
    const file = path.join(this.folder, stateFolder, 'record.json');
    const text = await withIo('reading', file, () => readFile(file, 'utf8').catch(ifMissing));
    if (text === undefined) return undefined;
    try {
      return recordSchema.parse(JSON.parse(text));
    } catch {
      return undefined; // half written by a machine that lost power: the files are compared with the hub again
    }
  }

  async writeRecord(record: PullRecord): Promise<void> {
    const file = path.join(this.folder, stateFolder, 'record.json');
    await syncFile(`${file}.new`, `${JSON.stringify(record, undefined, 2)}\n`);
    await withIo('writing', file, () => rename(`${file}.new`, file));
  }

  /** Parts of other files than these: of a commit that is no longer pulled. */
  async removeParts(files: readonly HubFile[]): Promise<void> {
    const kept = new Set(files.map((file) => this.part(file)));
    const folder = path.join(this.folder, stateFolder);
    await withIo('cleaning', folder, async () => {
      for (const name of await readdir(folder)) {
        const place = path.join(folder, name);
        if (name.endsWith('.incomplete') && !kept.has(place)) await rm(place, {force: true});
      }
    });
  }

  /**
  @param bytes - Still to be written.
  @throws IlrError `ILR_IO` when the disk has less.
  */
  async requireSpace(bytes: number): Promise<void> {
    const {bavail, bsize} = await withIo('reading', this.folder, async () => statfs(await realpath(this.folder)));
    const free = bavail * bsize;
    if (bytes <= free) return;
    const gigabytes = (value: number) => `${(value / 1e9).toFixed(2)} GB`;
    throw new IlrError(
      'ILR_IO',
      `${this.folder}: ${gigabytes(bytes)} are still to be downloaded, the disk has ${gigabytes(free)} free: free some space, or choose another --folder`,
    );
  }
}

function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
}
