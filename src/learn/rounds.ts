import {sum} from '../statistics.js';
import type {Group} from '../types.js';
import type {TrainableGroup} from './batch.js';
import {minSpread, type StageCalibration} from './calibration.js';
import type {DialogueCounts} from './metrics.js';

/** What a step sampled: the questions asked, discussed, graded and calibrated. */
export interface Sampled {
  /** [N][Q] */
  readonly solo: readonly (readonly Group[])[];
  readonly talk: Talk;
  /** [stages][N] */
  readonly stages: readonly (readonly StageCalibration[])[];
}

/** Idea3 behind the shared ideas; empty for `grpo`. */
export interface Talk {
  /** [N][Q]; undefined where the dialogue did not fit. */
  readonly fusion: readonly (readonly (Group | undefined)[])[];
  /** [N] */
  readonly counts: readonly DialogueCounts[];
  /** [N] */
  readonly analysisTokens: readonly number[];
}

export const noTalk: Talk = {fusion: [], counts: [], analysisTokens: []};

/** Equal rewards give no advantage. */
export function hasSpread({rewards}: TrainableGroup): boolean {
  return Math.max(...rewards) - Math.min(...rewards) >= minSpread;
}

/**
The questions that dynamic sampling (DAPO, arXiv 2503.14476) replaces: those that teach nobody anything.

@param isShared - All agents discuss the same questions: one goes when no group of any agent and stage has spread.
@returns [N].
*/
export function questionsWithoutSpread({solo, talk, stages}: Sampled, isShared: boolean): number[] {
  const withSpread = new Set(stages.flat().flatMap(({groups}) => groups.filter(hasSpread).map(({group}) => group)));
  const isOf = (rows: readonly (readonly (Group | undefined)[])[], q: number) =>
    rows.some((row) => row[q] !== undefined && withSpread.has(row[q] as Group));
  return solo.map((row, i) => {
    const rows = isShared ? [...solo, ...talk.fusion] : [solo[i] as readonly Group[]];
    return row.filter((_, q) => !isOf(rows, q)).length;
  });
}

/** The rounds of a step as one. */
export function joinRounds(rounds: readonly Sampled[]): Sampled {
  const [first, ...rest] = rounds as [Sampled, ...Sampled[]];
  if (rest.length === 0) return first;
  const talks = rounds.map(({talk}) => talk);
  return {
    solo: first.solo.map((_, i) => rounds.flatMap(({solo}) => solo[i] ?? [])),
    talk: {
      fusion: first.talk.fusion.map((_, i) => talks.flatMap(({fusion}) => fusion[i] ?? [])),
      counts: first.talk.counts.map((_, i) => joinCounts(talks.flatMap(({counts}) => counts[i] ?? []))),
      analysisTokens: first.talk.analysisTokens.map((_, i) => sum(talks.map((talk) => talk.analysisTokens[i] ?? 0))),
    },
    stages: rounds.flatMap(({stages}) => stages),
  };
}

function joinCounts(counts: readonly DialogueCounts[]): DialogueCounts {
  const total = (pick: (each: DialogueCounts) => number) => sum(counts.map(pick));
  return {
    strategies: counts.flatMap(({strategies}) => strategies),
    truncatedAnalyses: total((each) => each.truncatedAnalyses),
    cutPeers: total((each) => each.cutPeers),
    held: total((each) => each.held),
  };
}
