import {type Node, some, symbolsOf} from './ast.js';
import type {Budget} from './budget.js';
import type {CompareOptions} from './compare.js';
import {exactValue, minus, negativeSample, Sample, size} from './evaluate.js';
import {equal, toNumber} from './rational.js';

const relativeTolerance = 1e-9;
/** A decimal answer stands for a fraction from this many digits on, and for an irrational gold. */
const fractionDigits = 4;
const irrationalDigits = 6;

/**
Whether two expressions are the same: exactly where both are rational, else at fixed points with a *relative* tolerance (an absolute one makes
different tiny powers equal). A gold decimal of two places or more is also met by an answer that rounds to it; an answer of four digits or more by
an exact gold that rounds to it.
*/
export function equalScalars(gold: Node, answer: Node, options: CompareOptions, budget: Budget): boolean {
  const [exactGold, exactAnswer] = [exactValue(gold, budget), exactValue(answer, budget)];
  if (exactGold && exactAnswer && equal(exactGold, exactAnswer)) return true;
  if (roundsEqual(gold, answer, options, budget)) return true;
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

function holdsInfinity(node: Node): boolean {
  return some(node, ({kind}) => kind === 'infinity') && node.kind !== 'opaque';
}

export function isConstant(node: Node): boolean {
  if (some(node, ({kind}) => kind === 'opaque' || kind === 'words')) return false;
  return [...symbolsOf(node)].every((name) => name === 'π' || name === 'e');
}

function roundsEqual(gold: Node, answer: Node, {decimals}: CompareOptions, budget: Budget): boolean {
  const [g, a] = [decimalOf(gold), decimalOf(answer)];
  if (!g && !a) return false;
  const [goldValue, answerValue] = [constantOf(gold, budget), constantOf(answer, budget)];
  if (goldValue === undefined || answerValue === undefined) return false;
  const difference = Math.abs(goldValue - answerValue);
  const within = (places: number) => difference <= 0.5 * 10 ** -places * (1 + 1e-9) + 1e-15 * Math.abs(goldValue);
  if (decimals !== undefined) return within(decimals);
  if (g && g.decimals >= 2 && g.digits >= 2 && within(g.decimals)) return true;
  if (a === undefined || g || a.decimals < 1) return false;
  const exact = exactValue(gold, budget);
  return exact?.d !== 1n && a.digits >= (exact ? fractionDigits : irrationalDigits) && within(a.decimals);
}

/** Of a literal decimal, with its sign. */
function decimalOf(node: Node): {readonly decimals: number; readonly digits: number} | undefined {
  if (node.kind === 'product' && node.items.length === 2 && node.items[0]?.kind === 'number')
    return decimalOf(node.items[1] as Node);
  if (node.kind === 'percent') return decimalOf(node.value);
  if (node.kind !== 'number' || node.decimals === undefined || node.digits === undefined) return undefined;
  return {decimals: node.decimals, digits: node.digits};
}

function equalAtSamples(gold: Node, answer: Node, budget: Budget): boolean {
  const isSymbolic = !isConstant(gold) || !isConstant(answer);
  let met = 0;
  for (let index = 0; index < (isSymbolic ? 6 : 1); index++) {
    // Logarithms and roots of negative numbers are a matter of convention.
    if (index === negativeSample && (isConventional(gold) || isConventional(answer))) continue;
    const samples = [new Sample(index, budget), new Sample(index, budget)] as const;
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
