import type {RunConfig} from '../config.js';
import type {Completion} from '../policy.js';
import {type Purpose, streamOf} from '../random.js';
import type {Agent, Dialogue, Question, Strategy, UngradedGroup} from '../types.js';
import {fitPeers, type PeerIdea, peerOrder} from './peers.js';
import {analysisPrompt, type Conversation, fusionPrompt, sharePrompt, turnsOf} from './prompts.js';
import {type Ask, everyAgent, type Progress, sample, streamNames, textsOf, withoutStop} from './rollout.js';

export interface Idea3Options {
  readonly seed: number;
  /** Left out in evaluation: its draws are the same at every step. */
  readonly step?: number;
  /** Of dynamic sampling: a question may come again within a step. */
  readonly round?: number;
  readonly dialogue: RunConfig['dialogue'];
  /** G: samples of sharing and of fusion. */
  readonly groupSize: number;
  readonly isGreedy?: boolean;
  /** Control: each peer's idea is replaced by a copy of the reader's own. */
  readonly shouldCopyOwn?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (agent: Agent) => Progress;
  readonly onWarning?: (message: string) => void;
}

/** One agent's dialogue up to its fusion prompt. */
export interface Discussion {
  readonly dialogue: Dialogue;
  readonly analysis: Completion;
  /** Of the fusion. */
  readonly promptIds: Int32Array;
  /** A peer's text was cut to leave room in the context. */
  readonly isCut: boolean;
}

/**
Sharing: G solo completions of each agent on each of its questions, from the prompt of a test of the agent alone.

@param questions - [N][Q] each agent's questions; the same list for all in ILR.
@returns [N][Q].
*/
export function share(
  agents: readonly Agent[],
  questions: readonly (readonly Question[])[],
  options: Idea3Options,
): Promise<UngradedGroup[][]> {
  return everyAgent(agents, async (agent, index) => {
    const own = questions[index] as readonly Question[];
    const keys = streamNames(own);
    const asks = own.map((question, q) => ({
      promptIds: agent.text.promptIds(sharePrompt(agent, options.dialogue.prompts, question)),
      streams: streams(options, 'share', index, keys[q] as string, options.groupSize),
    }));
    const completions = await sampleStage(agent, asks, options, options.dialogue.maxNewTokens.share);
    return own.map((question, q) => ({
      question,
      agent: index,
      stage: 'solo' as const,
      promptIds: (asks[q] as Ask).promptIds,
      completions: completions[q] as Completion[],
      texts: textsOf(agent, completions[q] as Completion[]),
    }));
  });
}

/**
Analysis: each agent reads its own shared idea (sample 0, never one picked by its reward) and its peers', and judges them by strategy.

@param ideas - [N][Q] of `share`.
@param strategies - [N][Q].
@returns [N][Q]; undefined where not even an empty peer leaves room in the context.
*/
export function analyse(
  agents: readonly Agent[],
  ideas: readonly (readonly UngradedGroup[])[],
  strategies: readonly (readonly Strategy[])[],
  options: Idea3Options,
): Promise<(Discussion | undefined)[][]> {
  return everyAgent(agents, async (agent, index) => {
    const own = ideas[index] as readonly UngradedGroup[];
    const keys = streamNames(own.map((idea) => idea.question));
    const fitted = own.map((idea, q) => {
      const conversation: Conversation = {
        question: idea.question,
        strategy: strategies[index]?.[q] as Strategy,
        idea: withoutStop(agent, firstIds(idea)),
        peers: peersOf(agents, index, q, keys[q] as string, ideas, options),
      };
      const found = fitConversation(agent, conversation, options.dialogue);
      if (found === undefined) {
        options.onWarning?.(
          `${agent.name} skips the dialogue about question ${idea.question.id}: with ${options.dialogue.maxNewTokens.analyse} + ` +
            `${options.dialogue.maxNewTokens.fuse} new tokens it does not fit in a context of ${agent.policy.info().contextLength}. ` +
            'Try a smaller dialogue.maxNewTokens.',
        );
      }
      return found;
    });
    const taken = [...own.keys()].filter((q) => fitted[q] !== undefined);
    const asks = taken.map((q) => ({
      promptIds: agent.text.promptIds(
        analysisPrompt(agent, options.dialogue.prompts, (fitted[q] as FittedConversation).conversation),
      ),
      streams: streams(options, 'analyse', index, keys[q] as string, 1),
    }));
    const replies = await sampleStage(agent, asks, options, options.dialogue.maxNewTokens.analyse);
    const discussions = new Array<Discussion | undefined>(own.length).fill(undefined);
    taken.forEach((q, i) => {
      discussions[q] = discussionOf(
        agent,
        index,
        fitted[q] as FittedConversation,
        replies[i]?.[0] as Completion,
        options,
      );
    });
    return discussions;
  });
}

