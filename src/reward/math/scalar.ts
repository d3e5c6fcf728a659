import type {Tolerance} from '../../types.js';
import {canonical, type Node, numberOf, some, symbolsOf, type Written} from './ast.js';
import type {Budget} from './budget.js';
import type {CompareOptions} from './compare.js';
import {exactValue, largeSamples, minus, negativeSample, Sample, size} from './evaluate.js';
import {equal, toNumber} from './rational.js';

const relativeTolerance = 1e-11;
/** A decimal answer stands for a fraction from this many digits on, and for an irrational gold. */
const fractionDigits = 4;
const irrationalDigits = 5;
const cutDigits = 6;

/**
Whether two expressions are the same: exactly where both are rational, else at fixed points with a *relative* tolerance (an absolute one makes
different tiny powers equal). A gold decimal of two places or more is also met by an answer that rounds to it; an answer of four digits or more by
an exact gold that rounds to it.
*/
export function equalScalars(gold: Node, answer: Node, options: CompareOptions, budget: Budget): boolean {
  const [exactGold, exactAnswer] = [exactValue(gold, budget), exactValue(answer, budget)];
  if (exactGold && exactAnswer && equal(exactGold, exactAnswer)) return true;
  if (roundsEqual(gold, answer, options, budget)) return true;
  if (options.tolerance && isWithin(gold, answer, options.tolerance, budget)) return true;
  if (exactGold && exactAnswer) return false;
  if (holdsInfinity(gold) || holdsInfinity(answer)) {
    const infinite = constantOf(gold, budget);
    return infinite !== undefined && infinite === constantOf(answer, budget);
  }
  return equalAtSamples(gold, answer, budget);
}

/** The value of a constant, real expression. */
export function constantOf(node: Node, budget: Budget): number | undefined {
  const exact = exactValue(node, budget);
  if (exact) return toNumber(exact);
  if (node.kind === 'infinity') return Number.POSITIVE_INFINITY;
  if (node.kind === 'product' && node.items.some(({kind}) => kind === 'infinity')) {
    const rest = node.items
      .filter(({kind}) => kind !== 'infinity')
      .map((item) => constantOf(item, budget) ?? Number.NaN);
    const sign = Math.sign(rest.reduce((product, value) => product * value, 1));
    return sign === 0 || Number.isNaN(sign) ? undefined : sign * Number.POSITIVE_INFINITY;
  }
  if (!isConstant(node)) return undefined;
  const {re, im} = new Sample(0, budget).value(node);
  return Number.isFinite(re) && Math.abs(im) <= 1e-12 * Math.abs(re) ? re : undefined;
}

function isWithin(gold: Node, answer: Node, {relative = 0, absolute = 0}: Tolerance, budget: Budget): boolean {
  const [goldValue, answerValue] = [constantOf(gold, budget), constantOf(answer, budget)];
  if (goldValue === undefined || answerValue === undefined) return false;
  // Of the difference of two decimals, the last bits are no part.
  const allowed = Math.max(relative * Math.abs(goldValue), absolute) * (1 + 1e-9);
  return Math.abs(goldValue - answerValue) <= allowed && Number.isFinite(goldValue);
}

function holdsInfinity(node: Node): boolean {
  return some(node, ({kind}) => kind === 'infinity') && node.kind !== 'opaque';
}

export function isConstant(node: Node): boolean {
  if (some(node, ({kind}) => kind === 'opaque' || kind === 'words')) return false;
  return [...symbolsOf(node)].every((name) => name === 'π' || name === 'e');
}

function roundsEqual(gold: Node, answer: Node, {decimals}: CompareOptions, budget: Budget): boolean {
  const [g, a] = [writtenOf(gold), writtenOf(answer)];
  if (!g && !a) return false;
  const [goldValue, answerValue] = [constantOf(gold, budget), constantOf(answer, budget)];
  if (goldValue === undefined || answerValue === undefined) return false;
  const difference = Math.abs(goldValue - answerValue);
  const within = (places: number) => difference <= 0.5 * 10 ** -places * (1 + 1e-9) + 1e-15 * Math.abs(goldValue);
  if (decimals !== undefined) return within(decimals);
  if (g && g.behindPoint >= 2 && g.digits >= 2 && within(g.decimals)) return true;
  const isCutGold = (g?.digits ?? 0) >= cutDigits && !a && Math.abs(answerValue) >= Math.abs(goldValue);
  if (g && isCutGold && g.behindPoint >= 2 && difference < 10 ** -g.decimals && isEndless(answer, budget)) return true;
  // A value whose decimals never end was rounded for the gold, whatever to.
  if (g && !a && g.behindPoint >= 1 && g.digits >= 3 && within(g.decimals) && isEndless(answer, budget)) return true;
  if (a === undefined || g || a.behindPoint < 1) return false;
  const exact = exactValue(gold, budget);
  if (exact?.d === 1n) return false;
  // Cut off instead of rounded, by its size.
  const cut = Math.abs(goldValue) - Math.abs(answerValue);
  const isCut = cut >= 0 && cut < 10 ** -a.decimals && goldValue * answerValue > 0 && a.digits >= cutDigits;
  return a.digits >= (exact ? fractionDigits : irrationalDigits) && (within(a.decimals) || isCut);
}

