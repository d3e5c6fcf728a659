import {areEqual, toNumber} from './equality.js';
import {decodeValue, type PyValue, showValue} from './value.js';

/** One assert of a test, taken apart. `calls` is all that a program gets to see of it. */
export interface Check {
  /** Python expressions. */
  readonly calls: readonly string[];
  readonly relation:
    | 'eq'
    | 'ne'
    | 'lt'
    | 'le'
    | 'gt'
    | 'ge'
    | 'in'
    | 'not in'
    | 'is'
    | 'is not'
    /** `abs(call - expected) < absolute` */
    | 'near'
    /** `math.isclose` */
    | 'close'
    /** `oracle`, a Python expression over the values, decides: in a run of its own (`judge.ts`). */
    | 'oracle';
  readonly expected: PyValue;
  readonly absolute?: number;
  readonly relative?: number;
  readonly isStrict?: boolean;
  readonly oracle?: string;
  /** Names of `oracle` that stand for modules. */
  readonly modules?: Readonly<Record<string, string>>;
}

/** From what `python/read_tests.py` writes. @throws SyntaxError */
export function decodeCheck(row: Readonly<Record<string, unknown>>): Check {
  const json = (text: unknown) => decodeValue(JSON.parse(String(text)));
  const number = (text: unknown) => Number(toNumber(json(text)));
  return {
    ...(row as unknown as Check),
    expected: json(row.expected),
    ...(row.absolute !== undefined && {absolute: number(row.absolute)}),
    ...(row.relative !== undefined && {relative: number(row.relative)}),
  };
}

/**
Whether `got` is what the test asks for. Comparisons are Python's, with one allowance: where a float is expected, `==` lets a number pass that
differs by no more than 1e-6 and no more than a millionth of it, or by the rounding of a few operations (1e-12 of it, or of 1 where 0 is expected). So another order
of summation is no error, while small numbers stay apart, and so do large ones.
*/
export function holds(check: Check, got: PyValue): boolean {
  const {expected} = check;
  const same = (a: PyValue) => areEqual(a, got, isWithinRounding);
  switch (check.relation) {
    case 'eq':
      return same(expected);
    case 'ne':
      return !areEqual(expected, got, () => false);
    case 'is':
      return isIdentical(expected, got);
    case 'is not':
      return !isIdentical(expected, got);
    case 'in':
      return 'items' in expected && expected.items.some(same);
    case 'not in':
      return 'items' in expected && !expected.items.some((item) => areEqual(item, got, () => false));
    case 'oracle':
      return false; // the run's word alone
    default: {
      const [a, b] = [toNumber(got), toNumber(expected)];
      return a !== undefined && b !== undefined && compare(check, a, b);
    }
  }
}

function compare(
  {relation, absolute = 0, relative = 0, isStrict}: Check,
  got: bigint | number,
  expected: bigint | number,
): boolean {
  switch (relation) {
    case 'lt':
      return got < expected;
    case 'le':
      return got <= expected;
    case 'gt':
      return got > expected;
    case 'ge':
      return got >= expected;
    case 'near': {
      const distance = Math.abs(Number(got) - Number(expected));
      return isStrict ? distance < absolute : distance <= absolute;
    }
    default:
      return isClose(Number(got), Number(expected), relative, absolute);
  }
}

/** Python's math.isclose. */
function isClose(a: number, b: number, relative: number, absolute: number): boolean {
  if (a === b) return true;
  if (!Number.isFinite(a) || !Number.isFinite(b)) return false;
  return Math.abs(a - b) <= Math.max(relative * Math.max(Math.abs(a), Math.abs(b)), absolute);
}

function isWithinRounding(expected: number, got: number): boolean {
  const size = Math.abs(expected);
  const tolerance = size === 0 ? 1e-12 : Math.max(1e-12 * size, Math.min(1e-6, 1e-6 * size));
  return Number.isFinite(got) && Number.isFinite(expected) && Math.abs(expected - got) <= tolerance;
}

/** None, True and False are one object each; nothing else is asked for by identity. */
function isIdentical(expected: PyValue, got: PyValue): boolean {
  if (expected.kind === 'none') return got.kind === 'none';
  return expected.kind === 'bool' && got.kind === 'bool' && expected.value === got.value;
}

/** For people: what was asked, of which call. */
export function describeCheck({relation, expected, absolute, relative, oracle}: Check): string {
  const words = {
    eq: '',
    ne: 'not ',
    lt: 'less than ',
    le: 'at most ',
    gt: 'more than ',
    ge: 'at least ',
    in: 'one of ',
  };
  const value = showValue(expected);
  if (relation === 'oracle') return `${oracle?.slice(0, 120)}`;
  if (relation === 'near') return `${value} within ${absolute}`;
  if (relation === 'close') return `${value} within ${relative} of it`;
  return `${words[relation as keyof typeof words] ?? `${relation} `}${value}`;
}
