import {IlrError} from '../errors.js';
import {loadAddon, resolveDevice} from './addon.js';
import type {Addon, AddonRuntime} from './addon-types.js';
import {optionsOf, reading, runCall} from './call.js';

export interface NativeRuntimeOptions {
  /** `cpu`, `cuda`, `cuda:N`, or `auto`: a GPU where there is one that works. Default `cpu`. */
  readonly device?: string;
  /** Compute threads of a CPU runtime; all cores when left out. */
  readonly threads?: number;
  /** Bytes of CPU memory that its tensors may take together; beyond it a call rejects with `ILR_OUT_OF_MEMORY`. Left out or 0: what the machine (or its container) has. */
  readonly memoryLimitBytes?: number;
}

/** One device, its memory and one worker thread. It serves several policies, one call at a time in the order they were made. */
export class NativeRuntime {
  private disposal: Promise<void> | undefined;

  private constructor(readonly native: AddonRuntime) {}

  /** @throws IlrError `ILR_NOT_SET_UP` without addon or LibTorch, `ILR_UNSUPPORTED` without the device. */
  static async open(options?: NativeRuntimeOptions): Promise<NativeRuntime> {
    const {device = 'cpu', ...rest} = reading(() => ({...optionsOf(options)}));
    if (device !== 'auto') return openDevice(device, rest);
    try {
      return await openDevice(resolveDevice('auto'), rest);
    } catch (error) {
      // A GPU that is there need not work.
      if (IlrError.is(error) && error.code === 'ILR_UNSUPPORTED') return openDevice('cpu', rest);
      throw error;
    }
  }

  /** @internal */
  static of(native: AddonRuntime): NativeRuntime {
    return new NativeRuntime(native);
  }

  get device(): string {
    return this.native.device;
  }

  get threads(): number {
    return this.native.threads;
  }

  /** Bytes that the tensors of its policies hold now. */
  memoryBytes(): number {
    return this.native.memoryBytes();
  }

  /** Waits for the calls made before, then frees the policies and the thread. */
  async dispose(): Promise<void> {
    await reading(() => {
      this.disposal ??= this.native.dispose();
      return this.disposal;
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

async function openDevice(device: string, rest: Omit<NativeRuntimeOptions, 'device'>): Promise<NativeRuntime> {
  const addon = loadAddon({device}) as Addon;
  return NativeRuntime.of(await runCall(() => addon.openRuntime({...rest, device})));
}
