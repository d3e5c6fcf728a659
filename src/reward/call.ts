import {IlrError, messageOf} from '../errors.js';
import {withRelay} from '../relay.js';
import type {Grade, PartScore, RewardContext, RewardInput, ScoreFunction} from '../types.js';

export interface CallOptions {
  /** A function that has not answered by then has failed; one that `keepsTime` is not timed. */
  readonly timeoutMs: number;
  /** Of the run. */
  readonly signal?: AbortSignal;
  readonly options?: Readonly<Record<string, unknown>>;
}

/** What a function said of one completion, or why it said nothing. */
export type Outcome<S extends PartScore> = {readonly score: S} | {readonly failure: string};

/** What a function may say. */
export interface Kind<S extends PartScore> {
  readonly words: string;
  is(score: unknown): score is S;
}

/** Of a reward function that stands alone. */
export const wholeGrade: Kind<Grade | null> = {
  words: 'a reward function to return {isCorrect, isWellFormed, reward?: a finite number} or null',
  is: (score): score is Grade | null =>
    score === null || (isPartialGrade(score) && score.isCorrect !== undefined && score.isWellFormed !== undefined),
};

/** Of a part of a composed reward. */
export const partScore: Kind<PartScore> = {
  words: 'a part of a reward to return a finite number, {reward: a finite number, isCorrect?, isWellFormed?} or null',
  is: (score): score is PartScore =>
    Number.isFinite(score) || wholeGrade.is(score) || (isPartialGrade(score) && score.reward !== undefined),
};

/** Of a reason that a function gives; it stands in transcripts and warnings. */
const maxReason = 500;

/**
Scores completions by a function of any kind: in one call where it has `batch`, else one by one, all at once. What throws, is late or
returns nonsense costs its completions alone: one, or with `batch` all of them.

@returns [inputs]
@throws IlrError `ILR_ABORTED` as soon as `signal` fires, whatever the function does.
*/
export async function callFunction<S extends PartScore>(
  reward: ScoreFunction,
  kind: Kind<S>,
  inputs: readonly RewardInput[],
  options: CallOptions,
): Promise<Outcome<S>[]> {
  if (reward.batch === undefined) return Promise.all(inputs.map((input) => callOnce(reward, kind, input, options)));
  try {
    const scores = await inTime(reward, options, async (context) => reward.batch?.(inputs, context));
    if (!Array.isArray(scores) || scores.length !== inputs.length) {
      throw new IlrError(
        'ILR_INVALID_ARGUMENT',
        `Expected batch of a reward function to return ${inputs.length} grades, one for each input, got ` +
          `${Array.isArray(scores) ? scores.length : show(scores)}.`,
      );
    }
    return scores.map((score: unknown) => (score instanceof Error ? failureOf(score) : outcomeOf(kind, score)));
  } catch (error) {
    throwIfAborted(options.signal);
    return inputs.map(() => failureOf(error));
  }
}

async function callOnce<S extends PartScore>(
  reward: ScoreFunction,
  kind: Kind<S>,
  input: RewardInput,
  options: CallOptions,
): Promise<Outcome<S>> {
  try {
    return outcomeOf(kind, await inTime(reward, options, async (context) => reward(input, context)));
  } catch (error) {
    throwIfAborted(options.signal);
    return failureOf(error);
  }
}

/** Runs `work` until it ends, is late, or the run is aborted; the last two fire the signal that it was given. */
function inTime<T>(
  {keepsTime}: ScoreFunction,
  {timeoutMs, signal, options}: CallOptions,
  work: (context: RewardContext) => Promise<T>,
): Promise<T> {
  throwIfAborted(signal);
  return withRelay(signal, async (controller) => {
    const ended = new Promise<never>((_, reject) => {
      controller.signal.addEventListener('abort', () => reject(controller.signal.reason), {once: true});
    });
    const late = () =>
      controller.abort(new IlrError('ILR_INVALID_ARGUMENT', `Expected a grade within ${timeoutMs} ms, got none.`));
    const timer = keepsTime ? undefined : setTimeout(late, timeoutMs);
    try {
      return await Promise.race([work({signal: controller.signal, ...(options && {options})}), ended]);
    } finally {
      clearTimeout(timer);
    }
  });
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted();
}

function aborted(): IlrError {
  return new IlrError('ILR_ABORTED', 'The run was aborted.');
}

function failureOf(error: unknown): {readonly failure: string} {
  return {failure: messageOf(error).slice(0, maxReason) || 'an error without a message'};
}

function outcomeOf<S extends PartScore>({is, words}: Kind<S>, score: unknown): Outcome<S> {
  return is(score) ? {score} : failureOf(`Expected ${words}, got ${show(score)}.`);
}

function isPartialGrade(score: unknown): score is Partial<Grade> {
  if (typeof score !== 'object' || score === null) return false;
  const {isCorrect, isWellFormed, reward, answer, parts} = score as Partial<Grade>;
  const isOptional = (value: unknown, type: string) => value === undefined || typeof value === type;
  return (
    isOptional(isCorrect, 'boolean') &&
    isOptional(isWellFormed, 'boolean') &&
    (reward === undefined || Number.isFinite(reward)) &&
    isOptional(answer, 'string') &&
    (parts === undefined || areNumbers(parts))
  );
}

function areNumbers(parts: unknown): boolean {
  return (
    typeof parts === 'object' && parts !== null && !Array.isArray(parts) && Object.values(parts).every(Number.isFinite)
  );
}

function show(value: unknown): string {
  try {
    return JSON.stringify(value)?.slice(0, 200) ?? String(value);
  } catch {
    return typeof value; // a bigint in it, or a circle
  }
}
