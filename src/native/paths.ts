import {createHash} from 'node:crypto';
import {accessSync, constants, existsSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {cacheFolder, type Env} from '../cache.js';

export {cacheFolder, type Env};

export const stateFileName = 'ilr-native-state.json';

/** The folder of this package: the one above that holds its package.json. */
export function packageRoot(from: string = fileURLToPath(import.meta.url)): string {
  for (let folder = path.dirname(from); ; folder = path.dirname(folder)) {
    const file = path.join(folder, 'package.json');
    if (existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).name === 'ilr-native') return folder;
    if (folder === path.dirname(folder)) throw new Error(`No package.json of ilr-native above ${from}.`);
  }
}

export function packageVersion(root: string): string {
  return JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).version;
}

/** Where the addon of the package in `root` is built: inside the package, or in the cache where that cannot be written. */
export function buildFolder(root: string, env: Env): string {
  const inside = path.join(root, 'native', 'build');
  if (existsSync(path.join(inside, stateFileName)) || isWritable(path.join(root, 'native'))) return inside;
  const key = createHash('sha256').update(root).digest('hex').slice(0, 16);
  return path.join(cacheFolder(env), 'builds', key);
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
