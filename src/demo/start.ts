import {mkdir, readFile, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import type {Prompts} from '../interact/prompts.js';
import {NativeRuntime} from '../native/runtime.js';
import {Random} from '../random.js';
import {type AgentProfile, writeProfile} from '../record/agent-folder.js';
import {createTinyAgent, tinyAgents} from './agents.js';
import {type WarmStartProgress, warmStart, warmUp} from './warm-start.js';

export interface StartOptions {
  /** One agent a name, in the order of `tinyAgents`. */
  readonly names: readonly string[];
  readonly seed: number;
  readonly prompts: Prompts;
  /** One an agent: how it is asked. */
  readonly profiles: readonly AgentProfile[];
  /** Gets a Hugging Face folder per agent. */
  readonly folder: string;
  readonly device?: string;
  /** Of the warm start of each agent; its usual length when left out. */
  readonly tokens?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (agent: string, progress: WarmStartProgress) => void;
}

/** Makes the agents and warms them up, side by side with one thread each. */
export async function makeStart(options: StartOptions): Promise<void> {
  const {folder, names} = options;
  await rm(folder, {recursive: true, force: true});
  const results = await Promise.allSettled(names.map((_, index) => makeAgent(options, index)));
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  await writeFile(path.join(folder, 'origin.json'), originOf(options));
}

/** Whether `folder` holds the agents that `makeStart` would make. */
export async function hasStart(options: StartOptions): Promise<boolean> {
  const origin = await readFile(path.join(options.folder, 'origin.json'), 'utf8').catch(() => undefined);
  return origin === originOf(options);
}

function originOf({names, seed, prompts, tokens}: StartOptions): string {
  return `${JSON.stringify({seed, names, agents: tinyAgents, warmStart, tokens, prompts}, null, 2)}\n`;
}

async function makeAgent(options: StartOptions, index: number): Promise<void> {
  const {names, seed, prompts, folder, tokens, signal, onProgress} = options;
  const name = names[index] as string;
  const plan = planOf(index);
  const own = path.join(folder, name);
  await mkdir(own, {recursive: true});
  const runtime = await NativeRuntime.open({device: options.device ?? 'cpu', threads: 1});
  try {
    const agent = await createTinyAgent(runtime, plan, {name, folder: own, seed, index});
    await warmUp(agent.policy, {
      classroom: {
        agent,
        learner: plan.learner,
        peer: planOf(1 - index).learner,
        prompts,
        tokenizer: agent.tokenizer,
        random: new Random({seed, purpose: 'warm-start', agent: index}),
      },
      tokens,
      signal,
      onProgress: (progress) => onProgress?.(name, progress),
    });
    await agent.policy.save(own);
    await writeProfile(own, options.profiles[index] as AgentProfile);
  } finally {
    await runtime.dispose();
  }
}

function planOf(index: number) {
  return tinyAgents[index] as (typeof tinyAgents)[number];
}
