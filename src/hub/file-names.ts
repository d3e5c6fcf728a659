import {IlrError} from '../errors.js';
import {stateFolder} from './target.js';

/**
Refuses a list of files of which one could leave the target folder, on any system.

@throws IlrError `ILR_IO` naming it.
*/
export function checkInside(paths: readonly string[]): void {
  for (const path of paths) {
    const problem = leaves(path);
    if (problem !== undefined) refuse(path, problem);
  }
}

/**
Refuses names that some file system cannot hold or would take for another one's.

@throws IlrError `ILR_IO` naming it.
*/
export function checkNames(paths: readonly string[]): void {
  const spellings = new Map<string, string>();
  const folders = new Map<string, string>();
  for (const path of paths) {
    const problem = leaves(path) ?? unfit(path);
    if (problem !== undefined) refuse(path, problem);
    const key = spelling(path);
    const same = spellings.get(key);
    if (same !== undefined)
      refuse(path, same === path ? 'stands twice' : `differs from ${JSON.stringify(same)} only in spelling`);
    spellings.set(key, path);
    for (let cut = key.lastIndexOf('/'); cut > 0; cut = key.lastIndexOf('/', cut - 1))
      folders.set(key.slice(0, cut), path);
  }
  for (const [key, path] of spellings) {
    const inside = folders.get(key);
    if (inside !== undefined) refuse(path, `is a file, and a folder in ${JSON.stringify(inside)}`);
  }
}

function refuse(path: string, problem: string): never {
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
  throw new IlrError(
    'ILR_IO',
    `the hub lists a file ${JSON.stringify(shown)}, which ${problem}: nothing was downloaded`,
  );
}

/** As a file system sees it that folds case and composes characters. */
function spelling(path: string): string {
  return path.normalize('NFKC').toLowerCase().normalize('NFKC');
}

function leaves(path: string): string | undefined {
  if (path === '') return 'has no name';
  if (path.includes('\0')) return 'holds a NUL';
  if (path.includes('\\')) return 'holds a backslash';
  if (path.startsWith('/') || /^[a-z]:/i.test(path)) return 'is absolute';
  const segments = path.split('/');
  if (segments.includes('..')) return 'leaves the target folder';
  if (segments.includes('.') || segments.includes('')) return 'has an empty part';
  return undefined;
}

const windowsDevices = /^(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i;

function unfit(path: string): string | undefined {
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(path)) return 'holds a character that is not shown';
  if (/[<>:"|?*]/.test(path)) return 'holds one of < > : " | ? *';
  if (Buffer.byteLength(path) > 1024) return 'is longer than 1024 bytes';
  const segments = path.split('/');
  if (segments.some((segment) => Buffer.byteLength(segment) > 200)) return 'has a part longer than 200 bytes';
  if (segments.some((segment) => /[. ]$/.test(segment) || segment.startsWith(' ')))
    return 'has a part that begins with a space, or ends with one or a dot';
  if (segments.some((segment) => windowsDevices.test(segment))) return 'is the name of a device on Windows';
  if ([stateFolder, '.git'].includes(spelling(segments[0] ?? ''))) return 'lies in a folder that is kept free';
  return undefined;
}
