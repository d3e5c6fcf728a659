import {cpus} from 'node:os';
import {buildFolder, packageRoot, packageVersion} from '../native/paths.js';
import {readState} from '../native/state.js';

/** What the last bits of a run depend on beside its config: of these a checkpoint's must not differ for it to go on exactly. */
export function versions(): Record<string, string> {
  const root = packageRoot();
  const libtorch = readState(buildFolder(root, process.env))?.libtorch;
  return {
    'ilr-native': packageVersion(root),
    'Node.js': process.version,
    LibTorch: libtorch ? `${libtorch.version} (${libtorch.variant})` : 'unknown',
    CPU: cpus()[0]?.model ?? 'unknown',
  };
}
