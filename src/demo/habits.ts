import type {Random} from '../random.js';
import {calculate, type Operation, type Sum} from './sums.js';

/** What a learner often gets wrong, always in the same way. */
export type Habit = 'forgets-carries' | 'mis-borrows';

export interface Learner {
  readonly habit: Habit;
  /** Share of the lines open to the habit in which it shows. */
  readonly rate: number;
}

/** One line of a worked answer: `before sign operand = after`. */
export interface Line extends Operation {
  readonly before: number;
  readonly after: number;
}

/** How often the right one of two different results is taken in a dialogue. */
const discernment = 0.95;

/** The wrong result that a habit gives, undefined where it has nothing to get wrong: 47+5=42, 43-7=44. */
export function slip(habit: Habit, value: number, {sign, operand}: Operation): number | undefined {
  const ones = value % 10;
  if (habit === 'forgets-carries') return sign === '+' && ones + operand > 9 ? value + operand - 10 : undefined;
  return sign === '-' && ones < operand ? value - ones + (operand - ones) : undefined;
}

/** A worked answer with the learner's habit; later lines go on from a wrong value. */
export function solve(random: Random, learner: Learner, sum: Sum): Line[] {
  return work(sum, (value, operation) => attempt(random, learner, value, operation));
}

/**
What the learner answers after a dialogue: its own lines again and, at a value it has not met, a new attempt with the same habit. Only
where the peer shows the same line with another result does it take one of the two, nearly always the right one: what fusion gains is
the peer's.
*/
export function fuse(
  random: Random,
  learner: Learner,
  sum: Sum,
  ideas: {readonly own: readonly Line[]; readonly peer: readonly Line[]},
): Line[] {
  return work(sum, (value, operation, place) => {
    const mine = resultOf(ideas.own[place], value) ?? attempt(random, learner, value, operation);
    const theirs = resultOf(ideas.peer[place], value) ?? mine;
    const isMineRight = mine === calculate(value, operation);
    return isMineRight === random.next() < discernment ? mine : theirs;
  });
}

/** The lines where two worked answers part. */
export function firstDifference(own: readonly Line[], peer: readonly Line[]): readonly [Line, Line] | undefined {
  const place = own.findIndex((line, i) => line.after !== peer[i]?.after);
  return place === -1 ? undefined : [own[place] as Line, peer[place] as Line];
}

function work(sum: Sum, result: (value: number, operation: Operation, place: number) => number): Line[] {
  const lines: Line[] = [];
  let before = sum.start;
  for (const [place, operation] of sum.operations.entries()) {
    const after = result(before, operation, place);
    lines.push({...operation, before, after});
    before = after;
  }
  return lines;
}

function attempt(random: Random, {habit, rate}: Learner, value: number, operation: Operation): number {
  const wrong = slip(habit, value, operation);
  return wrong !== undefined && random.next() < rate ? wrong : calculate(value, operation);
}

function resultOf(line: Line | undefined, value: number): number | undefined {
  return line?.before === value ? line.after : undefined;
}
