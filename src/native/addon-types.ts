import type {
  Completion,
  GenerateCounters,
  GenerateRequest,
  NewAdapterOptions,
  PolicyInfo,
  SaveOptions,
  ScoreRequest,
  ScoreResult,
  TokenBytes,
  TrainingBatch,
  UpdateOptions,
  UpdateResult,
} from '../policy.js';

/** What `ilr.node` exports (`native/addon/`). It throws and rejects with an Error whose `code` is an IlrErrorCode. */
export interface Addon {
  /** Of the package that it was compiled from. */
  readonly version: string;
  /** One small computation: `sum` is 45. */
  selfTest(): {readonly torch: string; readonly threads: number; readonly sum: number};
  /** Throws what LibTorch says to two shapes that do not add up: `ILR_TORCH`, one line, all of it on `cause`. */
  selfTestError(): void;
  /** 0 where `torch_cuda` was not loaded before, or there is no driver. */
  cudaDevices(): number;
  openRuntime(options: {
    readonly device: string;
    readonly threads?: number;
    readonly memoryLimitBytes?: number;
  }): AddonCall<AddonRuntime>;
}

/** A call in flight. */
export interface AddonCall<T> {
  readonly promise: Promise<T>;
  /** Rejects with `ILR_ABORTED`: at once where the call waits for its turn, else at the work's next look (native/core/abort.h). */
  abort(): void;
}

/** `seed` as a bigint. */
export type AddonAdapterOptions = Omit<NewAdapterOptions, 'seed'> & {readonly folder?: string; readonly seed?: bigint};

export interface AddonPolicyOptions {
  readonly dtype?: string;
  readonly trainable?: boolean;
  readonly optimizerKind?: string;
  readonly moments?: string;
  readonly adapter?: AddonAdapterOptions;
}

export interface AddonLoadOptions extends AddonPolicyOptions {
  readonly optimizer?: boolean;
}

export interface AddonRuntime {
  readonly device: string;
  readonly threads: number;
  /** Bytes that its tensors hold now. */
  memoryBytes(): number;
  loadPolicy(folder: string, options?: AddonLoadOptions): AddonCall<AddonPolicy>;
  createPolicy(configJson: string, seed: bigint, options?: AddonPolicyOptions): AddonCall<AddonPolicy>;
  /** Waits for the calls before it, then frees the runtime and its policies. */
  dispose(): Promise<void>;
}

/** Callbacks must not throw. */
export interface AddonGenerateCallbacks {
  readonly onCompletion: (completion: Completion) => void;
  /** `pairs`: index and id of each token, in the order they came. */
  readonly onTokens?: (pairs: Int32Array) => void;
}

export interface AddonPolicy {
  /** As of the last settled call. */
  info(): PolicyInfo;
  setTokenBytes(table: TokenBytes): AddonCall<void>;
  generate(
    request: Omit<GenerateRequest, 'signal' | 'onToken'>,
    callbacks: AddonGenerateCallbacks,
  ): AddonCall<GenerateCounters>;
  logprobs(request: Omit<ScoreRequest, 'signal'>): AddonCall<ScoreResult>;
  /** `onProgress` must not throw. */
  update(batch: TrainingBatch, options: Omit<UpdateOptions, 'signal'>): AddonCall<UpdateResult>;
  copyFrom(other: AddonPolicy, mix: number): AddonCall<void>;
  /** Another policy over these weights; a copy of them where one of the two trains them. */
  share(options?: Omit<AddonLoadOptions, 'dtype'>): AddonCall<AddonPolicy>;
  save(folder: string, options?: Omit<SaveOptions, 'signal'>): AddonCall<void>;
  dispose(): Promise<void>;
}
