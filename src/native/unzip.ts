import {createReadStream, createWriteStream} from 'node:fs';
import {type FileHandle, mkdir, open, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {Transform} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import {crc32, createInflateRaw, inflateRawSync} from 'node:zlib';
import {IlrError} from '../errors.js';

export interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly compressedSize: number;
  readonly size: number;
  readonly crc: number;
  readonly headerOffset: number;
}

const smallBytes = 4 << 20;

/**
The files of a zip archive (a wheel), folders left out.
@throws IlrError `ILR_IO` when the archive is damaged or holds a name that would leave the folder it is unpacked to, or a link.
*/
export async function listZip(file: string): Promise<readonly ZipEntry[]> {
  const handle = await open(file);
  try {
    return readDirectory(file, await readDirectoryBytes(file, handle));
  } finally {
    await handle.close();
  }
}

/** Unpacks `entries` below `folder`, each checked against its size and checksum; `onEntry` hears the share that is done. */
export async function extractZip(
  file: string,
  entries: readonly ZipEntry[],
  folder: string,
  onEntry: (doneBytes: number, totalBytes: number) => void = () => {},
): Promise<void> {
  const total = entries.reduce((sum, entry) => sum + entry.size, 0);
  const folders = new Set(entries.map((entry) => path.dirname(path.join(folder, entry.name))));
  for (const one of folders) await mkdir(one, {recursive: true});
  const handle = await open(file);
  let done = 0;
  try {
    for (const entry of entries) {
      await extractEntry(file, handle, entry, path.join(folder, entry.name));
      done += entry.size;
      onEntry(done, total);
    }
  } finally {
    await handle.close();
  }
}

async function readDirectoryBytes(file: string, handle: FileHandle): Promise<Buffer> {
  const {size} = await handle.stat();
  const tail = await readAt(handle, Math.max(0, size - 65_557), Math.min(size, 65_557));
  const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  if (end < 0 || end + 22 > tail.length) throw damaged(file, 'it has no directory (was the download cut off?)');
  const bytes = tail.readUInt32LE(end + 12);
  const offset = tail.readUInt32LE(end + 16);
  if (offset === 0xffffffff) throw damaged(file, 'it is larger than 4 GB, which is not supported');
  if (offset + bytes > size) throw damaged(file, 'its directory points past its end');
  return readAt(handle, offset, bytes);
}

function readDirectory(file: string, bytes: Buffer): ZipEntry[] {
  const entries: ZipEntry[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + 46 > bytes.length || bytes.readUInt32LE(at) !== 0x02014b50) throw damaged(file, 'its directory is broken');
    const nameBytes = bytes.readUInt16LE(at + 28);
    const name = bytes.toString('utf8', at + 46, at + 46 + nameBytes);
    const mode = bytes.readUInt32LE(at + 38) >>> 16;
    checkName(file, name, mode);
    if (!name.endsWith('/')) {
      entries.push({
        name,
        method: bytes.readUInt16LE(at + 10),
        crc: bytes.readUInt32LE(at + 16),
        compressedSize: bytes.readUInt32LE(at + 20),
        size: bytes.readUInt32LE(at + 24),
        headerOffset: bytes.readUInt32LE(at + 42),
      });
    }
    at += 46 + nameBytes + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  }
  return entries;
}

function checkName(file: string, name: string, mode: number): void {
  const isLink = (mode & 0o170000) === 0o120000;
  const leaves = name.startsWith('/') || /[\\\0:]/.test(name) || name.split('/').includes('..');
  if (name === '' || leaves || isLink) {
    throw damaged(file, `it holds ${JSON.stringify(name)}, which ${isLink ? 'is a link' : 'would leave its folder'}`);
  }
}

async function extractEntry(file: string, handle: FileHandle, entry: ZipEntry, target: string): Promise<void> {
  const header = await readAt(handle, entry.headerOffset, 30);
  if (header.length < 30 || header.readUInt32LE(0) !== 0x04034b50)
    throw damaged(file, `${entry.name} is not where it should be`);
  const start = entry.headerOffset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  if (entry.method !== 0 && entry.method !== 8)
    throw damaged(file, `${entry.name} is packed by method ${entry.method}`);
  if (entry.size <= smallBytes && entry.compressedSize <= smallBytes) {
    const packed = await readAt(handle, start, entry.compressedSize);
    const data = entry.method === 0 ? packed : inflate(file, entry, packed);
    checkEntry(file, entry, data.length, crc32(data));
    await writeFile(target, data);
    return;
  }
  await streamEntry(file, entry, start, target);
}

function inflate(file: string, entry: ZipEntry, packed: Buffer): Buffer {
  try {
    return inflateRawSync(packed, {maxOutputLength: entry.size + 1});
  } catch (cause) {
    throw damaged(file, `${entry.name} cannot be unpacked`, cause);
  }
}

async function streamEntry(file: string, entry: ZipEntry, start: number, target: string): Promise<void> {
  let size = 0;
  let crc = 0;
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      crc = crc32(chunk, crc);
      if (size > entry.size) done(damaged(file, `${entry.name} is larger than it says`));
      else done(null, chunk);
    },
  });
  const source = createReadStream(file, {start, end: start + entry.compressedSize - 1, highWaterMark: 1 << 20});
  const steps = entry.method === 0 ? [] : [createInflateRaw({chunkSize: 1 << 20})];
  await pipeline([source, ...steps, check, createWriteStream(target)]);
  checkEntry(file, entry, size, crc);
}

function checkEntry(file: string, entry: ZipEntry, size: number, crc: number): void {
  if (size !== entry.size || crc !== entry.crc) throw damaged(file, `${entry.name} does not match its checksum`);
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  const {bytesRead} = await handle.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}

function damaged(file: string, reason: string, cause?: unknown): IlrError {
  return new IlrError(
    'ILR_IO',
    `${path.basename(file)} cannot be unpacked: ${reason}. It must be got anew: run \`npx ilr-native setup\` again.`,
    {
      cause,
    },
  );
}
