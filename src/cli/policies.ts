import {realpath} from 'node:fs/promises';
import path from 'node:path';
import {lossOf, type RunConfig} from '../config.js';
import {IlrError} from '../errors.js';
import {type NativeLoadOptions, NativePolicy} from '../native/native-policy.js';
import type {NativeRuntime} from '../native/runtime.js';
import type {AdapterOptions} from '../policy.js';
import {streamOf} from '../random.js';
import {referenceFolder} from '../record/agent-folder.js';

/** Where one policy's weights come from, and whether it trains them. */
export interface PolicySource {
  readonly model: string;
  readonly adapter?: AdapterOptions;
  readonly trainable: boolean;
  /** Not trained, but written over: it shares its weights with nobody. */
  readonly isMoving?: boolean;
  /** Its optimiser lies beside what it trains. */
  readonly optimizer?: boolean;
}

type AgentConfig = RunConfig['agents'][number];

/** True where an agent uses its model's weights as they are: it can share them with others. */
export function isShared({adapter, trainable}: AgentConfig): boolean {
  return adapter !== undefined || !trainable;
}

/** An agent's policy, from where the run starts or, with `saved`, from its folder in a checkpoint. */
export function agentSource(config: RunConfig, index: number, saved?: string): PolicySource {
  const {model, adapter, trainable} = config.agents[index] as AgentConfig;
  const goesOn = trainable && saved !== undefined;
  if (adapter === undefined) return {model: goesOn ? saved : model, trainable, optimizer: goesOn};
  return {
    model,
    adapter: goesOn ? {folder: saved} : startOf(adapter, streamOf({seed: config.seed, purpose: 'init', agent: index})),
    trainable,
    optimizer: goesOn,
  };
}

/** An agent's reference policy, where it needs one: its start, or, where it moves, what the checkpoint keeps. */
export function referenceSource(config: RunConfig, index: number, saved?: string): PolicySource | undefined {
  const {name, model, adapter, trainable} = config.agents[index] as AgentConfig;
  const {kind} = config.reference;
  if ((kind !== 'frozen' && kind !== 'synchronised') || !trainable || lossOf(config, name).beta === 0) return undefined;
  const moved = kind === 'synchronised' && saved !== undefined ? referenceFolder(saved) : undefined;
  if (adapter === undefined) return {model: moved ?? model, trainable: false, isMoving: kind === 'synchronised'};
  return {
    model,
    adapter:
      moved === undefined
        ? startOf(adapter, streamOf({seed: config.seed, purpose: 'init', agent: index}))
        : {folder: moved},
    trainable: false,
  };
}

/** A new adapter, drawn from a seed, or one that goes on. */
export function startOf(adapter: NonNullable<AgentConfig['adapter']>, seed: bigint): AdapterOptions {
  const {folder, ...settings} = adapter;
  return folder === undefined ? {...settings, seed} : {folder};
}

/** How a policy is opened beyond its weights. */
export type OpeningOptions = Omit<NativeLoadOptions, 'adapter' | 'trainable' | 'optimizer' | 'runtime' | 'signal'>;

/** Opens policies: those that leave a model's weights as they are share one copy of them. */
export class PolicyOpener {
  private readonly bases = new Map<NativeRuntime, Map<string, Promise<NativePolicy>>>();

  async open(source: PolicySource, runtime: NativeRuntime, options: OpeningOptions = {}): Promise<NativePolicy> {
    const {model, adapter, trainable, optimizer, isMoving} = source;
    const {dtype, ...rest} = options;
    if ((trainable || isMoving) && adapter === undefined) {
      return named(model, NativePolicy.load(model, {runtime, trainable, optimizer, ...options}));
    }
    const base = await this.base(model, runtime, dtype);
    const folder = adapter !== undefined && 'folder' in adapter ? adapter.folder : model;
    return named(folder, base.share({adapter, trainable, optimizer, ...rest}));
  }

  /** Lets go of the bases: each stays as long as a policy uses it. */
  async close(): Promise<void> {
    const all = [...this.bases.values()].flatMap((bases) => [...bases.values()]);
    this.bases.clear();
    for (const base of all) await base.then((policy) => policy.dispose()).catch(() => {});
  }

  private async base(model: string, runtime: NativeRuntime, dtype: OpeningOptions['dtype']): Promise<NativePolicy> {
    const key = `${dtype ?? ''} ${await realModel(model)}`;
    const bases = this.bases.get(runtime) ?? new Map<string, Promise<NativePolicy>>();
    this.bases.set(runtime, bases);
    const base = bases.get(key) ?? named(model, NativePolicy.load(model, {runtime, dtype, trainable: false}));
    bases.set(key, base);
    return base;
  }
}

/** One name for a folder, whatever links lead to it. */
export function realModel(folder: string): Promise<string> {
  return realpath(folder).catch(() => path.resolve(folder));
}

/** The core may name a tensor or a key alone; with several agents that is not enough. */
async function named(folder: string, policy: Promise<NativePolicy>): Promise<NativePolicy> {
  return policy.catch((error: unknown) => {
    if (!IlrError.is(error) || error.message.includes(folder)) throw error;
    throw new IlrError(error.code, `${folder}: ${error.message}`, {cause: error});
  });
}
