import type {FinishReason} from '../policy.js';
import type {Group, Stage, Strategy} from '../types.js';

/** Tokens and who wrote them: an agent's name, or `user` for the protocol's and the question's words. */
export interface WrittenTurn {
  readonly author: string;
  readonly role: string;
  readonly text: string;
  readonly ids: readonly number[];
}

/** One line of dialogues.jsonl: what one agent read about a question, and the G completions that it wrote. */
export interface TranscriptLine {
  readonly step: number;
  readonly question: string;
  readonly agent: string;
  readonly stage: Stage;
  readonly strategy?: Strategy;
  /** The fixed transcript, in order. */
  readonly turns: readonly WrittenTurn[];
  /** [G] by this agent. */
  readonly rollouts: readonly (WrittenTurn & {
    readonly reward: number;
    readonly isCorrect: boolean;
    readonly isWellFormed: boolean;
    readonly finishReason: FinishReason;
    /** What each part of a composed reward gave, unweighted. */
    readonly parts?: Readonly<Record<string, number>>;
    readonly failure?: string;
  })[];
}

/** @param agents - names, by index. */
export function transcriptOf(step: number, group: Group, agents: readonly string[]): TranscriptLine {
  const nameOf = (author: number | 'user') => (author === 'user' ? author : (agents[author] ?? String(author)));
  const {question, stage, dialogue} = group;
  const read: readonly WrittenTurn[] = dialogue
    ? dialogue.turns.map((turn) => ({
        author: nameOf(turn.author),
        role: turn.role,
        text: turn.text,
        ids: Array.from(turn.ids),
      }))
    : [{author: 'user', role: 'question', text: question.text, ids: Array.from(group.promptIds)}];
  return {
    step,
    question: question.id,
    agent: nameOf(group.agent),
    stage,
    ...(dialogue && {strategy: dialogue.strategy}),
    turns: read,
    rollouts: group.rollouts.map(({completion, text, reward, isCorrect, isWellFormed, parts, failure}) => ({
      author: nameOf(group.agent),
      role: stage === 'solo' ? 'share' : 'fuse',
      text,
      ids: Array.from(completion.ids),
      reward,
      isCorrect,
      isWellFormed,
      finishReason: completion.finishReason,
      ...(parts !== undefined && {parts}),
      ...(failure !== undefined && {failure}),
    })),
  };
}
