import {loadAddon} from './addon.js';
import type {Addon, AddonRuntime} from './addon-types.js';
import {runCall, toIlrError} from './call.js';

export interface NativeRuntimeOptions {
  /** `cpu`, `cuda`, `cuda:N`, or `auto`: a GPU where there is one that works. Default `cpu`. */
  readonly device?: string;
  /** Compute threads of a CPU runtime; all cores when left out. */
  readonly threads?: number;
}

/** One device, its memory and one worker thread. It serves several policies, one call at a time in the order they were made. */
export class NativeRuntime {
  private disposal: Promise<void> | undefined;

  private constructor(readonly native: AddonRuntime) {}

  /** @throws IlrError `ILR_NOT_SET_UP` without addon or LibTorch, `ILR_UNSUPPORTED` without the device. */
  static async open({device = 'cpu', threads}: NativeRuntimeOptions = {}): Promise<NativeRuntime> {
    const addon = await loadAddon({device});
    const open = (name: string) => runCall(() => addon.openRuntime({device: name, threads}));
    return new NativeRuntime(await (device === 'auto' ? openAny(addon, open) : open(device)));
  }

  get device(): string {
    return this.native.device;
  }

  get threads(): number {
    return this.native.threads;
  }

  /** Waits for the calls made before, then frees the policies and the thread. */
  dispose(): Promise<void> {
    this.disposal ??= this.native.dispose();
    return this.disposal;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

async function openAny(addon: Addon, open: (device: string) => Promise<AddonRuntime>): Promise<AddonRuntime> {
  if (addon.cudaDevices() === 0) return open('cpu');
  try {
    return await open('cuda');
  } catch (error) {
    if (toIlrError(error).code === 'ILR_UNSUPPORTED') return open('cpu');
    throw error;
  }
}
