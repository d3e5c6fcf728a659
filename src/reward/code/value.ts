/**
What a Python program returned, as `python/values.py` writes it. Text from the sandbox is the program's word: anything may stand there, and
nothing but its meaning as a value is used.
*/
export type PyValue =
  | {readonly kind: 'none'}
  | {readonly kind: 'bool'; readonly value: boolean}
  | {readonly kind: 'int'; readonly value: bigint}
  | {readonly kind: 'float'; readonly value: number}
  | {readonly kind: 'complex'; readonly real: number; readonly imaginary: number}
  /** `surrogates`: text with half pairs, which JSON cannot tell from whole ones; its code points in UTF-8's way, as hex. */
  | {readonly kind: 'str' | 'surrogates' | 'bytes'; readonly value: string}
  | {readonly kind: 'list' | 'tuple' | 'set' | 'deque'; readonly items: readonly PyValue[]}
  /** `length`, `start`, `step`, of an empty range all 0, so that equal ranges are equal lists. */
  | {readonly kind: 'range'; readonly items: readonly PyValue[]}
  | {readonly kind: 'dict' | 'ordered'; readonly entries: readonly (readonly [PyValue, PyValue])[]}
  /** Of a type that is no built-in, or too large: equal to nothing. */
  | {readonly kind: 'other'; readonly name: string};

/** The Python side stops at 64. */
const maxDepth = 70;

/** @throws SyntaxError when `data` (parsed JSON) is none of the forms. */
export function decodeValue(data: unknown, depth = maxDepth): PyValue {
  if (data === null) return {kind: 'none'};
  if (typeof data === 'boolean') return {kind: 'bool', value: data};
  if (typeof data === 'string') return {kind: 'str', value: data};
  if (typeof data === 'number' && Number.isSafeInteger(data)) return {kind: 'int', value: BigInt(data)};
  if (!Array.isArray(data) || depth === 0) return malformed();
  const [tag, ...rest] = data as unknown[];
  const items = () => rest.map((item) => decodeValue(item, depth - 1));
  switch (tag) {
    case 'i':
      return {kind: 'int', value: hexadecimal(rest[0])};
    case 'f':
      return {kind: 'float', value: float(rest[0])};
    case 'c':
      return {kind: 'complex', real: float(rest[0]), imaginary: float(rest[1])};
    case 'b':
      return {kind: 'bytes', value: text(rest[0])};
    case 'u':
      return {kind: 'surrogates', value: text(rest[0])};
    case 'l':
      return {kind: 'list', items: items()};
    case 't':
      return {kind: 'tuple', items: items()};
    case 's':
      return {kind: 'set', items: items()};
    case 'q':
      return {kind: 'deque', items: items()};
    case 'r':
      return {kind: 'range', items: items()};
    case 'd':
      return {kind: 'dict', entries: pairs(items())};
    case 'o':
      return {kind: 'ordered', entries: pairs(items())};
    case 'x':
      return {kind: 'other', name: text(rest[0])};
    default:
      return malformed();
  }
}

/** What `decodeValue` reads. */
export function encodeValue(value: PyValue): unknown {
  switch (value.kind) {
    case 'none':
      return null;
    case 'bool':
    case 'str':
      return value.value;
    case 'int':
      return ['i', `${value.value < 0n ? '-' : ''}0x${(value.value < 0n ? -value.value : value.value).toString(16)}`];
    case 'float':
      return ['f', floatText(value.value)];
    case 'complex':
      return ['c', floatText(value.real), floatText(value.imaginary)];
    case 'dict':
    case 'ordered':
      return [value.kind[0], ...value.entries.flat().map(encodeValue)];
    case 'list':
    case 'tuple':
    case 'set':
    case 'range':
      return [value.kind[0], ...value.items.map(encodeValue)];
    case 'deque':
      return ['q', ...value.items.map(encodeValue)];
    case 'other':
      return ['x', value.name];
    default:
      return [value.kind === 'bytes' ? 'b' : 'u', value.value];
  }
}

function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  return Object.is(value, -0) ? '-0.0' : String(value);
}

function malformed(): never {
  throw new SyntaxError('not a value as python/values.py writes them');
}

function text(data: unknown): string {
  return typeof data === 'string' ? data : malformed();
}

function hexadecimal(data: unknown): bigint {
  const match = /^(-?)(0x[0-9a-f]+)$/.exec(text(data));
  if (!match) return malformed();
  const size = BigInt(match[2] as string);
  return match[1] ? -size : size;
}

/** As Python's repr writes them: JavaScript reads the same shortest decimals, but other words. */
function float(data: unknown): number {
  const words: Readonly<Record<string, number>> = {
    inf: Number.POSITIVE_INFINITY,
    '-inf': Number.NEGATIVE_INFINITY,
    nan: Number.NaN,
  };
  const written = text(data);
  if (Object.hasOwn(words, written)) return words[written] as number;
  return /^-?\d+(?:\.\d+)?(?:e[+-]\d+)?$/.test(written) ? Number(written) : malformed();
}

function pairs(items: readonly PyValue[]): (readonly [PyValue, PyValue])[] {
  if (items.length % 2 === 1) malformed();
  return Array.from({length: items.length / 2}, (_, i) => [items[2 * i] as PyValue, items[2 * i + 1] as PyValue]);
}

/** As Python's repr has it, more or less, for people; at most `room` characters. */
export function showValue(value: PyValue, room = 80): string {
  const shown = show(value, room);
  return shown.length > room ? `${shown.slice(0, room - 1)}…` : shown;
}

const brackets = {list: '[]', tuple: '()', set: '{}', deque: '[]', range: '()'} as const;

function show(value: PyValue, room: number): string {
  if (room <= 0) return '…';
  switch (value.kind) {
    case 'none':
      return 'None';
    case 'bool':
      return value.value ? 'True' : 'False';
    case 'int':
      // the decimals of a huge number take long
      return value.value < 2n ** 400n && value.value > -(2n ** 400n) ? String(value.value) : 'a huge number';
    case 'float':
      return Number.isInteger(value.value) && Math.abs(value.value) < 1e16
        ? value.value.toFixed(1)
        : String(value.value);
    case 'complex':
      return `(${value.real}+${value.imaginary}j)`;
    case 'str':
      return JSON.stringify(value.value.slice(0, room));
    case 'other':
      return /^too large/.test(value.name) ? `something ${value.name}` : `a ${value.name}`;
    case 'bytes':
    case 'surrogates':
      return `${value.kind} ${value.value.slice(0, room)}`;
    case 'dict':
    case 'ordered':
      return `{${list(value.entries, room, ([key, item], left) => `${show(key, left)}: ${show(item, left)}`)}}`;
    default: {
      const [open, close] = brackets[value.kind];
      const only = value.kind === 'tuple' && value.items.length === 1 ? ',' : '';
      const name = value.kind === 'deque' || value.kind === 'range' ? value.kind : '';
      return `${name}${open}${list(value.items, room, show)}${only}${close}`;
    }
  }
}

function list<T>(items: readonly T[], room: number, one: (item: T, left: number) => string): string {
  let shown = '';
  for (const item of items) {
    if (shown.length > room) break;
    shown += `${shown && ', '}${one(item, room - shown.length)}`;
  }
  return shown;
}
