import {createReadStream} from 'node:fs';
import {createGunzip} from 'node:zlib';
import {IlrError} from '../errors.js';

/** No data set of questions is as large; what unpacks to more is an attack or a mistake. */
const maxUnpackedBytes = 4 * 2 ** 30;

export function isPacked(file: string): boolean {
  return /\.gz$/i.test(file);
}

/**
The bytes of a file, unpacked where its name ends with `.gz`.

@throws IlrError `ILR_IO` when it cannot be read; `ILR_INVALID_DATA` when it is not gzip, or unpacks to more than 4 GiB.
*/
export async function* readBytes(file: string): AsyncGenerator<Buffer> {
  const source = createReadStream(file);
  let cause: Error | undefined;
  source.on('error', (error) => {
    cause = error;
  });
  const stream = isPacked(file) ? source.compose(createGunzip()) : source;
  let length = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (isPacked(file) && length > maxUnpackedBytes)
        throw new IlrError(
          'ILR_INVALID_DATA',
          `${file}: expected at most ${maxUnpackedBytes} bytes unpacked, got more`,
        );
      yield chunk;
    }
  } catch (error) {
    if (IlrError.is(error)) throw error;
    if (cause === undefined && isPacked(file))
      throw new IlrError('ILR_INVALID_DATA', `${file}: expected gzip, got: ${(error as Error).message}`, {
        cause: error,
      });
    throw unreadable(file, cause ?? error);
  } finally {
    source.destroy();
  }
}

export function unreadable(file: string, cause: unknown): IlrError {
  return new IlrError('ILR_IO', `${file}: could not be read: ${(cause as Error).message}`, {cause});
}
