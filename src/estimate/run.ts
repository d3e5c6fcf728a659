import {lossOf, type RunConfig} from '../config.js';
import {analysisPrompt, type Conversation, fusionPrompt, rankPrompt, sharePrompt} from '../interact/prompts.js';
import type {Agent, AgentText, Question} from '../types.js';
import {generateBytes, heldBytes, logprobsBytes, type PolicyPlan, type TrainLoad, updateBytes} from './memory.js';

/** An agent as far as its memory goes: nothing of it is loaded. */
export interface AgentPlan {
  readonly name: string;
  /** Agents with the same base share its weights, where they train adapters. */
  readonly base: string;
  readonly policy: PolicyPlan;
  readonly text: AgentText;
  readonly systemPrompt?: string;
}

export interface PhaseEstimate {
  readonly phase: 'difficulty' | 'sharing' | 'analysis' | 'fusion' | 'reference' | 'update' | 'eval';
  /** Beyond what is held, by agent. */
  readonly bytes: Readonly<Record<string, number>>;
}

export interface RunEstimate {
  /** Node, LibTorch and tokenizers. */
  readonly processBytes: number;
  /** Held from load to end, by agent: weights (a shared base with its first agent), optimiser, reference policy. */
  readonly held: Readonly<
    Record<string, {readonly weights: number; readonly optimizer: number; readonly reference: number}>
  >;
  readonly phases: readonly PhaseEstimate[];
  /** Freed blocks that the CPU's allocator keeps for reuse. */
  readonly keptBytes: number;
  /** Most bytes resident at once, and in which phase. */
  readonly peakBytes: number;
  readonly peakPhase: PhaseEstimate['phase'];
}

// Measured: a process with LibTorch and an open runtime, a tokenizer, and what the garbage collector lets lie.
const baseBytes = 256 * 2 ** 20;
const agentBytes = 64 * 2 ** 20;
/** A runtime on the CPU keeps up to this much of what it frees (native/core/memory.cpp); measured, half of the largest phase. */
const mostKept = 512 * 2 ** 20;
/** Longest questions, by bytes, that are tokenised to find the longest prompt. */
const candidates = 8;

interface Lengths {
  readonly solo: number;
  readonly rank: number;
  readonly analysis: number;
  readonly fusion: number;
}

/**
The memory that a run needs, phase by phase, before anything is loaded. Completions are taken at their full length: a run whose completions end early needs less.

@param questions - Of training and evaluation: the longest one decides.
@param isConcurrent - Each agent has a runtime of its own (tiny models on the CPU), so that their phases add up.
*/
export function estimateRun(
  config: RunConfig,
  agents: readonly AgentPlan[],
  questions: readonly Question[],
  isConcurrent: boolean,
): RunEstimate {
  const lengths = agents.map((agent) => lengthsOf(agent, config, questions, agents.length));
  const phases = phasesOf(config, agents, lengths, questions.length);
  const held = Object.fromEntries(agents.map((agent, i) => [agent.name, heldOf(config, agents, i)]));
  const heldTotal = Object.values(held).reduce(
    (sum, {weights, optimizer, reference}) => sum + weights + optimizer + reference,
    0,
  );
  const processBytes = baseBytes + agents.length * agentBytes;
  const together = phases.map(({phase, bytes}) => {
    const each = Object.values(bytes);
    return {phase, bytes: isConcurrent ? each.reduce((sum, one) => sum + one, 0) : Math.max(...each)};
  });
  const largest = together.reduce((a, b) => (b.bytes > a.bytes ? b : a));
  const keptBytes = Math.min(mostKept * (isConcurrent ? agents.length : 1), largest.bytes / 2);
  const peakBytes = processBytes + heldTotal + largest.bytes + keptBytes;
  return {processBytes, held, phases, keptBytes, peakBytes, peakPhase: largest.phase};
}

function heldOf(config: RunConfig, agents: readonly AgentPlan[], index: number) {
  const agent = agents[index] as AgentPlan;
  const {weights, adapter, optimizer} = heldBytes(agent.policy);
  const hasCopy =
    needsReference(config, agent) && (config.reference.kind === 'frozen' || config.reference.kind === 'synchronised');
  // A base, and a reference beside it, stand once for all that leave them as they are.
  const isKnown =
    isSharing(agent) && agents.slice(0, index).some((other) => isSharing(other) && hasSameBase(other, agent));
  return {
    weights: (isKnown ? 0 : weights) + adapter,
    optimizer,
    reference: hasCopy ? (agent.policy.adapter ? adapter : weights) : 0,
  };
}

function isSharing({policy}: AgentPlan): boolean {
  return policy.adapter !== undefined || !policy.isTrainable;
}

function hasSameBase(a: AgentPlan, b: AgentPlan): boolean {
  return a.base === b.base && a.policy.dtype === b.policy.dtype;
}

function needsReference(config: RunConfig, {name, policy}: AgentPlan): boolean {
  return policy.isTrainable && lossOf(config, name).beta > 0;
}

