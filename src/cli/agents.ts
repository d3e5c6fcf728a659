import {readFile} from 'node:fs/promises';
import {availableParallelism} from 'node:os';
import path from 'node:path';
import {lossOf, optimizerOf, type RunConfig} from '../config.js';
import {IlrError} from '../errors.js';
import {type NativeLoadOptions, NativePolicy} from '../native/native-policy.js';
import {NativeRuntime} from '../native/runtime.js';
import {profileOf, readProfile, readSideFiles, referenceFolder} from '../record/agent-folder.js';
import type {Checkpoint} from '../record/checkpoint.js';
import {loadAgentText} from '../text/load.js';
import type {Agent, AgentText} from '../types.js';

export interface OpenedRun {
  readonly agents: readonly Agent[];
  /** Compute threads of each runtime. */
  readonly threads: readonly number[];
  readonly device: string;
  /** [N] what stands beside an agent's weights when it is saved. */
  readonly sideFiles: readonly ReadonlyMap<string, Uint8Array>[];
  close(): Promise<void>;
}

/**
Loads the agents of a run: their policies, tokenizers and chat templates.

@param config - Model and tokenizer folders as they can be opened from here.
@param checkpoint - Where weights and optimisers come from in place of the model folders.
@throws IlrError `ILR_INVALID_MODEL` when a tokenizer does not belong to its model, and what loading throws.
*/
export async function openRun(config: RunConfig, checkpoint?: Checkpoint): Promise<OpenedRun> {
  const folders = config.agents.map((agent) => (checkpoint ? path.join(checkpoint.folder, agent.name) : agent.model));
  const runtimes = await openRuntimes(config, folders);
  const close = () => closeAll(runtimes);
  try {
    const agents: Agent[] = [];
    const sideFiles: ReadonlyMap<string, Uint8Array>[] = [];
    for (const [index, agent] of config.agents.entries()) {
      const folder = folders[index] as string;
      const tokenizer = checkpoint ? folder : (agent.tokenizer ?? folder);
      const {kind, moments} = optimizerOf(config, agent.name);
      const {policy, text} = await loadModel(runtimes[index] as NativeRuntime, folder, tokenizer, {
        chat: agent.chat,
        template: agent.template,
        optimizer: checkpoint !== undefined,
        dtype: agent.dtype,
        optimizerKind: kind,
        moments,
      });
      const source = referenceSource(config, index, checkpoint && folder);
      const reference =
        source && (await loadPolicy(source, {runtime: runtimes[index], trainable: false, dtype: agent.dtype}));
      const {name, system: systemPrompt, temperature} = agent;
      agents.push({name, policy, text, systemPrompt, temperature, ...(reference && {reference})});
      sideFiles.push(await readSideFiles(folder, tokenizer, profileOf(config, index)));
    }
    const distinct = [...new Set(runtimes)];
    return {
      agents,
      threads: distinct.map((runtime) => runtime.threads),
      device: distinct[0]?.device ?? config.device,
      sideFiles,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The folder of an agent's reference policy, where it needs one: its start, or, where it moves, the checkpoint's. */
function referenceSource(config: RunConfig, index: number, checkpoint: string | undefined): string | undefined {
  const {name, model} = config.agents[index] as RunConfig['agents'][number];
  const {kind} = config.reference;
  if ((kind !== 'frozen' && kind !== 'synchronised') || lossOf(config, name).beta === 0) return undefined;
  return kind === 'synchronised' && checkpoint !== undefined ? referenceFolder(checkpoint) : model;
}

export interface LoadAgentOptions {
  readonly name?: string;
  readonly system?: string;
  readonly chat?: Readonly<Record<string, unknown>>;
  readonly template?: 'auto' | 'plain';
  /** Folder of the tokenizer, where it is not the model folder. */
  readonly tokenizer?: string;
  readonly temperature?: number;
  /** Default true. False keeps no optimiser: the agent can answer, not learn. */
  readonly trainable?: boolean;
  /** A reference policy beside it, for `loss.beta`: of this folder, or, true, of the agent's own. */
  readonly reference?: boolean | string;
  readonly device?: string;
  readonly threads?: number;
  /** Shared with other agents; opened, and closed with the agent, when left out. */
  readonly runtime?: NativeRuntime;
}

export interface LoadedAgent extends Agent {
  close(): Promise<void>;
}

/** Loads one agent from a Hugging Face folder, asked as it was in training where the folder says how (`ilr.json`). */
export async function loadAgent(folder: string, options: LoadAgentOptions = {}): Promise<LoadedAgent> {
  const profile = await readProfile(folder);
  const runtime =
    options.runtime ??
    (await NativeRuntime.open({device: options.device ?? 'auto', threads: options.threads ?? availableParallelism()}));
  const close = async () => {
    if (!options.runtime) await runtime.dispose();
  };
  try {
    const tokenizer = options.tokenizer ?? folder;
    const {policy, text} = await loadModel(runtime, folder, tokenizer, {
      chat: options.chat ?? profile?.chat,
      template: options.template ?? profile?.template,
      trainable: options.trainable,
    });
    const source = options.reference === true ? folder : options.reference || undefined;
    const reference = source === undefined ? undefined : await loadPolicy(source, {runtime, trainable: false});
    return {
      name: options.name ?? path.basename(path.resolve(folder)),
      policy,
      ...(reference && {reference}),
      text,
      systemPrompt: options.system ?? profile?.system,
      temperature: options.temperature ?? profile?.temperature ?? 1,
      close: async () => {
        await policy.dispose();
        await reference?.dispose();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The policy first: a tokenizer of another model is found by the model's vocabulary. */
async function loadModel(
  runtime: NativeRuntime,
  model: string,
  tokenizer: string,
  options: {
    readonly chat?: Readonly<Record<string, unknown>>;
    readonly template?: 'auto' | 'plain';
  } & Pick<NativeLoadOptions, 'optimizer' | 'trainable' | 'dtype' | 'optimizerKind' | 'moments'>,
): Promise<{policy: NativePolicy; text: AgentText}> {
  const {chat, template, ...opening} = options;
  const policy = await loadPolicy(model, {runtime, ...opening});
  const {vocabSize, eosIds} = policy.info();
  return {policy, text: await loadAgentText(tokenizer, {chat, template, vocabSize, eosIds})};
}

async function loadPolicy(model: string, options: NativeLoadOptions): Promise<NativePolicy> {
  return NativePolicy.load(model, options).catch((error: unknown) => {
    // The core may name a tensor or a key alone; with several agents that is not enough.
    if (!IlrError.is(error) || error.message.includes(model)) throw error;
    throw new IlrError(error.code, `${model}: ${error.message}`, {cause: error});
  });
}

/** Below this many parameters a matrix product is too small to be split: each agent gets threads of its own instead. */
const tinyParameters = 5e6;

/** [N] the runtime of each agent: their own with a share of the threads for tiny models on the CPU, one for all otherwise. */
async function openRuntimes(config: RunConfig, folders: readonly string[]): Promise<NativeRuntime[]> {
  const threads = config.threads || availableParallelism();
  const sizes = await Promise.all(folders.map(roughParameters));
  const areTiny = sizes.every((size) => size < tinyParameters);
  const share = areTiny ? Math.max(1, Math.floor(threads / folders.length)) : threads;
  const runtimes: NativeRuntime[] = [];
  try {
    for (const _ of folders) {
      const first = runtimes[0];
      const isShared = first !== undefined && (!areTiny || first.device !== 'cpu');
      runtimes.push(isShared ? first : await NativeRuntime.open({device: config.device, threads: share}));
    }
    return runtimes;
  } catch (error) {
    await closeAll(runtimes);
    throw error;
  }
}

/** From config.json alone, so that a run and its checkpoints, whatever their dtype, get the same threads. Loading checks it. */
async function roughParameters(folder: string): Promise<number> {
  try {
    const config = JSON.parse(await readFile(path.join(folder, 'config.json'), 'utf8'));
    const {vocab_size: V, hidden_size: C, intermediate_size: F, num_hidden_layers: L} = config;
    return V * C + L * (4 * C * C + 3 * C * F) || Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

async function closeAll(runtimes: readonly NativeRuntime[]): Promise<void> {
  for (const runtime of new Set(runtimes)) await runtime.dispose();
}
