import {canonical, type Node, zero} from './ast.js';
import type {Budget} from './budget.js';
import {
  add,
  binomial,
  commonOf,
  factorial,
  integer,
  isInteger,
  multiply,
  power,
  type Rational,
  toNumber,
} from './rational.js';

/**
The exact value of a node made of whole numbers, fractions, powers and roots that come out even; undefined where it has none.

@param sample - Variables take whole values drawn from their names and this number; without it they have none.
*/
export function exactValue(node: Node, budget: Budget, sample?: number): Rational | undefined {
  budget.spend();
  switch (node.kind) {
    case 'number':
      return node.value;
    case 'symbol':
      if (sample === undefined || ['π', 'e', 'i'].includes(node.name)) return undefined;
      return integer(BigInt(2 + Math.floor(97 * hash(node.name, sample))));
    case 'sum':
      return fold(node.items, zero, add, budget, sample);
    case 'product':
      return fold(node.items, integer(1n), multiply, budget, sample);
    case 'power': {
      const base = exactValue(node.base, budget, sample);
      const exponent = base && exactValue(node.exponent, budget, sample);
      return base && exponent && power(base, exponent, budget);
    }
    case 'percent': {
      const value = exactValue(node.value, budget, sample);
      return value && multiply(value, {n: 1n, d: 100n}, budget);
    }
    case 'call':
      return exactCall(node.name, node.args, budget, sample);
    default:
      return undefined;
  }
}

function exactCall(
  name: string,
  args: readonly Node[],
  budget: Budget,
  sample: number | undefined,
): Rational | undefined {
  if (!['abs', 'factorial', 'binom', 'floor', 'ceil', 'gcd', 'lcm', 'max', 'min'].includes(name)) return undefined;
  const values = args.map((arg) => exactValue(arg, budget, sample));
  const [a, b] = values;
  if (a === undefined || values.some((value) => value === undefined)) return undefined;
  if (name === 'abs') return a.n < 0n ? {n: -a.n, d: a.d} : a;
  if (name === 'factorial') return factorial(a, budget);
  if (name === 'floor' || name === 'ceil') {
    const down = a.n >= 0n || a.d === 1n ? a.n / a.d : a.n / a.d - 1n;
    return integer(name === 'floor' || isInteger(a) ? down : down + 1n);
  }
  if (b === undefined) return undefined;
  if (name === 'gcd' || name === 'lcm') return values.length === 2 ? commonOf(name, a, b, budget) : undefined;
  return name === 'binom' ? binomial(a, b, budget) : undefined;
}

function fold(
  items: readonly Node[],
  start: Rational,
  combine: (a: Rational, b: Rational, budget: Budget) => Rational | undefined,
  budget: Budget,
  sample: number | undefined,
): Rational | undefined {
  let total: Rational | undefined = start;
  for (const item of items) {
    const value = exactValue(item, budget, sample);
    total = total && value && combine(total, value, budget);
    if (total === undefined) return undefined;
  }
  return total;
}

/** Below it, doubles lose their digits. */
const smallest = 1e-290;

/** A complex number. */
export interface Complex {
  readonly re: number;
  readonly im: number;
}

/** Values of the symbols, drawn from their names: the same name has the same value in both answers. */
export class Sample {
  /** The largest term of any sum so far: below 1e-13 of it, a difference is rounding. */
  scale = 0;

  constructor(
    private readonly index: number,
    private readonly budget: Budget,
    private readonly given: ReadonlyMap<string, number> = new Map(),
    /** `\log` without a base has base ten. */
    private readonly isDecimal = false,
  ) {}

  value(node: Node): Complex {
    this.budget.spend();
    switch (node.kind) {
      case 'number':
        return real(toNumber(node.value));
      case 'symbol':
        return this.symbol(node.name);
      case 'sum': {
        let total = real(0);
        for (const item of node.items) {
          const value = this.value(item);
          this.scale = Math.max(this.scale, size(value));
          total = {re: total.re + value.re, im: total.im + value.im};
        }
        return total;
      }
      case 'product':
        return this.product(node.items);
      case 'power':
        return this.power(this.value(node.base), node.exponent);
      case 'percent':
        return times(this.value(node.value), real(0.01));
      case 'call':
        return this.call(node.name, node.args);
      case 'opaque':
        return this.opaque(node);
      case 'infinity':
        return real(Number.POSITIVE_INFINITY);
      case 'ratio':
        return node.items
          .slice(1)
          .reduce((value, item) => divide(value, this.value(item)), this.value(node.items[0] as Node));
      default:
        return real(Number.NaN);
    }
  }

