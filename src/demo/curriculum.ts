import {createHash} from 'node:crypto';
import type {Random} from '../random.js';
import type {Question} from '../types.js';
import {slip} from './habits.js';
import {answerOf, calculate, canonicalKey, type Operation, type Sum, sumText} from './sums.js';

export type Split = 'train' | 'validation' | 'test';

/** A sum's level is the number of its operations. */
export const levels = [2, 3, 4] as const;

const smallest = 10;
const largest = 99;

/** By a hash of the canonical key, so that no variant of a test question is trained on: 2 of 20 test, 1 validation, 17 train. */
export function splitOf(sum: Sum): Split {
  const bucket = createHash('sha256').update(canonicalKey(sum)).digest().readUInt32LE(0) % 20;
  if (bucket < 2) return 'test';
  return bucket === 2 ? 'validation' : 'train';
}

export function drawSum(random: Random, split: Split, level: number): Sum {
  for (;;) {
    const sum = {
      start: smallest + random.below(largest - smallest + 1),
      operations: Array.from({length: level}, () => drawOperation(random)),
    };
    if (staysTwoDigits(sum) && splitOf(sum) === split) return sum;
  }
}

export function drawLevel(random: Random): number {
  return levels[random.below(levels.length)] as number;
}

/** `count` questions, the levels in turn, no two of them variants of each other. */
export function drawQuestions(random: Random, split: Split, count: number): Question[] {
  const drawn = new Map<string, Question>();
  while (drawn.size < count) {
    const sum = drawSum(random, split, levels[drawn.size % levels.length] as number);
    const key = canonicalKey(sum);
    if (!drawn.has(key)) drawn.set(key, questionOf(sum));
  }
  return [...drawn.values()];
}

export function questionOf(sum: Sum): Question {
  const text = sumText(sum);
  return {id: text, text, answer: `${answerOf(sum)}`, level: sum.operations.length};
}

/** Whatever slips are made on the way: then lines of one place stand at one place in all answers, which tiny models need to compare them. */
export function staysTwoDigits({start, operations}: Sum): boolean {
  let values = [start];
  for (const operation of operations) {
    values = [...new Set(values.flatMap((value) => resultsOf(value, operation)))];
    if (values.some((value) => value < smallest || value > largest)) return false;
  }
  return true;
}

function resultsOf(value: number, operation: Operation): number[] {
  return [
    calculate(value, operation),
    slip('forgets-carries', value, operation),
    slip('mis-borrows', value, operation),
  ].filter((result) => result !== undefined);
}

function drawOperation(random: Random): Operation {
  return {sign: random.below(2) === 0 ? '+' : '-', operand: 2 + random.below(8)};
}
