import {existsSync} from 'node:fs';
import {realpath} from 'node:fs/promises';
import {optimizerOf, type RunConfig} from '../config.js';
import {IlrError} from '../errors.js';
import {loadAgentText} from '../text/load.js';
import type {AgentText, Question} from '../types.js';
import type {PolicyPlan} from './memory.js';
import {type AgentPlan, estimateRun, type RunEstimate} from './run.js';
import {parameterCount, readShape, tinyParameters} from './shape.js';

/**
The memory that a configuration's run needs. Reads config.json of the models, and their tokenizers unless `isRough`: prompts are then
reckoned at four bytes a token.

@throws IlrError what reading a model's config.json or tokenizer throws.
*/
export async function estimateConfig(
  config: RunConfig,
  questions: readonly Question[],
  {isRough = false}: {readonly isRough?: boolean} = {},
): Promise<RunEstimate> {
  const plans = await Promise.all(config.agents.map((_, i) => planOf(config, i, isRough)));
  const isConcurrent = plans.every(({policy}) => parameterCount(policy.shape) < tinyParameters);
  return estimateRun(config, plans, questions, isConcurrent);
}

async function planOf(config: RunConfig, index: number, isRough: boolean): Promise<AgentPlan> {
  const agent = config.agents[index] as RunConfig['agents'][number];
  const shape = await readShape(agent.model);
  const {kind, moments} = optimizerOf(config, agent.name);
  const {adapter} = agent;
  const policy: PolicyPlan = {
    shape,
    dtype: agent.dtype,
    isTrainable: agent.trainable,
    ...(adapter && {adapter: {rank: adapter.rank ?? 8, targetModules: adapter.targetModules ?? ['all-linear']}}),
    optimizer: kind,
    moments: moments ?? (kind === 'lean' ? 'bfloat16' : 'float32'),
    gradientCheckpointing: config.gradientCheckpointing,
  };
  const text = isRough
    ? roughText
    : await loadAgentText(agent.tokenizer ?? agent.model, {
        chat: agent.chat,
        template: agent.template,
        vocabSize: shape.vocabulary,
      });
  return {name: agent.name, base: await realpath(agent.model), policy, text, systemPrompt: agent.system};
}

/** Four bytes a token, and a few for each turn. */
const roughText: AgentText = {
  promptIds: (messages) =>
    new Int32Array(
      messages
        .flatMap(({content}) => content)
        .reduce(
          (sum, part) => sum + 8 + (typeof part === 'string' ? Math.ceil(Buffer.byteLength(part) / 4) : part.length),
          8,
        ),
    ),
  encode: (text) => new Int32Array(Math.ceil(Buffer.byteLength(text) / 4)),
  decode: () => '',
  stopIds: [],
  vocabSize: 0,
};

/** An estimate errs by this much at most (tested); only what is beyond that for certain is refused. */
const margin = 0.15;

/**
@throws IlrError `ILR_OUT_OF_MEMORY` where a run on the CPU cannot fit into the memory at hand, saying what needs most and which settings lower it.
*/
export async function requireMemory(
  config: RunConfig,
  questions: readonly Question[],
  available: number = process.availableMemory(),
): Promise<void> {
  const mayUseGpu = config.device !== 'cpu' && (config.device !== 'auto' || existsSync('/proc/driver/nvidia/version'));
  if (mayUseGpu) return;
  const estimate = await estimateConfig(config, questions, {isRough: true});
  if (estimate.peakBytes * (1 - margin) <= available) return;
  const held = Object.values(estimate.held).reduce(
    (sum, part) => sum + part.weights + part.optimizer + part.reference,
    0,
  );
  throw new IlrError(
    'ILR_OUT_OF_MEMORY',
    `this run needs about ${gigabytes(estimate.peakBytes)} (${gigabytes(held)} for weights and optimisers, the rest in ${estimate.peakPhase}), ` +
      `but ${gigabytes(available)} are free. Lower it with agents.*.adapter, agents.*.dtype: bfloat16 with optimizer.kind: lean, gradientCheckpointing, ` +
      'dialogue.maxNewTokens or groupSize; `ilr-native estimate` shows every phase.',
  );
}

export function gigabytes(bytes: number): string {
  return bytes < 2 ** 30 ? `${Math.round(bytes / 2 ** 20)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
