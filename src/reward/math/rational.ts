import {type Budget, TooComplex} from './budget.js';

/** A fraction in lowest terms; `d` > 0. */
export interface Rational {
  readonly n: bigint;
  readonly d: bigint;
}

const maxBits = 40_000;

export function rational(n: bigint, d: bigint, budget: Budget): Rational | undefined {
  if (d === 0n) return undefined;
  const divisor = gcd(n < 0n ? -n : n, d < 0n ? -d : d, budget);
  const sign = d < 0n ? -1n : 1n;
  return {n: (sign * n) / divisor, d: (sign * d) / divisor};
}

export function integer(value: bigint): Rational {
  return {n: value, d: 1n};
}

export function isInteger({d}: Rational): boolean {
  return d === 1n;
}

export function equal(a: Rational, b: Rational): boolean {
  return a.n === b.n && a.d === b.d;
}

export function add(a: Rational, b: Rational, budget: Budget): Rational | undefined {
  return rational(a.n * b.d + b.n * a.d, a.d * b.d, budget);
}

export function multiply(a: Rational, b: Rational, budget: Budget): Rational | undefined {
  return rational(a.n * b.n, a.d * b.d, budget);
}

export function divide(a: Rational, b: Rational, budget: Budget): Rational | undefined {
  return b.n === 0n ? undefined : rational(a.n * b.d, a.d * b.n, budget);
}

/** Integer powers, and roots that come out even; undefined otherwise, and where the result would be huge. */
export function power(base: Rational, exponent: Rational, budget: Budget): Rational | undefined {
  if (exponent.d !== 1n) {
    if (exponent.d > 64n) return undefined;
    const root = exactRoot(base, Number(exponent.d), budget);
    return root && power(root, integer(exponent.n), budget);
  }
  if (exponent.n === 0n) return base.n === 0n ? undefined : integer(1n);
  if (base.n === 0n) return exponent.n > 0n ? base : undefined;
  const size = exponent.n < 0n ? -exponent.n : exponent.n;
  const bits = BigInt(Math.max(bitsOf(base.n), bitsOf(base.d)));
  if (bits > 1n && size * bits > BigInt(maxBits)) return undefined;
  budget.spend(1 + Math.ceil(Number(bits > 1n ? size * bits : 1n) / 256));
  // 1 and −1 may have any exponent.
  const n = bits > 1n ? base.n ** size : size % 2n === 0n ? 1n : base.n;
  const d = bits > 1n ? base.d ** size : 1n;
  return exponent.n > 0n ? rational(n, d, budget) : rational(d, n, budget);
}

export function factorial(value: Rational, budget: Budget): Rational | undefined {
  if (value.d !== 1n || value.n < 0n || value.n > 2500n) return undefined;
  let product = 1n;
  for (let i = 2n; i <= value.n; i++) {
    budget.spend();
    product *= i;
  }
  return integer(product);
}

/** n choose k for whole numbers. */
export function binomial(n: Rational, k: Rational, budget: Budget): Rational | undefined {
  if (n.d !== 1n || k.d !== 1n || n.n < 0n || k.n < 0n || n.n > 10_000n) return undefined;
  if (k.n > n.n) return integer(0n);
  const isUpperHalf = 2n * k.n > n.n;
  const count = isUpperHalf ? n.n - k.n : k.n;
  let product = 1n;
  for (let i = 1n; i <= count; i++) {
    // The product grows with every step, and the next one costs as much more.
    budget.spend(1 + Number(i >> 6n));
    product = (product * (n.n - count + i)) / i;
  }
  return integer(product);
}

/** The greatest common divisor, or the least common multiple, of two positive whole numbers. */
export function commonOf(which: 'gcd' | 'lcm', a: Rational, b: Rational, budget: Budget): Rational | undefined {
  if (a.d !== 1n || b.d !== 1n || a.n <= 0n || b.n <= 0n) return undefined;
  const divisor = gcd(a.n, b.n, budget);
  return integer(which === 'gcd' ? divisor : (a.n / divisor) * b.n);
}

export function toNumber({n, d}: Rational): number {
  const shift = Math.max(bitsOf(n), bitsOf(d)) - 1000;
  if (shift <= 0) return Number(n) / Number(d);
  const scaled = BigInt(shift);
  return Number(n >> scaled) / Number(d >> scaled);
}

function exactRoot(value: Rational, degree: number, budget: Budget): Rational | undefined {
  if (value.n < 0n && degree % 2 === 0) return undefined;
  const n = integerRoot(value.n < 0n ? -value.n : value.n, degree, budget);
  const d = integerRoot(value.d, degree, budget);
  if (n === undefined || d === undefined) return undefined;
  return {n: value.n < 0n ? -n : n, d};
}

function integerRoot(value: bigint, degree: number, budget: Budget): bigint | undefined {
  const bits = bitsOf(value);
  if (bits > 4096) return undefined;
  if (value < 2n) return value;
  const k = BigInt(degree);
  let guess = 1n << BigInt(Math.ceil(bits / degree));
  for (;;) {
    budget.spend(4);
    const next = ((k - 1n) * guess + value / guess ** (k - 1n)) / k;
    if (next >= guess) return guess ** k === value ? guess : undefined;
    guess = next;
  }
}

function gcd(a: bigint, b: bigint, budget: Budget): bigint {
  const bits = bitsOf(a) + bitsOf(b);
  if (bits > 4 * maxBits) throw new TooComplex('the numbers are too long');
  // A division of long numbers is more work than one of short ones.
  const steps = 1 + (bits >> 10);
  while (b !== 0n) {
    budget.spend(steps);
    [a, b] = [b, a % b];
  }
  return a;
}

function bitsOf(value: bigint): number {
  if (value < 0n) value = -value;
  if (value < 2n ** 53n) return Math.ceil(Math.log2(Number(value) + 1));
  return 4 * value.toString(16).length;
}
