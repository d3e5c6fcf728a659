import {IlrError} from '../errors.js';
import type {
  AdapterOptions,
  GenerateRequest,
  Generation,
  NewAdapterOptions,
  Policy,
  PolicyInfo,
  SaveOptions,
  ScoreRequest,
  ScoreResult,
  TokenBytes,
  TrainingBatch,
  UpdateOptions,
  UpdateResult,
} from '../policy.js';
import type {AddonAdapterOptions, AddonCall, AddonPolicy, AddonRuntime} from './addon-types.js';
import {optionsOf, reading, runCall} from './call.js';
import {NativeGeneration} from './generation.js';
import {NativeRuntime} from './runtime.js';

export interface NativeShareOptions {
  /** Default true. False keeps no optimiser, and `update` is refused. */
  readonly trainable?: boolean;
  readonly optimizerKind?: NativePolicyOptions['optimizerKind'];
  readonly moments?: NativePolicyOptions['moments'];
  /** Trained in place of the model, which stays as it is. */
  readonly adapter?: AdapterOptions;
  /** Reads the optimizer.safetensors of `adapter.folder` too. */
  readonly optimizer?: boolean;
  readonly signal?: AbortSignal;
}

export interface NativePolicyOptions {
  /** A private CPU runtime, disposed with the policy, when left out. */
  readonly runtime?: NativeRuntime;
  /**
  Of weights and arithmetic: `float32` (default), `bfloat16` (sums, norms, softmax, log-probs and losses stay float32), or `float64`
  on the CPU, for checking. Files in float32, bfloat16 and float16 are read into it.
  */
  readonly dtype?: 'float32' | 'bfloat16' | 'float64';
  /** Default true. False keeps no optimiser, and `update` is refused. */
  readonly trainable?: boolean;
  /**
  `adamw` (default): AdamW with a float32 master of the weights. `lean`, with dtype `bfloat16`: the weights and the 16 bits that they lack,
  together the same master.
  */
  readonly optimizerKind?: 'adamw' | 'lean';
  /** AdamW's averages. Left out: `float32` for `adamw`, `bfloat16` for `lean`. `int8`: blocks of 256 (arXiv 2110.02861). */
  readonly moments?: 'float32' | 'bfloat16' | 'int8';
  /** Trained in place of the model, which stays as it is. */
  readonly adapter?: AdapterOptions;
  readonly signal?: AbortSignal;
}

export interface NativeLoadOptions extends NativePolicyOptions {
  /** Reads optimizer.safetensors (of `adapter.folder` where there is one) too, so that training goes on where it was saved. */
  readonly optimizer?: boolean;
}

export interface NativeCreateOptions extends NativePolicyOptions {
  /** Of the random weights: a whole number from 0, below 2^64. */
  readonly seed: bigint | number;
}

/** The Policy that computes: a llama, mistral, qwen2, qwen3, gemma2 or gemma3_text model in C++ and LibTorch. */
export class NativePolicy implements Policy {
  private disposal: Promise<void> | undefined;

  private constructor(
    private readonly native: AddonPolicy,
    private readonly ownRuntime: Lease | undefined,
  ) {}

  /**
  Loads a Hugging Face folder: config.json with one or several safetensors files.

  @throws IlrError `ILR_IO`, `ILR_INVALID_MODEL` or `ILR_UNSUPPORTED`.
  */
  static async load(folder: string, options?: NativeLoadOptions): Promise<NativePolicy> {
    const {runtime, signal, adapter, ...rest} = reading(() => ({...optionsOf(options)}));
    return make(runtime, signal, (native) => native.loadPolicy(folder, {...rest, adapter: toAddon(adapter)}));
  }

  /**
  Makes a model with random weights from a config.json, given as its text or as an object.

  @throws IlrError `ILR_INVALID_MODEL`, `ILR_UNSUPPORTED` or `ILR_INVALID_ARGUMENT`.
  */
  static async create(config: string | object, options: NativeCreateOptions): Promise<NativePolicy> {
    const {runtime, signal, seed, adapter, ...rest} = reading(() => ({...optionsOf(options)}));
    const json = () => (typeof config === 'string' ? config : JSON.stringify(config));
    return make(runtime, signal, (native) =>
      native.createPolicy(json(), toSeed(seed), {...rest, adapter: toAddon(adapter)}),
    );
  }

  /** @internal */
  static of(native: AddonPolicy, ownRuntime: Lease | undefined): NativePolicy {
    return new NativePolicy(native, ownRuntime);
  }

