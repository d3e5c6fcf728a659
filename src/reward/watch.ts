import type {Group, Rollout, Stage} from '../types.js';
import {ungradable} from './grade.js';

/** To be told of every graded group, in order. */
export type Watch = (groups: readonly (Group | undefined)[]) => void;

/** Rollouts in a row without one that could be read, after which something is wrong with the run and not with its luck. */
const alarming = 50;

interface Streak {
  /** Rollouts since the last well-formed one. */
  readonly length: number;
  readonly truncated: number;
  readonly failed: number;
  /** Length at which it is said again. */
  readonly alarm: number;
  /** Whose rollouts. */
  readonly of: readonly string[];
}

const none: Streak = {length: 0, truncated: 0, failed: 0, alarm: alarming, of: []};

/**
Says what a reward cannot read: how many rollouts failed, and why the first did; and, loudly, when of the run's rollouts, or of one agent's in
a stage, nothing was well-formed for 50 in a row, and again whenever that many have doubled.

@param agents - Names, by index.
*/
export function watchRollouts(agents: readonly string[], onWarning: (message: string) => void): Watch {
  const streaks = new Map<string, Streak>();
  /** @returns whether it was said, or is known already. */
  const see = (key: string, who: string, stage: Stage, rollouts: readonly Rollout[]): boolean => {
    const before = rollouts.reduce(goOn, streaks.get(key) ?? none);
    const streak = before.length === 0 ? none : {...before, of: [...new Set([...before.of, who])]};
    const isDue = streak.length >= streak.alarm;
    if (isDue) onWarning(alarm(stage, streak, rollouts.at(-1) as Rollout));
    streaks.set(key, isDue ? {...streak, alarm: 2 * streak.length} : streak);
    return streak.length >= alarming;
  };
  const nameOf = ({agent, stage}: Group) => `${agents[agent] ?? agent} (${stage})`;
  return (groups) => {
    const held = groups.filter((group) => group !== undefined);
    for (const who of new Set(held.map(nameOf))) {
      const rows = held.filter((group) => nameOf(group) === who);
      const {stage} = rows[0] as Group;
      warnOfFailures(who, rows, onWarning);
      const rollouts = rows.flatMap((group) => group.rollouts);
      if (rollouts.length === 0) continue;
      // What is true of all need not be said of each.
      if (!see('', who, stage, rollouts)) see(who, who, stage, rollouts);
    }
  };
}

function goOn(streak: Streak, {isWellFormed, failure, completion}: Rollout): Streak {
  if (isWellFormed && failure === undefined) return none;
  return {
    ...streak,
    length: streak.length + 1,
    truncated: streak.truncated + (completion.finishReason === 'stop' ? 0 : 1),
    failed: streak.failed + (failure === undefined ? 0 : 1),
  };
}

function warnOfFailures(who: string, groups: readonly Group[], onWarning: (message: string) => void): void {
  const all = groups.flatMap(({question, rollouts}) => rollouts.map(({failure}) => ({question, failure})));
  const failed = all.filter(({failure}) => failure !== undefined && failure !== ungradable);
  const [first] = failed;
  if (first === undefined) return;
  onWarning(
    `${failed.length} of ${all.length} completions of ${who} could not be graded (not trained on; wrong in an evaluation); ` +
      `the first, of question ${first.question.id}: ${oneLine(first.failure as string, 300)}`,
  );
}

function alarm(stage: Stage, {length, truncated, failed, of}: Streak, last: Rollout): string {
  const message = `NOTHING COULD BE READ in the last ${length} completions of ${of.join(', ')}: not one was well-formed. `;
  if (failed === length) {
    return `${message}The reward function failed on all of them, on the last with: ${oneLine(last.failure as string, 300)}. Mend it, or the answers that it compares with.`;
  }
  const {share, fuse} = {share: 'dialogue.maxNewTokens.share', fuse: 'dialogue.maxNewTokens.fuse'};
  const advice =
    2 * truncated > length
      ? `${truncated} were cut off: raise ${stage === 'solo' ? share : fuse}, or see that the model ends its answers (chat template, stop ids). `
      : `See that ${stage === 'solo' ? 'dialogue.prompts.share' : 'dialogue.prompts.fuse'} asks for the form that the reward looks for ` +
        '(by default \\boxed{}), or let it look elsewhere (reward.math.extract). ';
  return `${message}${advice}One ends: ${JSON.stringify(oneLine(last.text, 160))}`;
}

/** The end of a text where it is long, without what a terminal would obey or hide. */
function oneLine(text: string, most: number): string {
  const plain = text
    .slice(-4 * most)
    .replace(/\s+/g, ' ')
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu, '');
  return plain.length <= most && text.length <= 4 * most ? plain : `…${plain.slice(-most)}`;
}
