import {IlrError} from '../errors.js';

export type Values = Readonly<Record<string, unknown>>;

/** One row of a data file, with its place for messages. What it holds is untrusted: names are looked up among its own alone. */
export class Row {
  readonly file: string;
  /** Its line in a file of JSON lines, else its place among the rows; from 1. */
  readonly number: number;
  readonly values: Values;
  private readonly at: string;

  /** As another row's message names this one. */
  get place(): string {
    return this.at.startsWith(':') && !this.at.startsWith(': ') ? `line ${this.at.slice(1)}` : this.at.slice(2);
  }

  /** @param at - the place as a message says it: `:12` (a line) or `: row 12`. */
  constructor(file: string, number: number, at: string, values: Values) {
    this.file = file;
    this.number = number;
    this.at = at;
    this.values = values;
  }

  /** The value of a field, by its name or by a path such as `choices.text.0`; undefined where there is none. */
  get(path: string): unknown {
    if (Object.hasOwn(this.values, path)) return this.values[path];
    let value: unknown = this.values;
    for (const part of path.split('.')) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
      value = (value as Values)[part];
    }
    return value;
  }

  /** Of several names (layouts differ), the first that the row has a value for. */
  first(...paths: readonly string[]): unknown {
    for (const path of paths) {
      const value = this.get(path);
      if (value !== undefined && value !== null) return value;
    }
    return undefined;
  }

  /** Text that is not blank. */
  text(...paths: readonly string[]): string {
    const value = this.first(...paths);
    return typeof value === 'string' && value.trim() !== ''
      ? value
      : this.fail(`text in the field ${names(paths)}`, this.describe(value));
  }

  /** Text, which may be missing or blank. */
  optionalText(...paths: readonly string[]): string | undefined {
    const value = this.first(...paths);
    return typeof value === 'string' && value.trim() !== '' ? value : undefined;
  }

  /** Text or a number, as text. */
  scalar(...paths: readonly string[]): string {
    const value = this.first(...paths);
    if (typeof value === 'string') return value;
    if (typeof value !== 'number')
      return this.fail(`text or a number in the field ${names(paths)}`, this.describe(value));
    return isExact(value)
      ? String(value)
      : this.fail(`a number of at most 15 digits in the field ${names(paths)}, or a longer one as text`, String(value));
  }

  texts(...paths: readonly string[]): readonly string[] {
    const value = this.first(...paths);
    return Array.isArray(value) && value.every((item) => typeof item === 'string')
      ? value
      : this.fail(`a list of texts in the field ${names(paths)}`, this.describe(value));
  }

  problem(expected: string, got: string): IlrError {
    return new IlrError('ILR_INVALID_DATA', `${this.file}${this.at}: expected ${expected}, got ${got}`);
  }

  fail(expected: string, got: string): never {
    throw this.problem(expected, got);
  }

  /** A value as a message shows it. */
  describe(value: unknown): string {
    // Not JSON.stringify: it overflows the stack on text that JSON.parse has read, when lists lie in lists deeply.
    if (typeof value === 'object' && value !== null)
      return Array.isArray(value) ? `a list of ${value.length}` : 'an object';
    if (value !== undefined) return quote(typeof value === 'string' ? JSON.stringify(value) : String(value));
    const known = Object.keys(this.values).map((name) => JSON.stringify(name));
    return `no such field; the line has ${known.slice(0, 12).join(', ') || 'none'}. data.fields (--field) names the fields`;
  }
}

export function quote(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return JSON.stringify(short);
}

function names(paths: readonly string[]): string {
  return paths.map((path) => JSON.stringify(path)).join(' or ');
}

/** False of what JSON wrote with more digits than a double holds: the last ones would be others. */
function isExact(value: number): boolean {
  if (!Number.isFinite(value)) return false;
  if (!Number.isInteger(value) || Number.isSafeInteger(value)) return true;
  const digits = String(Math.abs(value)).replace(/e.*$/, '').replace('.', '').replace(/0+$/, '');
  return digits.length <= 15;
}
