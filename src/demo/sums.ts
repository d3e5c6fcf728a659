/** A chain sum: a two-digit number, then additions and subtractions of digits, such as `49-6+8-3`. */
export interface Sum {
  readonly start: number;
  readonly operations: readonly Operation[];
}

export interface Operation {
  readonly sign: '+' | '-';
  /** 2 to 9. */
  readonly operand: number;
}

export function calculate(value: number, {sign, operand}: Operation): number {
  return sign === '+' ? value + operand : value - operand;
}

export function answerOf({start, operations}: Sum): number {
  return operations.reduce(calculate, start);
}

export function sumText({start, operations}: Sum): string {
  return `${start}${operations.map(operationText).join('')}`;
}

export function operationText({sign, operand}: Operation): string {
  return `${sign}${operand}`;
}

/** One for every order of the operations: a sum and its trivial variants share it. */
export function canonicalKey({start, operations}: Sum): string {
  return `${start}${operations.map(operationText).sort().join('')}`;
}
