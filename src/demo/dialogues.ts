import {type EvaluateOptions, evaluateFusion} from '../evaluate.js';
import type {Agent, Question, Strategy} from '../types.js';

/** What the dialogue does for one agent: greedy accuracies, by question. */
export interface DialogueEffect {
  readonly agent: string;
  /** 1 where the shared idea is correct. */
  readonly solo: readonly number[];
  /** 1 where the fused answer is correct. */
  readonly fusion: readonly number[];
  /** As `fusion`, but with the peer's idea replaced by a copy of the agent's own: what is missing is what the peer gave. */
  readonly copied: readonly number[];
}

/** Whole dialogues on `questions`, cooperative and competitive in turn, with the peer and with the control. */
export async function measureDialogues(
  agents: readonly Agent[],
  questions: readonly Question[],
  options: EvaluateOptions,
): Promise<DialogueEffect[]> {
  const strategies = agents.map(() => questions.map((_, q): Strategy => (q % 2 === 0 ? 'cooperative' : 'competitive')));
  const withPeer = await evaluateFusion(agents, questions, strategies, {...options, isGreedy: true});
  const withCopy = await evaluateFusion(agents, questions, strategies, {
    ...options,
    isGreedy: true,
    shouldCopyOwn: true,
  });
  return withPeer.map(({agent, solo, fusion}, i) => ({agent, solo, fusion, copied: withCopy[i]?.fusion ?? []}));
}
