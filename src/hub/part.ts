import type {Hash} from 'node:crypto';
import {constants} from 'node:fs';
import {type FileHandle, open, rm} from 'node:fs/promises';
import {withIo} from '../io.js';
import {feedFile, isRight, type Known, startDigest} from './digest.js';

/** Bytes that came, or, below 0, that were thrown away; `isNew` of those that the network brought. */
export type OnBytes = (bytes: number, isNew: boolean) => void;

/** A file that grows: its bytes are hashed as they come, those of an earlier download when it is opened. */
export class Part {
  readonly file: string;
  private readonly handle: FileHandle;
  private readonly known: Known;
  private readonly onBytes: OnBytes;
  private digest: Hash;
  private count = 0;

  private constructor(file: string, handle: FileHandle, known: Known, onBytes: OnBytes) {
    this.file = file;
    this.handle = handle;
    this.known = known;
    this.onBytes = onBytes;
    this.digest = startDigest(known);
  }

  static async open(file: string, known: Known, onBytes: OnBytes, signal?: AbortSignal): Promise<Part> {
    return withIo('opening', file, async () => {
      const handle = await open(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW);
      const part = new Part(file, handle, known, onBytes);
      try {
        const {size} = await handle.stat();
        if (size > known.bytes) await part.restart();
        else part.count = await feedFile(part.digest, file, (bytes) => onBytes(bytes, false), signal);
        return part;
      } catch (error) {
        await handle.close();
        throw error;
      }
    });
  }

  get bytes(): number {
    return this.count;
  }

  get isWhole(): boolean {
    return this.count === this.known.bytes;
  }

  get isRight(): boolean {
    return this.isWhole && isRight(this.digest, this.known);
  }

  async append(chunk: Buffer): Promise<void> {
    await withIo('writing', this.file, async () => {
      for (let written = 0; written < chunk.length; ) {
        const {bytesWritten} = await this.handle.write(chunk, written, chunk.length - written, this.count + written);
        written += bytesWritten;
      }
    });
    this.digest.update(chunk);
    this.count += chunk.length;
    this.onBytes(chunk.length, true);
  }

  /** From the first byte. */
  async restart(): Promise<void> {
    await withIo('writing', this.file, () => this.handle.truncate(0));
    this.onBytes(-this.count, false);
    this.digest = startDigest(this.known);
    this.count = 0;
  }

  /** Waits until the disk has it. */
  async sync(): Promise<void> {
    await withIo('writing', this.file, () => this.handle.sync());
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  async remove(): Promise<void> {
    await rm(this.file, {force: true});
  }
}

/** Writes a small file and waits until the disk has it. */
export async function syncFile(file: string, content: string): Promise<void> {
  await withIo('writing', file, async () => {
    await using handle = await open(file, 'w');
    await handle.writeFile(content);
    await handle.sync();
  });
}
