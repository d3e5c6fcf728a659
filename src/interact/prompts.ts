import type {RunConfig} from '../config.js';
import type {Agent, Message, Question, Strategy, Turn} from '../types.js';

/** What the protocol says: `dialogue.prompts` of the configuration. */
export type Prompts = RunConfig['dialogue']['prompts'];

/** A peer's solution as its reader sees it. `agent` is recorded, never shown. */
export interface PeerIdea {
  readonly agent: number;
  readonly text: string;
}

/** What a reader knows after the analysis; before it, `analysis` is left out. */
export interface Conversation {
  readonly question: Question;
  readonly strategy: Strategy;
  /** The agent's own completions, verbatim, without the stop id that its chat template adds. */
  readonly idea: Int32Array;
  readonly peers: readonly PeerIdea[];
  readonly analysis?: Int32Array;
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
    userMessage(peerParts(prompts, conversation)),
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
  const said = (role: Turn['role'], part: Part): Turn => ({
    author: part.author,
    role,
    ids: agent.text.encode(part.text),
    text: part.text,
  });
  const own = (role: Turn['role'], ids: Int32Array): Turn => ({author: index, role, ids, text: agent.text.decode(ids)});
  return [
    ...(agent.systemPrompt === undefined ? [] : [said('instruction', {author: 'user', text: agent.systemPrompt})]),
    said('question', questionPart(prompts, conversation.question)),
    own('share', conversation.idea),
    ...peerParts(prompts, conversation).map((part) => said(part.author === 'user' ? 'instruction' : 'peers', part)),
    own('analyse', conversation.analysis),
    said('instruction', fusePart(prompts, conversation)),
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

/** The words about the peers, cut where the author changes. */
function peerParts(prompts: Prompts, {question, strategy, peers}: Conversation): Part[] {
  const ideas = peers.flatMap(({agent, text}, i): Part[] => {
    const around = cut(fill(prompts.peer, {number: `${i + 1}`, letter: letterOf(i)}), '{idea}');
    const separator: Part[] = i === 0 ? [] : [{author: 'user', text: '\n\n'}];
    return [...separator, ...join(around, [{author: agent, text}])];
  });
  return merge(join(cut(fill(prompts[strategy], {question: question.text}), '{peers}'), ideas));
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
