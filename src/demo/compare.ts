import {type Interval, mean, meanInterval, pairedInterval} from '../statistics.js';
import type {SoloEvaluation} from '../types.js';
import type {DemoResult} from './run-demo.js';

/** ILR against GRPO from one start, at equal generated tokens: accuracies, and differences (ILR − GRPO) in pairs of answers to one question. */
export interface Comparison {
  readonly agents: readonly AgentComparison[];
  /** Both agents together, by question. */
  readonly mean: Readonly<Record<Answers, Interval>>;
}

/** How answers are drawn: the most likely one, or samples at temperature 1. */
export type Answers = 'greedy' | 'sampled';

export interface AgentComparison {
  readonly agent: string;
  readonly greedy: Measured;
  readonly sampled: Measured;
  readonly generatedTokens: {readonly ilr: number; readonly grpo: number};
}

export interface Measured {
  readonly before: number;
  readonly ilr: number;
  readonly grpo: number;
  readonly difference: Interval;
}

/** @returns undefined for a demo that ran without GRPO. */
export function compare({before, after, grpo, generatedTokens, seed}: DemoResult): Comparison | undefined {
  if (grpo === undefined) return undefined;
  const agents = after.map((ilr, i): AgentComparison => {
    const alone = grpo.after[i] as SoloEvaluation;
    const measure = (kind: Answers): Measured => ({
      before: mean((before[i] as SoloEvaluation)[kind]),
      ilr: mean(ilr[kind]),
      grpo: mean(alone[kind]),
      difference: pairedInterval(alone[kind], ilr[kind], {seed}),
    });
    return {
      agent: ilr.agent,
      greedy: measure('greedy'),
      sampled: measure('sampled'),
      generatedTokens: {ilr: generatedTokens[i] as number, grpo: grpo.generatedTokens[i] as number},
    };
  });
  const meanOf = (kind: Answers) => meanInterval(meanDifferences(after, grpo.after, kind), {seed});
  return {agents, mean: {greedy: meanOf('greedy'), sampled: meanOf('sampled')}};
}

/** [questions] ILR − GRPO, the mean of the agents. */
export function meanDifferences(
  ilr: readonly SoloEvaluation[],
  grpo: readonly SoloEvaluation[],
  kind: Answers,
): number[] {
  const questions = ilr[0]?.questionIds ?? [];
  return questions.map((_, q) =>
    mean(ilr.map((result, i) => (result[kind][q] as number) - (grpo[i]?.[kind][q] as number))),
  );
}
