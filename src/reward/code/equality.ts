import type {PyValue} from './value.js';

/**
Python's `==` between built-in values: 1, 1.0 and True are one number, of any size exactly; nan equals nothing; lists, tuples and deques equal
only their own kind; dicts whatever their order, OrderedDicts among themselves by it; sets and frozensets by their elements.

`isNear` may call two unequal numbers equal where the first is a float (in sets and as keys, where hashing decides, it is not asked).
*/
export function areEqual(expected: PyValue, got: PyValue, isNear: (expected: number, got: number) => boolean): boolean {
  const equal = (a: PyValue, b: PyValue) => areEqual(a, b, isNear);
  if (expected.kind === 'other' || got.kind === 'other') return false;
  const numbers = [toNumber(expected), toNumber(got)] as const;
  if (numbers[0] !== undefined && numbers[1] !== undefined) {
    const isExact = isSameNumber(numbers[0], numbers[1]);
    return isExact || (expected.kind === 'float' && isNear(expected.value, Number(numbers[1])));
  }
  if (expected.kind === 'complex' || got.kind === 'complex') return areEqualComplex(expected, got, equal);
  if ('entries' in expected && 'entries' in got) {
    const areOrdered = expected.kind === 'ordered' && got.kind === 'ordered';
    return areOrdered ? areEqualInOrder(expected.entries, got.entries, equal) : areEqualDicts(expected, got, equal);
  }
  if (expected.kind !== got.kind) return false;
  if (expected.kind === 'set') return keyOf(expected) === keyOf(got);
  if ('items' in expected && 'items' in got) {
    const {items} = got;
    return (
      expected.items.length === items.length && expected.items.every((item, i) => equal(item, items[i] as PyValue))
    );
  }
  if ('value' in expected && 'value' in got) return expected.value === got.value;
  return expected.kind === 'none';
}

/** A bool is a number in Python. Neither complex nor undefined: no number. */
export function toNumber(value: PyValue): bigint | number | undefined {
  if (value.kind === 'bool') return value.value ? 1n : 0n;
  return value.kind === 'int' || value.kind === 'float' ? value.value : undefined;
}

/** JavaScript compares a bigint with a number by their exact sizes, as Python does. */
function isSameNumber(a: bigint | number, b: bigint | number): boolean {
  return a <= b && a >= b;
}

type Equal = (a: PyValue, b: PyValue) => boolean;

function areEqualComplex(a: PyValue, b: PyValue, equal: Equal): boolean {
  const [left, right] = [parts(a), parts(b)];
  return left !== undefined && right !== undefined && left.every((part, i) => equal(part, right[i] as PyValue));
}

function parts(value: PyValue): readonly [PyValue, PyValue] | undefined {
  if (value.kind !== 'complex') return toNumber(value) === undefined ? undefined : [value, {kind: 'int', value: 0n}];
  return [
    {kind: 'float', value: value.real},
    {kind: 'float', value: value.imaginary},
  ];
}

type Entries = readonly (readonly [PyValue, PyValue])[];

function areEqualInOrder(a: Entries, b: Entries, equal: Equal): boolean {
  const isSame = ([key, value]: readonly [PyValue, PyValue], i: number) => {
    const other = b[i] as readonly [PyValue, PyValue];
    return keyOf(key) === keyOf(other[0]) && equal(value, other[1]);
  };
  return a.length === b.length && a.every(isSame);
}

function areEqualDicts(a: {readonly entries: Entries}, b: {readonly entries: Entries}, equal: Equal): boolean {
  const others = new Map(b.entries.map(([key, value]) => [keyOf(key), value]));
  const isSame = ([key, value]: readonly [PyValue, PyValue]) => {
    const other = others.get(keyOf(key));
    return other !== undefined && equal(value, other);
  };
  return a.entries.length === b.entries.length && a.entries.every(isSame);
}

/** The same text for values that are one key of a dict or one element of a set. */
function keyOf(value: PyValue): string {
  switch (value.kind) {
    case 'none':
      return 'none';
    case 'bool':
    case 'int':
      return `n${BigInt(value.value).toString(16)}`;
    case 'float':
      return Number.isInteger(value.value) ? `n${BigInt(value.value).toString(16)}` : numberKey(value.value);
    case 'complex':
      return value.imaginary === 0
        ? keyOf({kind: 'float', value: value.real})
        : `c${numberKey(value.real)},${numberKey(value.imaginary)}`;
    case 'str':
    case 'surrogates':
    case 'bytes':
      return `${value.kind}${JSON.stringify(value.value)}`;
    case 'set':
      return `{${[...new Set(value.items.map(keyOf))].sort().join()}}`;
    case 'dict':
    case 'ordered':
    case 'other':
      return `unhashable${unique()}`;
    default:
      return `${value.kind}(${value.items.map(keyOf).join()})`;
  }
}

function numberKey(value: number): string {
  return Number.isNaN(value) ? `nan${unique()}` : `f${value}`;
}

let numUnique = 0;

function unique(): number {
  return numUnique++;
}
