import {existsSync} from 'node:fs';
import {IlrError} from '../errors.js';
import {openAddon} from './open-addon.js';
import {buildFolder, type Env, packageRoot} from './paths.js';
import {assertPlatform} from './platform.js';
import {findMismatch, readState, type SetupState, setupCommand} from './state.js';

export interface LoadAddonOptions {
  /** cpu, cuda, cuda:N or auto. A GPU must be asked for by the process's first call. */
  readonly device?: string;
  readonly root?: string;
  readonly env?: Env;
}

const loaded = new Map<string, unknown>();

/**
The native addon that `setup` built, checked and opened; later calls return the same one.
@throws IlrError `ILR_NOT_SET_UP` when it is missing, of another version, or not the file that was proved: the message names the command.
*/
export function loadAddon(options: LoadAddonOptions = {}): unknown {
  const {root = packageRoot(), env = process.env} = options;
  const device = resolveDevice(options.device ?? 'cpu', {root, env});
  const cuda = device.startsWith('cuda');
  const key = `${root}\0${cuda}`;
  if (!loaded.has(key)) loaded.set(key, openAddon(filesOf(requireState(root, env)), cuda));
  return loaded.get(key);
}

/** `auto` is `cuda` where an NVIDIA GPU and a LibTorch with CUDA are there, else `cpu`; anything else is checked and kept. */
export function resolveDevice(
  device: string,
  {root = packageRoot(), env = process.env}: LoadAddonOptions = {},
): string {
  if (device === 'auto') return hasNvidiaDevice() && requireState(root, env).libtorch.hasCuda ? 'cuda' : 'cpu';
  if (typeof device !== 'string') {
    throw new IlrError('ILR_INVALID_ARGUMENT', `device: expected a string, got ${typeof device}.`);
  }
  if (device === 'cpu' || /^cuda(:\d{1,3})?$/.test(device)) return device;
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `device must be cpu, cuda, cuda:N or auto, but is ${JSON.stringify(device)}.`,
  );
}

/** The record of a set-up whose addon may be loaded. */
function requireState(root: string, env: Env): SetupState {
  assertPlatform();
  const state = readState(buildFolder(root, env));
  if (state === undefined) {
    throw new IlrError('ILR_NOT_SET_UP', `The native addon of ilr-native is not built yet. Run \`${setupCommand}\`.`);
  }
  const mismatch = findMismatch(state, root);
  if (mismatch !== undefined) {
    throw new IlrError('ILR_NOT_SET_UP', `The native addon cannot be used: ${mismatch}. Run \`${setupCommand}\`.`);
  }
  return state;
}

export function filesOf(state: SetupState) {
  return {
    file: state.addon.file,
    loader: state.addon.loader,
    libtorch: state.libtorch.folder,
    kernels: state.addon.kernels?.file,
  };
}

export function hasNvidiaDevice(): boolean {
  return ['/dev/nvidia0', '/dev/nvidiactl', '/dev/dxg'].some((device) => existsSync(device));
}