function phasesOf(
  config: RunConfig,
  agents: readonly AgentPlan[],
  lengths: readonly Lengths[],
  numQuestions: number,
): PhaseEstimate[] {
  const {method, groupSize, questionsPerStep, minibatches} = config;
  const {share, analyse, fuse} = config.dialogue.maxNewTokens;
  const each = (
    phase: PhaseEstimate['phase'],
    bytes: (agent: AgentPlan, lengths: Lengths) => number,
  ): PhaseEstimate => ({
    phase,
    bytes: Object.fromEntries(agents.map((agent, i) => [agent.name, bytes(agent, lengths[i] as Lengths)])),
  });
  const generate = (
    agent: AgentPlan,
    prompts: number,
    samplesPerPrompt: number,
    promptTokens: number,
    maxNewTokens: number,
  ) => generateBytes(agent.policy, {prompts, samplesPerPrompt, promptTokens, maxNewTokens});
  const isTalking = method === 'ilr' && agents.length > 1;
  const phases: PhaseEstimate[] = [];
  if (isTalking && config.difficulty.estimator === 'self-ranking') {
    const {rounds, listSize, maxNewTokens} = config.difficulty;
    const lists = rounds * Math.ceil(numQuestions / listSize);
    phases.push(each('difficulty', (agent, {rank}) => generate(agent, lists, 1, rank, maxNewTokens)));
  }
  phases.push(each('sharing', (agent, {solo}) => generate(agent, questionsPerStep, groupSize, solo, share)));
  if (isTalking) {
    phases.push(each('analysis', (agent, {analysis}) => generate(agent, questionsPerStep, 1, analysis, analyse)));
    phases.push(each('fusion', (agent, {fusion}) => generate(agent, questionsPerStep, groupSize, fusion, fuse)));
  }
  const train = ({solo, fusion}: Lengths): TrainLoad => {
    const groups = Math.ceil(questionsPerStep / minibatches);
    const stage = (promptTokens: number, completionTokens: number) =>
      Array.from({length: groups}, () => ({promptTokens, completionTokens, completions: groupSize}));
    return {groups: [...stage(solo, share), ...(isTalking ? stage(fusion, fuse) : [])]};
  };
  if (agents.some((agent) => needsReference(config, agent))) {
    phases.push(
      each('reference', (agent, {fusion}) =>
        needsReference(config, agent)
          ? logprobsBytes(
              {...agent.policy, isTrainable: false},
              {sequences: questionsPerStep * groupSize, tokens: fusion + fuse},
            )
          : 0,
      ),
    );
  }
  phases.push(each('update', (agent, length) => updateBytes(agent.policy, train(length))));
  const isEvaluated = (config.eval.data ?? config.data.test) !== undefined;
  if (isEvaluated)
    phases.push(
      each('eval', (agent, {solo}) =>
        generate(agent, config.eval.questions, Math.max(1, config.eval.samples), solo, share),
      ),
    );
  return phases;
}

/** Longest prompts of each stage, in tokens. Own and peers' ideas at full length, as far as the context holds them. */
function lengthsOf(plan: AgentPlan, config: RunConfig, questions: readonly Question[], numAgents: number): Lengths {
  const agent = {text: plan.text, systemPrompt: plan.systemPrompt, name: plan.name, temperature: 1} as Agent;
  const {
    prompts,
    maxNewTokens: {share, analyse, fuse},
  } = config.dialogue;
  const {positions} = plan.policy.shape;
  const longest = [...questions].sort((a, b) => b.text.length - a.text.length);
  const most = (length: (question: Question) => number) => Math.max(1, ...longest.slice(0, candidates).map(length));
  const peers = Array.from({length: numAgents - 1}, (_, i) => ({agent: i, text: ''}));
  const conversation = (question: Question, strategy: Conversation['strategy']) => ({
    question,
    strategy,
    peers,
    idea: new Int32Array(share),
    analysis: new Int32Array(analyse),
  });
  const both = (length: (talk: ReturnType<typeof conversation>) => number) =>
    most((question) =>
      Math.max(length(conversation(question, 'cooperative')), length(conversation(question, 'competitive'))),
    );
  const ideas = (numAgents - 1) * share;
  const analysis = both((talk) => plan.text.promptIds(analysisPrompt(agent, prompts, talk)).length) + ideas;
  const fusion = both((talk) => plan.text.promptIds(fusionPrompt(agent, prompts, talk)).length) + ideas;
  return {
    solo: most((question) => plan.text.promptIds(sharePrompt(agent, prompts, question)).length),
    rank: plan.text.promptIds(rankPrompt(agent, prompts, longest.slice(0, config.difficulty.listSize))).length,
    // The peers' texts are cut until analysis and fusion have room at full length.
    analysis: Math.min(analysis, Math.max(1, positions - analyse - fuse)),
    fusion: Math.min(fusion, Math.max(1, positions - fuse)),
  };
}
