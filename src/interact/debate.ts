import type {RunConfig} from '../config.js';
import {IlrError} from '../errors.js';
import type {Completion} from '../policy.js';
import {streamOf} from '../random.js';
import type {Agent, Question, Turn, UngradedGroup} from '../types.js';
import {fitPeers, type PeerIdea, peerOrder} from './peers.js';
import {type DebateSide, debatePrompt, debateTurnsOf} from './prompts.js';
import {everyAgent, type Progress, sample, streamNames, textsOf, withoutStop} from './rollout.js';

export interface DebateOptions {
  readonly seed: number;
  readonly dialogue: RunConfig['dialogue'];
  /** Revisions after the first answers; 0: each agent alone. */
  readonly rounds: number;
  /** Which one of independent debates about a question this is; 0 when left out. */
  readonly sample?: number;
  readonly isGreedy?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (agent: Agent) => Progress;
  readonly onWarning?: (message: string) => void;
}

/** One agent's answer to a question in one round, as a group of one completion. */
export interface DebateAnswer extends UngradedGroup {
  /** In which it was written: an answer whose revision did not fit stands for the later rounds too. 0: alone. */
  readonly round: number;
  /** What the agent has read and written, this answer last. */
  readonly turns: readonly Turn[];
  /** A peer's text was cut to leave room in the context. */
  readonly isCut: boolean;
  readonly side: DebateSide;
}

/**
A debate, arXiv 2305.14325: every agent answers alone; then, round by round, reads the latest answers of its peers and answers again, in one
chat of all rounds. The first answers are the ideas of Idea3's sharing: the same prompt and the same draws.

@returns [rounds + 1][N][Q] the answers after so many revisions.
@throws IlrError `ILR_INVALID_ARGUMENT` where nobody is there to debate with.
Departure: peers are anonymous, in an order drawn from the seed for each reader, question and round; where the context is short, the texts of
all rounds are cut to the same number of tokens, and where even that leaves no room the answer stands.
*/
export async function debate(
  agents: readonly Agent[],
  questions: readonly Question[],
  options: DebateOptions,
): Promise<DebateAnswer[][][]> {
  requireDebate(agents, options);
  const keys = streamNames(questions);
  let latest = await everyAgent(agents, (agent, index) =>
    writeAnswers(
      agent,
      index,
      questions.map((question) => ({side: {question, answers: [], readings: []}, isCut: false})),
      keys,
      0,
      options,
    ),
  );
  const rounds = [latest];
  for (let round = 1; round <= options.rounds; round++) {
    const read = latest;
    latest = await everyAgent(agents, (agent, index) => revise(agent, index, read, keys, round, options));
    rounds.push(latest);
  }
  return rounds;
}

/** An agent's side as it goes into a round: with as many readings as answers, or with neither. */
interface OpenSide {
  readonly side: DebateSide;
  readonly isCut: boolean;
}

async function revise(
  agent: Agent,
  index: number,
  latest: readonly (readonly DebateAnswer[])[],
  keys: readonly string[],
  round: number,
  options: DebateOptions,
): Promise<DebateAnswer[]> {
  const own = latest[index] as readonly DebateAnswer[];
  const opened = own.map((answer, q) => {
    const order = peerOrder(latest.length, {
      seed: options.seed,
      agent: index,
      question: keys[q],
      sample: options.sample ?? 0,
      round,
    });
    const reading = order.map((peer) => ({agent: peer, text: latest[peer]?.[q]?.texts[0] as string}));
    const open = openSide(agent, {...answer.side, readings: [...answer.side.readings, reading]}, options.dialogue);
    if (open === undefined) options.onWarning?.(noRoom(agent, answer.question, round, options.dialogue));
    return open;
  });
  const taken = [...own.keys()].filter((q) => opened[q] !== undefined);
  const answers = await writeAnswers(
    agent,
    index,
    taken.map((q) => opened[q] as OpenSide),
    taken.map((q) => keys[q] as string),
    round,
    options,
  );
  const after = [...own];
  taken.forEach((q, i) => {
    after[q] = answers[i] as DebateAnswer;
  });
  return after;
}

/** The readings of all rounds, cut until an answer has room at full length. */
function openSide(
  agent: Agent,
  side: DebateSide,
  {prompts, maxNewTokens}: RunConfig['dialogue'],
): OpenSide | undefined {
  const room = agent.policy.info().contextLength - maxNewTokens.share;
  const withPeers = (peers: readonly PeerIdea[]): DebateSide => ({...side, readings: inRounds(peers, side.readings)});
  const fit = fitPeers(
    agent,
    side.readings.flat(),
    (peers) => agent.text.promptIds(debatePrompt(agent, prompts, withPeers(peers))).length - room,
  );
  return fit && {side: withPeers(fit.peers), isCut: fit.isCut};
}

/** One list of peers, split as `rounds` are. */
function inRounds(peers: readonly PeerIdea[], rounds: readonly (readonly PeerIdea[])[]): PeerIdea[][] {
  let at = 0;
  return rounds.map(({length}) => {
    at += length;
    return peers.slice(at - length, at);
  });
}

async function writeAnswers(
  agent: Agent,
  index: number,
  opened: readonly OpenSide[],
  keys: readonly string[],
  round: number,
  options: DebateOptions,
): Promise<DebateAnswer[]> {
  const {seed, dialogue, isGreedy, signal, onProgress} = options;
  const purpose = round === 0 ? 'share' : 'debate';
  const asks = opened.map(({side}, i) => ({
    promptIds: agent.text.promptIds(debatePrompt(agent, dialogue.prompts, side)),
    streams: [streamOf({seed, purpose, agent: index, question: keys[i], sample: options.sample ?? 0, round})],
  }));
  const completions = await sample(agent, asks, {
    maxNewTokens: dialogue.maxNewTokens.share,
    isGreedy,
    signal,
    onProgress: onProgress?.(agent),
  });
  return opened.map((open, i) => {
    const [completion] = completions[i] as [Completion];
    const side = {...open.side, answers: [...open.side.answers, withoutStop(agent, completion.ids)]};
    return {
      question: side.question,
      agent: index,
      stage: round === 0 ? 'solo' : 'fusion',
      promptIds: asks[i]?.promptIds as Int32Array,
      completions: [completion],
      texts: textsOf(agent, [completion]),
      round,
      turns: debateTurnsOf(agent, index, dialogue.prompts, side),
      isCut: open.isCut,
      side,
    };
  });
}

function noRoom(agent: Agent, question: Question, round: number, {maxNewTokens}: RunConfig['dialogue']): string {
  return (
    `${agent.name} keeps its answer to question ${question.id} in round ${round} of the debate: with ${maxNewTokens.share} new tokens ` +
    `another does not fit in a context of ${agent.policy.info().contextLength}. Try a smaller dialogue.maxNewTokens.share, or fewer rounds.`
  );
}

function requireDebate(agents: readonly Agent[], {rounds}: DebateOptions): void {
  if (!Number.isInteger(rounds) || rounds < 0) {
    throw new IlrError('ILR_INVALID_ARGUMENT', `Expected a whole number of debate rounds, 0 or more, got ${rounds}.`);
  }
  if (rounds > 0 && agents.length < 2) {
    throw new IlrError('ILR_INVALID_ARGUMENT', `Expected at least two agents in a debate, got ${agents.length}.`);
  }
}
