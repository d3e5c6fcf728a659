import type {Policy, TrainingBatch, UpdateOptions} from '../policy.js';
import {ragged} from '../ragged.js';
import type {Random} from '../random.js';
import type {Strategy} from '../types.js';
import {type Classroom, dialogueLesson, type Lesson, type Partner, rankingLesson, soloLesson} from './lessons.js';

/** Found with a prototype; docs/log.md has the figures. */
export const warmStart = {
  tokens: 2_000_000,
  /** Share of the tokens before which there are solo answers only: sums come before talking about them. */
  talkFrom: 0.125,
  tokensPerStep: 500,
  learningRate: 2e-3,
  warmupSteps: 20,
  /** Share of the tokens after which the learning rate falls linearly, to a twentieth at the end. */
  decayFrom: 0.65,
  solo: 0.12,
  ranking: 0.13,
  /** Of the dialogues. */
  partners: {peer: 0.45, copy: 0.35},
} as const;

export interface WarmStartProgress {
  readonly tokens: number;
  readonly total: number;
  /** Mean of the last steps, nats per token. */
  readonly loss: number;
}

export interface WarmStartOptions {
  readonly classroom: Classroom;
  /** `warmStart.tokens` when left out. */
  readonly tokens?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: WarmStartProgress) => void;
}

/** Supervised learning from lessons: how to answer, with the learner's habit, to take part in a dialogue, and to rank questions. */
export async function warmUp(policy: Policy, options: WarmStartOptions): Promise<void> {
  const {classroom, tokens: total = warmStart.tokens, signal, onProgress} = options;
  let loss = Number.NaN;
  for (let tokens = 0; tokens < total; ) {
    const lessons = drawLessons(classroom, tokens / total);
    const result = await policy.update(toBatch(lessons), {...optimizerAt(tokens / total), signal});
    loss = Number.isNaN(loss) ? result.loss : 0.95 * loss + 0.05 * result.loss;
    tokens += countTokens(lessons);
    onProgress?.({tokens: Math.min(tokens, total), total, loss});
  }
}

/** @param done - Share of the tokens behind. */
export function learningRateAt(done: number): number {
  const {decayFrom, learningRate} = warmStart;
  return learningRate * (done < decayFrom ? 1 : Math.max(0.05, 1 - (0.95 * (done - decayFrom)) / (1 - decayFrom)));
}

/** Lessons as one supervised batch: whole chats, trained where the agent itself speaks. */
export function toBatch(lessons: readonly Lesson[]): TrainingBatch {
  const size = lessons.length;
  const completions = ragged(lessons.map((lesson) => lesson.ids));
  return {
    prompts: ragged([new Int32Array(0)]),
    completions: {
      ...completions,
      promptIndex: new Int32Array(size),
      mask: Uint8Array.from(lessons.flatMap((lesson) => [...lesson.mask])),
      samplerLogprobs: new Float32Array(completions.ids.length),
    },
    rewards: new Float64Array(size),
    groupIndex: new Int32Array(size),
    extraAdvantage: new Float64Array(size),
    stage: new Uint8Array(size),
    stageWeights: Float64Array.of(1),
  };
}

function optimizerAt(done: number): UpdateOptions {
  return {
    loss: 'nll',
    learningRate: learningRateAt(done),
    warmupSteps: warmStart.warmupSteps,
    beta1: 0.9,
    beta2: 0.95,
    maxGradNorm: 1,
  };
}

function drawLessons(classroom: Classroom, done: number): Lesson[] {
  const lessons: Lesson[] = [];
  while (countTokens(lessons) < warmStart.tokensPerStep) lessons.push(drawLesson(classroom, done));
  return lessons;
}

function drawLesson(classroom: Classroom, done: number): Lesson {
  const {random} = classroom;
  const kind = random.next();
  if (done < warmStart.talkFrom || kind < warmStart.solo) return soloLesson(classroom);
  if (kind < warmStart.solo + warmStart.ranking) return rankingLesson(classroom);
  return dialogueLesson(classroom, drawPartner(random), drawStrategy(random));
}

function drawPartner(random: Random): Partner {
  const {peer, copy} = warmStart.partners;
  const draw = random.next();
  if (draw < peer) return 'peer';
  return draw < peer + copy ? 'copy' : 'itself';
}

function drawStrategy(random: Random): Strategy {
  return random.below(2) === 0 ? 'cooperative' : 'competitive';
}

function countTokens(lessons: readonly Lesson[]): number {
  return lessons.reduce((sum, lesson) => sum + lesson.ids.length, 0);
}
