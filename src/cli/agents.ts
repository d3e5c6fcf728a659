import {existsSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {availableParallelism} from 'node:os';
import path from 'node:path';
import {optimizerOf, type RunConfig} from '../config.js';
import {type SamplingSettings, samplingKeys} from '../config-sampling.js';
import {tinyParameters} from '../estimate/shape.js';
import {NativeRuntime} from '../native/runtime.js';
import type {Policy} from '../policy.js';
import {profileOf, readProfile, readSideFiles} from '../record/agent-folder.js';
import type {Checkpoint} from '../record/checkpoint.js';
import {findWeights} from '../record/weights.js';
import {withSampling} from '../sampling.js';
import {loadAgentText} from '../text/load.js';
import type {Agent, AgentText} from '../types.js';
import {
  agentSource,
  isShared,
  type OpeningOptions,
  PolicyOpener,
  realModel,
  referenceSource,
  startOf,
} from './policies.js';

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
  const runtimes = await openRuntimes(config);
  const opener = new PolicyOpener();
  const close = () => closeAll(runtimes);
  try {
    const agents: Agent[] = [];
    const sideFiles: ReadonlyMap<string, Uint8Array>[] = [];
    for (const [index, agent] of config.agents.entries()) {
      const runtime = runtimes[index] as NativeRuntime;
      const saved = checkpoint && path.join(checkpoint.folder, agent.name);
      const {kind, moments} = optimizerOf(config, agent.name);
      const opening: OpeningOptions = {dtype: agent.dtype, optimizerKind: kind, moments};
      const policy = await opener.open(agentSource(config, index, saved), runtime, opening);
      const source = referenceSource(config, index, saved);
      const reference = source && (await opener.open(source, runtime, {dtype: agent.dtype}));
      const folder = saved ?? agent.model;
      const tokenizer = saved ?? agent.tokenizer ?? agent.model;
      const {name, system: systemPrompt, temperature} = agent;
      const text = await textOf(policy, tokenizer, agent);
      const own = {name, policy, text, systemPrompt, temperature, ...(reference && {reference})};
      agents.push(await withSampling(own, agent.sampling));
      sideFiles.push(await readSideFiles(folder, tokenizer, profileOf(config, index)));
    }
    await opener.close();
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

export interface LoadAgentOptions {
  /** Folder of an adapter's base, where it is not the one that adapter_config.json names. */
  readonly base?: string;
  readonly name?: string;
  readonly system?: string;
  readonly chat?: Readonly<Record<string, unknown>>;
  readonly template?: 'auto' | 'plain';
  /** Folder of the tokenizer, where it is not the model folder. */
  readonly tokenizer?: string;
  readonly temperature?: number;
  /** Changes some of how it was sampled in training. */
  readonly sampling?: Partial<SamplingSettings>;
  /** Default true. False keeps no optimiser: the agent can answer, not learn. */
  readonly trainable?: boolean;
  /** Default `float32`. */
  readonly dtype?: 'float32' | 'bfloat16';
  /** Trains an adapter in place of the model, unless `folder` is an adapter's itself. */
  readonly adapter?: RunConfig['agents'][number]['adapter'];
  /** How its optimiser is kept. */
  readonly optimizer?: Pick<Partial<RunConfig['optimizer']>, 'kind' | 'moments'>;
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

/**
Loads one agent from a Hugging Face folder or an adapter's in PEFT's format, asked as it was in training where the folder
says how (`ilr.json`).
*/
export async function loadAgent(folder: string, options: LoadAgentOptions = {}): Promise<LoadedAgent> {
  const profile = await readProfile(folder);
  const {trainable = true} = options;
  const weights = await findWeights(folder, options.base);
  const runtime =
    options.runtime ??
    (await NativeRuntime.open({device: options.device ?? 'auto', threads: options.threads ?? availableParallelism()}));
  const close = async () => {
    if (!options.runtime) await runtime.dispose();
  };
  try {
    const opener = new PolicyOpener();
    const {dtype, optimizer: {kind, moments} = {}} = options;
    const adapter = weights.adapter ?? (options.adapter && startOf(options.adapter, 0n));
    const source = {...weights, ...(adapter && {adapter}), trainable};
    const policy = await opener.open(source, runtime, trainable ? {dtype, optimizerKind: kind, moments} : {dtype});
    const start = options.reference === true ? source : options.reference && (await findWeights(options.reference));
    const reference = start ? await opener.open({...start, trainable: false}, runtime, {dtype}) : undefined;
    await opener.close();
    const tokenizer = options.tokenizer ?? (existsSync(path.join(folder, 'tokenizer.json')) ? folder : weights.model);
    const text = await textOf(policy, tokenizer, {
      chat: options.chat ?? profile?.chat,
      template: options.template ?? profile?.template,
    });
    const agent = {
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
    return await withSampling(agent, samplingKeys.parse({...profile?.sampling, ...options.sampling}));
  } catch (error) {
    await close();
    throw error;
  }
}

/** After the policy: a tokenizer of another model is found by the model's vocabulary. */
async function textOf(
  policy: Policy,
  tokenizer: string,
  {chat, template}: Pick<LoadAgentOptions, 'chat' | 'template'>,
): Promise<AgentText> {
  const {vocabSize, eosIds} = policy.info();
  return loadAgentText(tokenizer, {chat, template, vocabSize, eosIds});
}

/**
[N] the runtime of each agent: their own with a share of the threads for tiny models on the CPU (agents that share weights share
one), one for all otherwise.
*/
async function openRuntimes(config: RunConfig): Promise<NativeRuntime[]> {
  const threads = config.threads || availableParallelism();
  const sizes = await Promise.all(config.agents.map(({model}) => roughParameters(model)));
  const areTiny = sizes.every((size) => size < tinyParameters);
  const places = await Promise.all(
    config.agents.map((agent, i) => (isShared(agent) ? realModel(agent.model) : String(i))),
  );
  const share = areTiny ? Math.max(1, Math.floor(threads / new Set(places).size)) : threads;
  const runtimes = new Map<string, NativeRuntime>();
  try {
    for (const place of places) {
      if (runtimes.has(place)) continue;
      const [first] = runtimes.values();
      const isOne = first !== undefined && (!areTiny || first.device !== 'cpu');
      runtimes.set(place, isOne ? first : await NativeRuntime.open({device: config.device, threads: share}));
    }
    return places.map((place) => runtimes.get(place) as NativeRuntime);
  } catch (error) {
    await closeAll([...runtimes.values()]);
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