  private symbol(name: string): Complex {
    const given = this.given.get(name);
    if (given !== undefined) return real(given);
    if (name === 'π') return real(Math.PI);
    if (name === 'e') return real(Math.E);
    if (name === 'i') return {re: 0, im: 1};
    const value = 0.3 + 1.9 * hash(name, this.index);
    if (this.index >= largeSamples) return real(hash(name, this.index + 1000) < 0.5 ? 31 * value : -31 * value);
    return real(this.index === negativeSample ? -value : value);
  }

  private product(items: readonly Node[]): Complex {
    let product = real(1);
    let hasZero = false;
    for (const item of items) {
      const value = this.value(item);
      hasZero ||= size(value) === 0;
      product = times(product, value);
    }
    return hasZero ? product : told(product);
  }

  private power(b: Complex, exponent: Node): Complex {
    const value = this.powerOf(b, exponent);
    return size(b) === 0 ? value : told(value);
  }

  private powerOf(b: Complex, exponent: Node): Complex {
    const e = exactValue(exponent, this.budget);
    if (e && isInteger(e) && e.n >= -64n && e.n <= 64n) return integerPower(b, Number(e.n));
    // Odd roots of negative numbers are real in school.
    if (e && e.d % 2n === 1n && b.im === 0 && b.re < 0) {
      const root = Math.abs(b.re) ** toNumber(e);
      return real(e.n % 2n === 0n ? root : -root);
    }
    const exponentValue = this.value(exponent);
    if (size(b) === 0) return real(exponentValue.re > 0 ? 0 : Number.NaN);
    if (b.im === 0 && b.re > 0 && exponentValue.im === 0) return real(b.re ** exponentValue.re);
    return exp(times(log(b), exponentValue));
  }

  private call(name: string, args: readonly Node[]): Complex {
    const [x = real(Number.NaN), y = real(Number.NaN)] = args.map((arg) => this.value(arg));
    switch (name) {
      case 'abs':
        return real(size(x));
      case 'ln':
        return log(x);
      case 'log':
        return args.length > 1 || this.isDecimal ? divide(log(x), args.length > 1 ? log(y) : real(Math.LN10)) : log(x);
      case 'log10':
        return divide(log(x), real(Math.LN10));
      case 'logbase':
        return divide(log(y), log(x));
      case 'exp':
        return told(exp(x));
      case 'cbrt':
        return x.im === 0 ? real(Math.cbrt(x.re)) : exp(times(log(x), real(1 / 3)));
      case 'sin':
        return {re: Math.sin(x.re) * Math.cosh(x.im), im: Math.cos(x.re) * Math.sinh(x.im)};
      case 'cos':
        return {re: Math.cos(x.re) * Math.cosh(x.im), im: -Math.sin(x.re) * Math.sinh(x.im)};
      case 'tan':
        return divide(this.call('sin', args), this.call('cos', args));
      case 'cot':
        return divide(this.call('cos', args), this.call('sin', args));
      case 'sec':
        return divide(real(1), this.call('cos', args));
      case 'csc':
        return divide(real(1), this.call('sin', args));
      case 'sinh':
        return scale(minus(exp(x), exp(scale(x, -1))), 0.5);
      case 'cosh':
        return scale(minus(exp(x), scale(exp(scale(x, -1)), -1)), 0.5);
      case 'tanh':
        return divide(this.call('sinh', args), this.call('cosh', args));
      case 'Re':
        return real(x.re);
      case 'Im':
        return real(x.im);
      case 'floor':
        return real(Math.floor(x.re + 1e-12));
      case 'ceil':
        return real(Math.ceil(x.re - 1e-12));
      case 'max':
      case 'min':
        return real(Math[name](...args.map((arg) => this.value(arg).re)));
      case 'factorial':
        return real(gamma(x.re + 1));
      case 'binom':
        return real(gamma(x.re + 1) / (gamma(y.re + 1) * gamma(x.re - y.re + 1)));
      default:
        return inverse(name, x) ?? this.opaque({kind: 'opaque', name, args});
    }
  }

