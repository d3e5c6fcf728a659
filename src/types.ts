import type {Completion, Policy} from './policy.js';

/** What is asked. `answer` is the gold answer; `level` (1 = easiest) is known for some sets and never shown to a model. */
export interface Question {
  readonly id: string;
  readonly text: string;
  readonly answer: string;
  readonly level?: number;
}

/** One message of a prompt. Text (ours, a question's, a peer's) never becomes a special token; `Int32Array` holds the agent's own ids, verbatim. */
export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: readonly (string | Int32Array)[];
}

/** An agent's way between text and ids: its tokenizer and its chat template (`src/text/`). */
export interface AgentText {
  /** Token ids of the rendered messages, ready for the model to go on as the assistant. */
  promptIds(messages: readonly Message[]): Int32Array;
  /** Ids of plain text; the strings of special tokens come out as ordinary pieces. */
  encode(text: string): Int32Array;
  /** Text of ids, without special tokens. */
  decode(ids: Int32Array): string;
  /** What ends an assistant turn. */
  readonly stopIds: readonly number[];
  readonly vocabSize: number;
}

export interface Agent {
  readonly name: string;
  readonly policy: Policy;
  readonly text: AgentText;
  readonly systemPrompt?: string;
  readonly temperature: number;
}

/** Chosen per question and agent: `cooperative` on what is hard for it, else `competitive`. ILR §Dynamic Interaction. */
export type Strategy = 'cooperative' | 'competitive';

export type Stage = 'solo' | 'fusion';

/** Who wrote which tokens. `author` is an agent's index, or `user` for the protocol's and the question's words. */
export interface Turn {
  readonly author: number | 'user';
  readonly role: 'share' | 'analyse' | 'fuse' | 'question' | 'peers' | 'instruction';
  readonly ids: Int32Array;
  readonly text: string;
}

/** One agent's dialogue about a question: the fixed transcript that its fusion samples share. */
export interface Dialogue {
  readonly question: Question;
  readonly agent: number;
  readonly strategy: Strategy;
  readonly turns: readonly Turn[];
}

/** One trained completion with its reward. */
export interface Rollout {
  readonly completion: Completion;
  readonly text: string;
  readonly reward: number;
  readonly isCorrect: boolean;
  readonly isWellFormed: boolean;
  /** Set when it could not be graded; such a rollout is not trained on. */
  readonly failure?: string;
}

/** The G rollouts of one prompt by one agent. */
export interface Group {
  readonly question: Question;
  readonly agent: number;
  readonly stage: Stage;
  readonly promptIds: Int32Array;
  readonly rollouts: readonly Rollout[];
  readonly dialogue?: Dialogue;
}