function isEndless(node: Node, budget: Budget): boolean {
  const exact = exactValue(node, budget);
  if (exact === undefined) return true;
  let below = exact.d;
  for (const factor of [2n, 5n]) {
    while (below % factor === 0n) {
      budget.spend();
      below /= factor;
    }
  }
  return below !== 1n;
}

/** Of a decimal with its sign, `2.31`, `-2.31e5` or `2.31\times 10^5`. */
function writtenOf(node: Node): Written | undefined {
  if (node.kind === 'number') return node.written;
  if (node.kind === 'percent') return writtenOf(node.value);
  if (node.kind !== 'product') return undefined;
  const items = node.items.filter((item) => !(item.kind === 'number' && item.value.n === -1n && item.value.d === 1n));
  const [mantissa, power] = items as [Node, Node];
  const written = mantissa && writtenOf(mantissa);
  if (items.length === 1 || written === undefined) return written;
  if (items.length !== 2 || power.kind !== 'power' || power.base.kind !== 'number' || power.exponent.kind !== 'number')
    return undefined;
  if (power.base.value.n !== 10n || power.base.value.d !== 1n || power.exponent.value.d !== 1n) return undefined;
  return {...written, decimals: written.decimals - Number(power.exponent.value.n)};
}

function equalAtSamples(gold: Node, answer: Node, budget: Budget): boolean {
  const isSymbolic = !isConstant(gold) || !isConstant(answer);
  const counts = isSymbolic ? largeSamples + Math.max(moreSamples(gold), moreSamples(answer)) : 1;
  if (isSymbolic) {
    // Beside a large term, a small one is lost in doubles.
    const [a, b] = [exactValue(gold, budget, 0), exactValue(answer, budget, 0)];
    if (a && b && !equal(a, b)) return false;
  }
  if (isSymbolic && [gold, answer].some(hasSteps) && !equalAtWholes(gold, answer, budget)) return false;
  const isDecimal = [gold, answer].some(hasBaseTen);
  let met = 0;
  for (let index = 0; index < counts; index++) {
    // Logarithms and roots of negative numbers are a matter of convention.
    if ((index === negativeSample || index >= largeSamples) && (isConventional(gold) || isConventional(answer)))
      continue;
    const samples = [0, 1].map(() => new Sample(index, budget, undefined, isDecimal)) as [Sample, Sample];
    const [a, b] = [samples[0].value(gold), samples[1].value(answer)];
    if (![a.re, a.im, b.re, b.im].every(Number.isFinite)) {
      if (Number.isNaN(a.re) !== Number.isNaN(b.re)) return false;
      continue;
    }
    const tolerance = relativeTolerance * Math.max(size(a), size(b));
    if (size(minus(a, b)) > Math.max(tolerance, 1e-13 * Math.max(samples[0].scale, samples[1].scale))) return false;
    met++;
  }
  return met >= (isSymbolic ? 3 : 1);
}

/** Steps lie at whole numbers, where `⌈x⌉` is not `⌊x⌋ + 1`. */
function equalAtWholes(gold: Node, answer: Node, budget: Budget): boolean {
  const names = [...symbolsOf(gold, new Set(symbolsOf(answer)))].filter((name) => name !== 'π' && name !== 'e');
  for (let k = 0; k < 40; k++) {
    const given = new Map(names.map((name, i) => [name, 1 + ((k * (2 * i + 1)) % 41)]));
    const [a, b] = [gold, answer].map((node) => new Sample(0, budget, given).value(node).re) as [number, number];
    if (Math.abs(a - b) > 1e-9 * Math.max(Math.abs(a), Math.abs(b), 1)) return false;
  }
  return true;
}

/** Beside `\log_{10}`, a plain `\log` is the same. */
function hasBaseTen(node: Node): boolean {
  const isTen = (base: Node | undefined) => base !== undefined && canonical(base) === canonical(numberOf(10));
  return some(
    node,
    (part) => part.kind === 'call' && (part.name === 'log10' || (part.name === 'logbase' && isTen(part.args[0]))),
  );
}

function hasSteps(node: Node): boolean {
  return some(node, (part) => part.kind === 'call' && ['floor', 'ceil'].includes(part.name));
}

/** Steps are seldom told apart, and sizes only by the signs. */
function moreSamples(node: Node): number {
  const has = (names: readonly string[]) => some(node, (part) => part.kind === 'call' && names.includes(part.name));
  return hasSteps(node) ? 54 : has(['abs', 'max', 'min']) ? 12 : 0;
}

function isConventional(node: Node): boolean {
  return some(
    node,
    (part) =>
      (part.kind === 'call' && /^(?:ln|log|logbase|log10|arc)/.test(part.name)) ||
      (part.kind === 'power' && part.exponent.kind !== 'number' && !isConstant(part.base)) ||
      (part.kind === 'power' &&
        part.exponent.kind === 'number' &&
        part.exponent.value.d !== 1n &&
        !isConstant(part.base)),
  );
}
