import type {RunConfig} from '../config.js';
import {IlrError, messageOf} from '../errors.js';
import type {Grade, Group, Question, RewardFunction, RewardInput, Rollout, UngradedGroup} from '../types.js';
import {callFunction, type Outcome, wholeGrade} from './call.js';

/** What a grade is worth that brings no reward of its own. */
export type Weights = Pick<RunConfig['reward'], 'correct' | 'wellFormed' | 'none'>;

export interface GradeOptions {
  readonly reward: RewardFunction;
  readonly weights: Weights;
  /** A reward function that has not answered by then has failed; a minute by default. */
  readonly timeoutMs?: number;
  /** `reward.options`, for a module of one's own. */
  readonly options?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
  /** Of the group's stage. */
  readonly maxNewTokens?: number;
}

export const defaultTimeoutMs = 60_000;

/** Why a rollout is not trained on, where the reward function itself said so with `null`. */
export const ungradable = 'cannot be graded';

/**
The rollouts of a group: every completion with its reward. A reward function that throws, is late or returns nonsense costs its
rollout (`failure`), not the group; one that grades the whole group at once costs the group's rollouts.

@throws IlrError `ILR_ABORTED` when `signal` fires.
*/
export async function gradeGroup(group: UngradedGroup, given: GradeOptions): Promise<Group> {
  const {reward, weights, timeoutMs = defaultTimeoutMs, signal, options} = given;
  const {completions, texts, ...rest} = group;
  const inputs = completions.map((completion, k): RewardInput => {
    const text = texts[k] as string;
    return {question: group.question, text, completion, stage: group.stage, maxNewTokens: given.maxNewTokens};
  });
  const outcomes = await callFunction(reward, wholeGrade, inputs, {timeoutMs, signal, options});
  const rollouts = completions.map((completion, k) => ({
    completion,
    text: texts[k] as string,
    ...graded(outcomes[k] as Outcome<Grade | null>, weights),
  }));
  return {...rest, rollouts};
}

/** The reward of a grade. */
export function weigh(grade: Grade, weights: Weights): number {
  if (grade.reward !== undefined) return grade.reward;
  if (grade.isCorrect) return weights.correct;
  return grade.isWellFormed ? weights.wellFormed : weights.none;
}

/**
Tells a reward function of all questions, before anything is sampled.

@throws IlrError `ILR_REWARD` with what it throws.
*/
export async function prepareReward(reward: RewardFunction, questions: readonly Question[]): Promise<void> {
  try {
    await reward.prepare?.(questions);
  } catch (cause) {
    throw hookFailure('prepare', cause);
  }
}

/** The questions whose gold answer can be graded; the others are reported. To be called behind the function's `prepare`. */
export function gradableQuestions(
  name: string,
  given: readonly Question[],
  reward: RewardFunction,
  onWarning: (message: string) => void,
): readonly Question[] {
  const skipped = new Set(given.filter((question) => !isAccepted(question, reward)));
  const [first] = skipped;
  if (first === undefined) return given;
  onWarning(
    `Skipped ${skipped.size} of ${given.length} ${name} questions whose answer cannot be graded; ` +
      `the first is ${first.id} with answer ${JSON.stringify(first.answer.slice(0, 80))}.`,
  );
  return given.filter((question) => !skipped.has(question));
}

function isAccepted(question: Question, reward: RewardFunction): boolean {
  try {
    return reward.accepts?.(question) !== false;
  } catch (cause) {
    throw hookFailure(`accepts, of question ${question.id},`, cause);
  }
}

function hookFailure(hook: string, cause: unknown): IlrError {
  if (IlrError.is(cause)) return cause;
  return new IlrError(
    'ILR_REWARD',
    `Expected ${hook} of the reward function to go well, it threw: ${messageOf(cause)}`,
    {
      cause,
    },
  );
}

function graded(outcome: Outcome<Grade | null>, weights: Weights): Omit<Rollout, 'completion' | 'text'> {
  if ('failure' in outcome) return failed(outcome.failure, weights);
  const {score} = outcome;
  if (score === null) return failed(ungradable, weights);
  const {isCorrect, isWellFormed, answer, parts} = score;
  return {
    isCorrect,
    isWellFormed,
    reward: weigh(score, weights),
    ...(answer !== undefined && {answer}),
    ...(parts !== undefined && {parts}),
  };
}

function failed(failure: string, weights: Weights): Omit<Rollout, 'completion' | 'text'> {
  return {reward: weights.none, isCorrect: false, isWellFormed: false, failure};
}
