import {type FileHandle, open, stat, truncate} from 'node:fs/promises';
import path from 'node:path';
import {withIo} from './files.js';

/** A file that is only ever appended to, in pieces that are whole. */
export class AppendedFile {
  readonly file: string;
  private readonly handle: FileHandle;
  private length: number;

  private constructor(file: string, handle: FileHandle, length: number) {
    this.file = file;
    this.handle = handle;
    this.length = length;
  }

  /**
  @param keep - bytes to keep of what is there: those that a checkpoint knew of. Later pieces, and one that a killed
  process left half written, are cut, so that the resumed run writes them again.
  @returns the file, ready for the next piece, and how many of those bytes are missing.
  */
  static async open(file: string, keep: number): Promise<{opened: AppendedFile; missing: number}> {
    return withIo('opening', file, async () => {
      const handle = await open(file, 'a');
      const {size} = await stat(file);
      const length = Math.min(size, keep);
      if (size > length) await truncate(file, length);
      return {opened: new AppendedFile(file, handle, length), missing: keep - length};
    });
  }

  /** Length in bytes, all pieces whole. */
  get bytes(): number {
    return this.length;
  }

  async append(bytes: Uint8Array): Promise<void> {
    await withIo('writing', this.file, () => this.handle.appendFile(bytes));
    this.length += bytes.length;
  }

  async sync(): Promise<void> {
    await withIo('syncing', this.file, () => this.handle.sync());
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  /** The name by which a checkpoint remembers this file's length. */
  get name(): string {
    return path.basename(this.file);
  }
}

/** One line of JSON lines. */
export function jsonLine(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}
