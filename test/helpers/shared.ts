import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

/** From dist/test/helpers to the folder beside the repository. */
const folder = fileURLToPath(new URL('../../../../shared', import.meta.url));

/** A file of ../shared (real tokenizers, data sets and configs), or undefined where the repository stands alone. */
export function sharedPath(...parts: readonly string[]): string | undefined {
  const path = join(folder, ...parts);
  return existsSync(path) ? path : undefined;
}
