import type {RunConfig} from '../config.js';
import type {Agent, Message, Question, Strategy, Turn} from '../types.js';
import type {PeerIdea} from './peers.js';

/** What the protocol says: `dialogue.prompts` of the configuration. */
export type Prompts = RunConfig['dialogue']['prompts'];

/** What a reader knows after the analysis; before it, `analysis` is left out. */
export interface Conversation {
  readonly question: Question;
  readonly strategy: Strategy;
  /** The agent's own completions, verbatim, without the stop id that its chat template adds. */
  readonly idea: Int32Array;
  readonly peers: readonly PeerIdea[];
  readonly analysis?: Int32Array;
}

/** One agent's side of a debate. `readings[r]` is what it read of its peers before it wrote `answers[r + 1]`. */
export interface DebateSide {
  readonly question: Question;
  /** Its own completions, verbatim, without the stop id that its chat template adds. */
  readonly answers: readonly Int32Array[];
  readonly readings: readonly (readonly PeerIdea[])[];
}

interface Part {
  readonly author: number | 'user';
  readonly text: string;
}

/** Sharing, and every test of an agent alone. */
export function sharePrompt(agent: Agent, prompts: Prompts, question: Question): Message[] {
  return [...systemMessages(agent), userMessage([questionPart(prompts, question)])];
}

/** One chat of several turns: what the agent thought of itself stays the ids that it sampled. */
export function analysisPrompt(agent: Agent, prompts: Prompts, conversation: Conversation): Message[] {
  return [
    ...sharePrompt(agent, prompts, conversation.question),
    {role: 'assistant', content: [conversation.idea]},
    userMessage(strategyParts(prompts, conversation)),
  ];
}

export function fusionPrompt(
  agent: Agent,
  prompts: Prompts,
  conversation: Conversation & {readonly analysis: Int32Array},
): Message[] {
  return [
    ...analysisPrompt(agent, prompts, conversation),
    {role: 'assistant', content: [conversation.analysis]},
    userMessage([fusePart(prompts, conversation)]),
  ];
}

/** One chat of all rounds, as in arXiv 2305.14325: with as many readings as answers it asks for the next answer. */
export function debatePrompt(agent: Agent, prompts: Prompts, {question, answers, readings}: DebateSide): Message[] {
  return [
    ...sharePrompt(agent, prompts, question),
    ...answers.flatMap((answer, round): Message[] => {
      const reading = readings[round];
      const own: Message = {role: 'assistant', content: [answer]};
      return reading === undefined ? [own] : [own, userMessage(peerParts(prompts, prompts.debate, question, reading))];
    }),
  ];
}

/** Asks for a ranking of `questions` from easiest to hardest. */
export function rankPrompt(agent: Agent, prompts: Prompts, questions: readonly Question[]): Message[] {
  const items = questions.map((question, i) =>
    fill(prompts.rankItem, {number: `${i + 1}`, letter: letterOf(i), question: question.text}),
  );
  return [...systemMessages(agent), {role: 'user', content: [fill(prompts.rank, {questions: items.join('\n')})]}];
}

/** A, B, C, … */
export function letterOf(place: number): string {
  return String.fromCharCode(65 + place);
}

/** The transcript of a conversation, turn by turn, with who wrote which tokens. */
export function turnsOf(
  agent: Agent,
  index: number,
  prompts: Prompts,
  conversation: Conversation & {readonly analysis: Int32Array},
): Turn[] {
  return [
    ...openingTurns(agent, prompts, conversation.question),
    ownTurn(agent, index, 'share', conversation.idea),
    ...heardTurns(agent, strategyParts(prompts, conversation)),
    ownTurn(agent, index, 'analyse', conversation.analysis),
    ...heardTurns(agent, [fusePart(prompts, conversation)]),
  ];
}

/** The transcript of one side of a debate. */
export function debateTurnsOf(agent: Agent, index: number, prompts: Prompts, side: DebateSide): Turn[] {
  const {question, answers, readings} = side;
  const readingTurns = (reading: readonly PeerIdea[] | undefined) =>
    reading === undefined ? [] : heardTurns(agent, peerParts(prompts, prompts.debate, question, reading));
  return [
    ...openingTurns(agent, prompts, question),
    ...answers.flatMap((answer, round) => [
      ownTurn(agent, index, round === 0 ? 'share' : 'revise', answer),
      ...readingTurns(readings[round]),
    ]),
  ];
}

/** Fills `{name}` in one pass, so that a question or a peer that writes `{peers}` is left alone. */
export function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? (values[name] as string) : whole,
  );
}

function questionPart(prompts: Prompts, question: Question): Part {
  return {author: 'user', text: fill(prompts.share, {question: question.text})};
}

function fusePart(prompts: Prompts, {question}: Conversation): Part {
  return {author: 'user', text: fill(prompts.fuse, {question: question.text})};
}

function openingTurns(agent: Agent, prompts: Prompts, question: Question): Turn[] {
  const {systemPrompt} = agent;
  const system =
    systemPrompt === undefined ? [] : [saidTurn(agent, 'instruction', {author: 'user', text: systemPrompt})];
  return [...system, saidTurn(agent, 'question', questionPart(prompts, question))];
}

function ownTurn(agent: Agent, author: number, role: Turn['role'], ids: Int32Array): Turn {
  return {author, role, ids, text: agent.text.decode(ids)};
}

function heardTurns(agent: Agent, parts: readonly Part[]): Turn[] {
  return parts.map((part) => saidTurn(agent, part.author === 'user' ? 'instruction' : 'peers', part));
}

function saidTurn(agent: Agent, role: Turn['role'], {author, text}: Part): Turn {
  return {author, role, ids: agent.text.encode(text), text};
}

function strategyParts(prompts: Prompts, {question, strategy, peers}: Conversation): Part[] {
  return peerParts(prompts, prompts[strategy], question, peers);
}

/** The words about the peers, cut where the author changes. */
function peerParts(prompts: Prompts, template: string, question: Question, peers: readonly PeerIdea[]): Part[] {
  const ideas = peers.flatMap(({agent, text}, i): Part[] => {
    const around = cut(fill(prompts.peer, {number: `${i + 1}`, letter: letterOf(i)}), '{idea}');
    const separator: Part[] = i === 0 ? [] : [{author: 'user', text: '\n\n'}];
    return [...separator, ...join(around, [{author: agent, text}])];
  });
  return merge(join(cut(fill(template, {question: question.text}), '{peers}'), ideas));
}

function cut(template: string, name: string): string[] {
  return template.split(name);
}

function join(texts: readonly string[], between: readonly Part[]): Part[] {
  return texts.flatMap((text, i): Part[] => [...(i === 0 ? [] : between), {author: 'user', text}]);
}

/** Neighbours of one author become one part; empty parts go. */
function merge(parts: readonly Part[]): Part[] {
  const out: Part[] = [];
  for (const part of parts) {
    if (part.text === '') continue;
    const last = out.at(-1);
    if (last?.author === part.author) out[out.length - 1] = {...last, text: last.text + part.text};
    else out.push(part);
  }
  return out;
}

function systemMessages(agent: Agent): Message[] {
  return agent.systemPrompt === undefined ? [] : [{role: 'system', content: [agent.systemPrompt]}];
}

function userMessage(parts: readonly Part[]): Message {
  return {role: 'user', content: parts.map((part) => part.text)};
}
