import {createRequire} from 'node:module';
import path from 'node:path';
import {IlrError, type IlrErrorCode} from '../errors.js';
import type {AddonFiles} from './prove-addon.js';

interface Loader {
  open(folder: string, cuda: boolean, kernels: string): void;
}

const require = createRequire(import.meta.url);

/** Opens LibTorch, then the addon that is linked to it. Which LibTorch, and whether with its GPU half, is settled once for the process. */
export function openAddon({file, loader, libtorch, kernels = ''}: AddonFiles, cuda: boolean): unknown {
  // Idle OpenMP threads spin for milliseconds by default; where other programs want the cores too, each small operation
  // then waits for them. Read once, when LibTorch's OpenMP starts.
  process.env.GOMP_SPINCOUNT ??= '1000';
  try {
    (require(loader) as Loader).open(path.join(libtorch, 'lib'), cuda, kernels);
    return require(file);
  } catch (cause) {
    const {code, message} = cause as Error & {code?: string};
    const known = code?.startsWith('ILR_') ? (code as IlrErrorCode) : 'ILR_NOT_SET_UP';
    const next = known === 'ILR_INVALID_ARGUMENT' ? '' : ` ${nextStep(known)}`;
    throw new IlrError(known, `${message.replace(/\.?$/, '.')}${next}`, {cause});
  }
}

function nextStep(code: IlrErrorCode): string {
  if (code === 'ILR_UNSUPPORTED') {
    return 'Set ilr-native up with a LibTorch that has CUDA: `npx ilr-native setup --device cuda` gets one, --libtorch <folder> names one; or use --device cpu.';
  }
  return 'Run `npx ilr-native setup --force`.';
}
