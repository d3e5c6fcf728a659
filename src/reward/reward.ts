import {resolve} from 'node:path';
import {pathToFileURL} from 'node:url';
import type {RunConfig} from '../config.js';
import {IlrError, messageOf} from '../errors.js';
import type {Completion} from '../policy.js';
import type {Grade, Group, RewardFunction, Rollout, UngradedGroup} from '../types.js';
import {exactReward} from './exact.js';
import {mathReward} from './math-reward.js';
import {numericReward} from './numeric.js';

export interface GradeOptions {
  readonly reward: RewardFunction;
  readonly weights: Pick<RunConfig['reward'], 'correct' | 'wellFormed' | 'none'>;
  /** A reward function that has not answered by then has failed; a minute by default. */
  readonly timeoutMs?: number;
}

/** By the names that a configuration knows them by. */
export const rewardFunctions = {numeric: numericReward, math: mathReward, exact: exactReward};

/** Why a rollout is not trained on, where the reward function itself said so with `null`. */
export const ungradable = 'cannot be graded';

/**
The rollouts of a group: every completion with its reward. A reward function that throws, is late or returns nonsense costs its
rollout (`failure`), not the group.
*/
export async function gradeGroup(group: UngradedGroup, options: GradeOptions): Promise<Group> {
  const {completions, texts, ...rest} = group;
  const rollouts = await Promise.all(
    completions.map((completion, k) => gradeOne(group, completion, texts[k] as string, options)),
  );
  return {...rest, rollouts};
}

/**
The reward function that a configuration names: one of our own, or a module with a default export, relative to `baseFolder`.

@throws IlrError `ILR_INVALID_CONFIG` when the module does not load or exports no function.
*/
export async function loadRewardFunction(spec: string, baseFolder: string): Promise<RewardFunction> {
  if (Object.hasOwn(rewardFunctions, spec)) return rewardFunctions[spec as keyof typeof rewardFunctions];
  const file = resolve(baseFolder, spec);
  const loaded = await import(pathToFileURL(file).href).catch((cause: unknown) => {
    throw new IlrError(
      'ILR_INVALID_CONFIG',
      `Expected reward.function to be numeric, math, exact or a module, but ${file} did not load: ${messageOf(cause)}`,
      {cause},
    );
  });
  if (typeof loaded.default === 'function') return loaded.default as RewardFunction;
  throw new IlrError(
    'ILR_INVALID_CONFIG',
    `Expected the default export of ${file} to be a reward function, got ${typeof loaded.default}. ` +
      'Write: export default ({question, text, completion}) => ({isCorrect, isWellFormed}).',
  );
}

async function gradeOne(
  group: UngradedGroup,
  completion: Completion,
  text: string,
  {reward, weights, timeoutMs = 60_000}: GradeOptions,
): Promise<Rollout> {
  const failed = (failure: string): Rollout => ({
    completion,
    text,
    reward: weights.none,
    isCorrect: false,
    isWellFormed: false,
    failure,
  });
  try {
    const grade = await withTimeout((async () => reward({question: group.question, text, completion}))(), timeoutMs);
    if (grade === null) return failed(ungradable);
    requireGrade(grade);
    return {
      completion,
      text,
      isCorrect: grade.isCorrect,
      isWellFormed: grade.isWellFormed,
      reward: weigh(grade, weights),
      ...(grade.answer !== undefined && {answer: grade.answer}),
    };
  } catch (error) {
    return failed(messageOf(error));
  }
}

function weigh(grade: Grade, weights: GradeOptions['weights']): number {
  if (grade.reward !== undefined) return grade.reward;
  if (grade.isCorrect) return weights.correct;
  return grade.isWellFormed ? weights.wellFormed : weights.none;
}

function requireGrade(grade: Grade): void {
  const isGrade =
    typeof grade === 'object' &&
    typeof grade.isCorrect === 'boolean' &&
    typeof grade.isWellFormed === 'boolean' &&
    (grade.reward === undefined || Number.isFinite(grade.reward));
  if (isGrade) return;
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `Expected a reward function to return {isCorrect, isWellFormed, reward?: a finite number} or null, got ${JSON.stringify(grade)}.`,
  );
}

async function withTimeout<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new IlrError('ILR_INVALID_ARGUMENT', `Expected a grade within ${timeoutMs} ms, got none.`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