  info(): PolicyInfo {
    return reading(() => this.native.info());
  }

  setTokenBytes(table: TokenBytes): Promise<void> {
    return runCall(() => this.native.setTokenBytes(table));
  }

  generate(request: GenerateRequest): Generation {
    return new NativeGeneration(() => this.native, request);
  }

  logprobs(request: ScoreRequest): Promise<ScoreResult> {
    return runCall(() => this.native.logprobs(request), request);
  }

  update(batch: TrainingBatch, options: UpdateOptions): Promise<UpdateResult> {
    return runCall(() => this.native.update(batch, options), options);
  }

  /**
  A policy of another runtime is copied there first: for that time its weights are held twice.

  @throws IlrError `ILR_INVALID_ARGUMENT` where the shapes differ, where the weights of this policy serve others too, where one
  has an adapter and the other none, or where adapters are to be mixed: they are copied (`mix` 1).
  */
  copyFrom(other: Policy, mix: number): Promise<void> {
    return runCall(() => {
      if (!(other instanceof NativePolicy)) {
        throw new IlrError('ILR_INVALID_ARGUMENT', 'copyFrom: expected a NativePolicy, got another Policy.');
      }
      return this.native.copyFrom(other.native, mix);
    });
  }

  /**
  Another policy of the same model on the same runtime: frozen, or with an adapter of its own. Both use one copy of the
  weights, unless one of them trains these: then the new policy gets a copy as they are now. An adapter of this policy is
  left out. Either may be disposed first.

  @throws IlrError `ILR_INVALID_ARGUMENT`, and with `adapter.folder` what loading throws.
  */
  async share(options?: NativeShareOptions): Promise<NativePolicy> {
    const {signal, adapter, ...rest} = reading(() => ({...optionsOf(options)}));
    this.ownRuntime?.take();
    try {
      const native = await runCall(() => this.native.share({...rest, adapter: toAddon(adapter)}), {signal});
      return NativePolicy.of(native, this.ownRuntime);
    } catch (error) {
      await this.ownRuntime?.release();
      throw error;
    }
  }

  save(folder: string, options?: SaveOptions): Promise<void> {
    return runCall(() => {
      const {signal: _, ...rest} = optionsOf(options);
      return this.native.save(folder, rest);
    }, options);
  }

  /** Waits for the calls made before, then frees the weights. Later calls reject with `ILR_DISPOSED`. */
  async dispose(): Promise<void> {
    await reading(() => {
      this.disposal ??= this.native.dispose().then(() => this.ownRuntime?.release());
      return this.disposal;
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

async function make(
  runtime: NativeRuntime | undefined,
  signal: AbortSignal | undefined,
  start: (native: AddonRuntime) => AddonCall<AddonPolicy>,
): Promise<NativePolicy> {
  if (runtime !== undefined && !reading(() => runtime instanceof NativeRuntime)) {
    throw new IlrError('ILR_INVALID_ARGUMENT', `runtime: expected a NativeRuntime, got ${typeof runtime}`);
  }
  if (runtime !== undefined) return NativePolicy.of(await runCall(() => start(runtime.native), {signal}), undefined);
  const ownRuntime = await NativeRuntime.open();
  try {
    return NativePolicy.of(await runCall(() => start(ownRuntime.native), {signal}), new Lease(ownRuntime));
  } catch (error) {
    await ownRuntime.dispose();
    throw error;
  }
}

/** A private runtime of policies that share a model: it goes with the last of them. */
class Lease {
  private users = 1;

  constructor(private readonly runtime: NativeRuntime) {}

  take(): void {
    this.users++;
  }

  async release(): Promise<void> {
    if (--this.users === 0) await this.runtime.dispose();
  }
}

function toAddon(adapter: AdapterOptions | undefined): AddonAdapterOptions | undefined {
  if (adapter === undefined || typeof adapter !== 'object' || adapter === null) return adapter;
  const {seed, ...rest} = adapter as NewAdapterOptions;
  return seed === undefined ? rest : {...rest, seed: toSeed(seed)};
}

function toSeed(seed: unknown): bigint {
  if (typeof seed === 'bigint') return seed;
  if (typeof seed === 'number' && Number.isSafeInteger(seed) && seed >= 0) return BigInt(seed);
  throw new IlrError('ILR_INVALID_ARGUMENT', `seed: expected a whole number from 0 or a bigint, got ${String(seed)}`);
}
