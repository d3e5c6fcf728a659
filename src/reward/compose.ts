import {IlrError} from '../errors.js';
import type {Grade, PartScore, Question, RewardContext, RewardFunction, RewardInput, ScoreFunction} from '../types.js';
import {callFunction, type Outcome, partScore} from './call.js';
import {defaultTimeoutMs, type Weights, weigh} from './grade.js';

export interface RewardPart {
  /** Of its metric, `<agent>/reward/<name>/<stage>`. */
  readonly name: string;
  readonly function: ScoreFunction;
  /** 1 when left out. */
  readonly weight?: number;
  /** A part that has not answered by then has failed; a minute by default. */
  readonly timeoutMs?: number;
  /** Handed to the function as `context.options`. */
  readonly options?: Readonly<Record<string, unknown>>;
}

const defaultWeights: Weights = {correct: 1, wellFormed: 0.1, none: 0};

/**
One reward function of several: R = Σ_p w_p·r_p, where r_p is what part p gives alone. An answer is correct, and well-formed, when every
part says so that speaks of it. Where one part fails or says `null`, so does the whole: a sum that lacks a term is another reward.

@param weights - What a grade without a reward of its own is worth; of every part.
@throws IlrError `ILR_INVALID_ARGUMENT` without parts, with two of one name, or with a weight that is not finite.
*/
export function composeReward(parts: readonly RewardPart[], weights: Weights = defaultWeights): RewardFunction {
  requireParts(parts);
  const batch = async (inputs: readonly RewardInput[], context?: RewardContext) => {
    const scores = await Promise.all(parts.map((part) => scorePart(part, inputs, context)));
    return inputs.map((_, k) =>
      combine(
        parts,
        scores.map((row) => row[k] as Outcome<PartScore>),
        weights,
      ),
    );
  };
  const sameAnswer = parts.find((part) => part.function.sameAnswer)?.function.sameAnswer;
  return Object.assign(
    async (input: RewardInput, context?: RewardContext) => {
      const [grade] = await batch([input], context);
      if (grade instanceof Error) throw grade;
      return grade as Grade | null;
    },
    {
      batch,
      keepsTime: true,
      ...(sameAnswer && {sameAnswer}),
      async prepare(questions: readonly Question[]) {
        for (const part of parts) await part.function.prepare?.(questions);
      },
      accepts: (question: Question) => parts.every((part) => part.function.accepts?.(question) !== false),
      async close() {
        const closed = await Promise.allSettled(parts.map(async (part) => part.function.close?.()));
        for (const result of closed) if (result.status === 'rejected') throw result.reason;
      },
    },
  );
}

function scorePart(part: RewardPart, inputs: readonly RewardInput[], context: RewardContext | undefined) {
  const {timeoutMs = defaultTimeoutMs, options} = part;
  return callFunction(part.function, partScore, inputs, {timeoutMs, options, signal: context?.signal});
}

function combine(parts: readonly RewardPart[], outcomes: readonly Outcome<PartScore>[], weights: Weights) {
  const grades: Partial<Grade>[] = [];
  for (const [p, outcome] of outcomes.entries()) {
    if ('failure' in outcome) return new Error(`${parts[p]?.name}: ${outcome.failure}`);
    if (outcome.score === null) return null;
    grades.push(typeof outcome.score === 'number' ? {reward: outcome.score} : outcome.score);
  }
  const claims = (pick: (grade: Partial<Grade>) => boolean | undefined) =>
    grades.map(pick).filter((claim) => claim !== undefined);
  const correct = claims(({isCorrect}) => isCorrect);
  if (correct.length === 0) return new Error(nobodyJudges);
  const values = grades.map((grade) => grade.reward ?? weigh(grade as Grade, weights));
  const answer = grades.find((grade) => grade.answer !== undefined)?.answer;
  return {
    isCorrect: correct.every(Boolean),
    isWellFormed: claims(({isWellFormed}) => isWellFormed).every(Boolean),
    reward: values.reduce((total, value, p) => total + (parts[p]?.weight ?? 1) * value, 0),
    parts: Object.fromEntries(parts.map(({name}, p) => [name, values[p] as number])),
    ...(answer !== undefined && {answer}),
  };
}

const nobodyJudges =
  'Expected one part at least to say whether the answer is correct, none did. Add a grader (weight: 0 where it is not to count), ' +
  'or return isCorrect and isWellFormed.';

function requireParts(parts: readonly RewardPart[]): void {
  const names = parts.map(({name}) => name);
  const twice = names.find((name, p) => names.indexOf(name) !== p);
  const odd = parts.find(({weight}) => weight !== undefined && !Number.isFinite(weight));
  const got =
    parts.length === 0
      ? 'none'
      : twice !== undefined
        ? `${JSON.stringify(twice)} twice`
        : odd && `weight ${odd.weight} of ${JSON.stringify(odd.name)}`;
  if (got === undefined) return;
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `Expected at least one part, each with a name of its own and a finite weight, got ${got}.`,
  );
}
