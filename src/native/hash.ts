import {createHash} from 'node:crypto';
import {createReadStream, readdirSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {pipeline} from 'node:stream/promises';

export function hashFile(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** For files too large to be held in memory. */
export async function hashLargeFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, {highWaterMark: 1 << 20}), hash);
  return hash.digest('hex');
}

/** One hash over all that the addon of the package in `root` is compiled from. */
export function hashSources(root: string): string {
  const hash = createHash('sha256');
  const folders = ['native/core', 'native/addon', 'native/loader', 'native/cuda'];
  const files = folders.flatMap((folder) =>
    readdirSync(path.join(root, folder))
      .filter((name) => /\.(c|cpp|h|cu|cmake)$/.test(name))
      .sort()
      .map((name) => `${folder}/${name}`),
  );
  for (const file of ['CMakeLists.txt', ...files]) {
    hash.update(`${file}\0`).update(readFileSync(path.join(root, file)));
  }
  return hash.digest('hex');
}