  /** A value drawn from the way it is written; of a function of one value, from that value. */
  private opaque(node: Node & {readonly kind: 'opaque'}): Complex {
    if (node.args.length === 1 && !/sum|prod|int|lim|prime/.test(node.name)) {
      const x = this.value(node.args[0] as Node);
      const phase = 6 * hash(node.name, this.index);
      if (Number.isFinite(x.re)) return {re: 1.5 + Math.sin(1.7 * x.re + phase), im: 0.3 * Math.sin(x.im)};
    }
    return real(0.3 + 1.9 * hash(canonical(node), this.index));
  }
}

/** Of this sample, every symbol is negative. */
export const negativeSample = 3;
/** From this sample on, symbols are far from zero, of either sign: small ones would all be rounded to the same, and |a + b| be |a| + |b|. */
export const largeSamples = 6;

/** Inverse trigonometric functions, real where they can be, else on the principal branch. */
function inverse(name: string, x: Complex): Complex | undefined {
  if (name === 'arcsin') return x.im === 0 && Math.abs(x.re) <= 1 ? real(Math.asin(x.re)) : arcsine(x);
  if (name === 'arccos')
    return x.im === 0 && Math.abs(x.re) <= 1 ? real(Math.acos(x.re)) : minus(real(Math.PI / 2), arcsine(x));
  if (name !== 'arctan' && name !== 'arccot') return undefined;
  const tangent = x.im === 0 ? real(Math.atan(x.re)) : arctangent(x);
  return name === 'arctan' ? tangent : minus(real(Math.PI / 2), tangent);
}

/** −i ln(iz + √(1 − z²)) */
function arcsine(z: Complex): Complex {
  const root = exp(scale(log(minus(real(1), times(z, z))), 0.5));
  const turned = log({re: root.re - z.im, im: root.im + z.re});
  return {re: turned.im, im: -turned.re};
}

/** (i/2) (ln(1 − iz) − ln(1 + iz)) */
function arctangent(z: Complex): Complex {
  const difference = minus(log({re: 1 + z.im, im: -z.re}), log({re: 1 - z.im, im: z.re}));
  return {re: -difference.im / 2, im: difference.re / 2};
}

export function real(re: number): Complex {
  return {re, im: 0};
}

/** What came out as zero, or next to it, from things that are not. */
function told(value: Complex): Complex {
  return size(value) < smallest ? real(Number.NaN) : value;
}

export function size({re, im}: Complex): number {
  return im === 0 ? Math.abs(re) : Math.hypot(re, im);
}

export function minus(a: Complex, b: Complex): Complex {
  return {re: a.re - b.re, im: a.im - b.im};
}

export function divide(a: Complex, b: Complex): Complex {
  if (b.im === 0) return {re: a.re / b.re, im: a.im === 0 ? 0 : a.im / b.re};
  const squared = b.re * b.re + b.im * b.im;
  return {re: (a.re * b.re + a.im * b.im) / squared, im: (a.im * b.re - a.re * b.im) / squared};
}

function times(a: Complex, b: Complex): Complex {
  if (a.im === 0 && b.im === 0) return real(a.re * b.re);
  return {re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re};
}

function scale({re, im}: Complex, factor: number): Complex {
  return {re: re * factor, im: im * factor};
}

function exp({re, im}: Complex): Complex {
  const length = Math.exp(re);
  return im === 0 ? real(length) : {re: length * Math.cos(im), im: length * Math.sin(im)};
}

function log(x: Complex): Complex {
  if (x.im === 0 && x.re > 0) return real(Math.log(x.re));
  return {re: Math.log(size(x)), im: Math.atan2(x.im, x.re)};
}

function integerPower(base: Complex, exponent: number): Complex {
  let result = real(1);
  for (let i = Math.abs(exponent); i > 0; i--) result = times(result, base);
  return exponent < 0 ? divide(real(1), result) : result;
}

/** Lanczos' approximation, g = 7. */
function gamma(x: number): number {
  if (x > 171.6) return Number.NaN;
  if (x < 0.5) return Math.PI / (Math.sin(Math.PI * x) * gamma(1 - x));
  const coefficients = [
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ];
  const shifted = x - 1;
  const sum = coefficients.slice(1).reduce((total, c, i) => total + c / (shifted + i + 1), coefficients[0] as number);
  const t = shifted + 7.5;
  return Math.sqrt(2 * Math.PI) * t ** (shifted + 0.5) * Math.exp(-t) * sum;
}

/** In [0, 1), from FNV-1a of the name. */
function hash(name: string, index: number): number {
  let h = 0x811c9dc5 ^ Math.imul(index + 1, 0x9e3779b1);
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  h ^= h >>> 12;
  return (h >>> 0) / 2 ** 32;
}
