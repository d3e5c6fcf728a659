import {homedir} from 'node:os';
import path from 'node:path';

export type Env = Readonly<Record<string, string | undefined>>;

/** Where LibTorch, tools and data sets go: $ILR_CACHE, else $XDG_CACHE_HOME/ilr-native, else ~/.cache/ilr-native. */
export function cacheFolder(env: Env): string {
  if (env.ILR_CACHE) return path.resolve(env.ILR_CACHE);
  return path.join(env.XDG_CACHE_HOME || path.join(env.HOME || homedir(), '.cache'), 'ilr-native');
}

/** Where `pull` puts data sets, each in a folder of its own name. */
export function datasetsFolder(env: Env): string {
  return path.join(cacheFolder(env), 'datasets');
}
