import {IlrError} from './errors.js';

const advice: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free some space',
  EDQUOT: 'the disk quota is used up: free some space',
  EROFS: 'the file system is read-only: choose another output folder',
  EACCES: 'permission denied: choose a folder that you may write to',
  EPERM: 'permission denied: choose a folder that you may write to',
  EFBIG: 'the file would be larger than is allowed: raise the limit',
};

/** Runs file work; whatever the system refuses becomes an IlrError that names the path. */
export async function withIo<T>(doing: string, file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (IlrError.is(error)) throw error;
    const {code, message} = error as NodeJS.ErrnoException;
    throw new IlrError('ILR_IO', `${doing} ${file}: ${(code && advice[code]) ?? message}${code ? ` (${code})` : ''}`, {
      cause: error,
    });
  }
}
