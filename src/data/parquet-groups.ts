import {open} from 'node:fs/promises';
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from 'hyparquet';
import {compressors} from 'hyparquet-compressors';
import {IlrError, messageOf} from '../errors.js';
import {unreadable} from './bytes.js';
import type {Values} from './row.js';

/** Far above any data set of questions; what claims more is an attack or a mistake. */
const maxRows = 10_000_000;
const maxGroupBytes = 2 ** 30;
const maxPageBytes = 2 ** 28;

/** The rows of a Parquet file, one row group after the other. Whole numbers of 64 bits come as numbers where they are exact, else as text. */
export async function* readGroups(file: string): AsyncGenerator<Values[]> {
  const handle = await open(file).catch((cause: unknown) => {
    throw unreadable(file, cause);
  });
  try {
    const {size} = await handle.stat();
    const buffer: AsyncBuffer = {
      byteLength: size,
      slice: async (start, end = size) => {
        const bytes = new Uint8Array(Math.max(0, Math.min(end, size) - start));
        const {bytesRead} = await handle.read(bytes, 0, bytes.length, start);
        return bytes.buffer.slice(0, bytesRead);
      },
    };
    const metadata = await parsing(file, () => parquetMetadataAsync(buffer));
    checkSize(file, metadata);
    let rowStart = 0;
    for (const group of metadata.row_groups) {
      const rowEnd = rowStart + Number(group.num_rows);
      const rows = await parsing(file, () =>
        parquetReadObjects({file: buffer, metadata, rowStart, rowEnd, compressors: boundedCompressors}),
      );
      yield rows.map((values) => plain(values) as Values);
      rowStart = rowEnd;
    }
  } finally {
    await handle.close();
  }
}

async function parsing<T>(file: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const {code} = cause as NodeJS.ErrnoException;
    if (code?.startsWith('E') && !code.startsWith('ERR_')) throw unreadable(file, cause);
    throw new IlrError('ILR_INVALID_DATA', `${file}: expected Parquet, got: ${messageOf(cause)}`, {cause});
  }
}

function checkSize(file: string, {row_groups: groups}: FileMetaData): void {
  const refuse = (expected: string, got: number | bigint) => {
    throw new IlrError('ILR_INVALID_DATA', `${file}: expected ${expected}, got ${got}`);
  };
  let rows = 0;
  for (const group of groups) {
    rows += Number(group.num_rows);
    if (!(group.num_rows >= 0 && rows <= maxRows)) refuse(`at most ${maxRows} rows`, rows);
    let bytes = 0;
    for (const {meta_data: column} of group.columns) {
      bytes += Number(column?.total_uncompressed_size ?? 0);
      if (Number(column?.num_values ?? 0) > 10 * maxRows)
        refuse(`at most ${10 * maxRows} values`, Number(column?.num_values));
    }
    if (!(bytes >= 0 && bytes <= maxGroupBytes)) refuse(`row groups of at most ${maxGroupBytes} bytes`, bytes);
  }
}

/** A page says itself how large it unpacks. The reader of LZ4 refuses the block of an empty page. */
const boundedCompressors: Compressors = Object.fromEntries(
  Object.entries(compressors as Compressors).map(([codec, unpack]) => [
    codec,
    (input: Uint8Array, length: number) => {
      if (length === 0) return new Uint8Array();
      if (!(length > 0 && length <= maxPageBytes))
        throw new Error(`a page of ${length} bytes, where at most ${maxPageBytes} are expected`);
      return unpack(input, length);
    },
  ]),
);

/** As JSON would have it. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value))
    return value instanceof Uint8Array ? value : Array.from(value as unknown as ArrayLike<unknown>, plain);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}