/**
Fusion: G completions of each agent from one fixed transcript.

@returns [N][Q]; undefined where the discussion is.
*/
export function fuse(
  agents: readonly Agent[],
  discussions: readonly (readonly (Discussion | undefined)[])[],
  keys: readonly string[],
  options: Idea3Options,
): Promise<(UngradedGroup | undefined)[][]> {
  return everyAgent(agents, async (agent, index) => {
    const own = discussions[index] as readonly (Discussion | undefined)[];
    const taken = [...own.keys()].filter((q) => own[q] !== undefined);
    const asks = taken.map((q) => ({
      promptIds: (own[q] as Discussion).promptIds,
      streams: streams(options, 'fuse', index, keys[q] as string, options.groupSize),
    }));
    const completions = await sampleStage(agent, asks, options, options.dialogue.maxNewTokens.fuse);
    const groups = new Array<UngradedGroup | undefined>(own.length).fill(undefined);
    taken.forEach((q, i) => {
      const {dialogue, promptIds} = own[q] as Discussion;
      groups[q] = {
        question: dialogue.question,
        agent: index,
        stage: 'fusion',
        promptIds,
        completions: completions[i] as Completion[],
        texts: textsOf(agent, completions[i] as Completion[]),
        dialogue,
      };
    });
    return groups;
  });
}

interface FittedConversation {
  readonly conversation: Conversation;
  readonly isCut: boolean;
}

/** Analysis and fusion are to have room at full length. */
function fitConversation(
  agent: Agent,
  conversation: Conversation,
  {maxNewTokens, prompts}: RunConfig['dialogue'],
): FittedConversation | undefined {
  const room = agent.policy.info().contextLength - maxNewTokens.analyse - maxNewTokens.fuse;
  const analysis = new Int32Array(0);
  const found = fitPeers(
    agent,
    conversation.peers,
    (peers) => agent.text.promptIds(fusionPrompt(agent, prompts, {...conversation, peers, analysis})).length - room,
  );
  return found && {conversation: {...conversation, peers: found.peers}, isCut: found.isCut};
}

function discussionOf(
  agent: Agent,
  index: number,
  {conversation, isCut}: FittedConversation,
  reply: Completion,
  {dialogue: {prompts}}: Idea3Options,
): Discussion {
  const complete = {...conversation, analysis: withoutStop(agent, reply.ids)};
  return {
    dialogue: {
      question: conversation.question,
      agent: index,
      strategy: conversation.strategy,
      turns: turnsOf(agent, index, prompts, complete),
    },
    analysis: reply,
    promptIds: agent.text.promptIds(fusionPrompt(agent, prompts, complete)),
    isCut,
  };
}

/** The peers' first ideas. */
function peersOf(
  agents: readonly Agent[],
  reader: number,
  q: number,
  key: string,
  ideas: readonly (readonly UngradedGroup[])[],
  {seed, step, round, shouldCopyOwn}: Idea3Options,
): PeerIdea[] {
  return peerOrder(agents.length, {seed, agent: reader, step, question: key, round}).map((peer) => {
    const author = shouldCopyOwn ? reader : peer;
    return {agent: author, text: ideas[author]?.[q]?.texts[0] as string};
  });
}

function sampleStage(
  agent: Agent,
  asks: readonly Ask[],
  {isGreedy, signal, onProgress}: Idea3Options,
  maxNewTokens: number,
): Promise<Completion[][]> {
  return sample(agent, asks, {maxNewTokens, isGreedy, signal, onProgress: onProgress?.(agent)});
}

function streams(
  {seed, step, round}: Idea3Options,
  purpose: Purpose,
  agent: number,
  question: string,
  samples: number,
) {
  return Array.from({length: samples}, (_, sample) => streamOf({seed, purpose, agent, step, question, sample, round}));
}

function firstIds(group: UngradedGroup): Int32Array {
  return group.completions[0]?.ids as Int32Array;
}
