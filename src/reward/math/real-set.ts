import {canonical, type Node, type Operator, some, symbolsOf, variableOf} from './ast.js';
import type {Budget} from './budget.js';
import {Sample} from './evaluate.js';
import {constantOf, isConstant} from './scalar.js';

/** A set of real numbers: what belongs to it, and where that may change. */
export interface RealSet {
  contains(x: number): boolean;
  readonly points: readonly number[];
  /** Its borders may lie elsewhere too: it was given by a condition. */
  readonly isCondition: boolean;
  /** What a condition is about. */
  readonly unknown?: string;
  /** Its letter, where the unknown is a plain variable. */
  readonly variable?: string;
}

/**
Intervals, finite sets, their unions and differences, and inequalities in one variable as sets of real numbers.

@returns undefined where `node` is none of these, or is not constant.
*/
export function realSetOf(node: Node, budget: Budget, how: 'any' | 'all' = 'any'): RealSet | undefined {
  budget.spend();
  switch (node.kind) {
    case 'tuple':
      return interval(node, budget);
    case 'set':
      return finite(node.items, budget);
    case 'union':
      return combine(node.items, (inside) => inside.some(Boolean), budget);
    case 'intersection':
      return combine(node.items, (inside) => inside.every(Boolean), budget);
    case 'difference':
      return combine(node.items, ([first, ...rest]) => first === true && !rest.some(Boolean), budget);
    case 'builder':
      return realSetOf(node.condition, budget, 'all');
    case 'relation':
      return solutions(node, budget);
    case 'list':
      if (!node.items.every((item) => item.kind === 'relation')) return undefined;
      return combine(node.items, (inside) => (how === 'any' ? inside.some(Boolean) : inside.every(Boolean)), budget);
    case 'symbol':
      return node.name === 'mathbb R' ? {contains: () => true, points: [], isCondition: false} : undefined;
    default:
      return undefined;
  }
}

/** Equal at every border of either, on both sides of it, and between. */
export function areEqualSets(a: RealSet, b: RealSet, budget: Budget): boolean {
  if (a.variable !== undefined && b.variable !== undefined && a.variable !== b.variable) return false;
  const borders = [...new Set([...a.points, ...b.points])].filter(Number.isFinite).sort((x, y) => x - y);
  const probes: number[] = [];
  for (const [i, point] of borders.entries()) {
    const step = 1e-7 * Math.max(1, Math.abs(point));
    probes.push(point - step, point, point + step);
    if (i > 0) probes.push((point + (borders[i - 1] as number)) / 2);
  }
  const reach = 1 + Math.max(1, ...borders.map(Math.abs));
  probes.push(-1e6 * reach, -reach, reach, 1e6 * reach, 0);
  if (a.isCondition || b.isCondition) for (let i = -150; i <= 150; i++) probes.push((2 * reach * i) / 150.5);
  let met = 0;
  const areEqual = probes.every((x) => {
    budget.spend(2);
    const isInside = a.contains(x);
    if (isInside) met++;
    return isInside === b.contains(x);
  });
  // Two conditions that nothing here meets may be any two.
  return areEqual && (met > 0 || !(a.isCondition || b.isCondition));
}

function interval(node: Node & {readonly kind: 'tuple'}, budget: Budget): RealSet | undefined {
  if (node.items.length !== 2) return undefined;
  const [low, high] = node.items.map((item) => constantOf(item, budget));
  if (low === undefined || high === undefined || !(low <= high)) return undefined;
  const contains = (x: number) =>
    (node.open === '[' ? !isLess(x, low) : isLess(low, x)) && (node.close === ']' ? !isLess(high, x) : isLess(x, high));
  return {contains, points: [low, high], isCondition: false};
}

function finite(items: readonly Node[], budget: Budget): RealSet | undefined {
  const values: number[] = [];
  for (const item of items) {
    const value = constantOf(item, budget);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return {contains: (x) => values.some((value) => isSame(x, value)), points: values, isCondition: false};
}

function combine(
  items: readonly Node[],
  decide: (inside: readonly boolean[]) => boolean,
  budget: Budget,
): RealSet | undefined {
  const sets: RealSet[] = [];
  for (const item of items) {
    const set = realSetOf(item, budget);
    if (set === undefined) return undefined;
    sets.push(set);
  }
  const unknowns = new Set(sets.flatMap(({unknown}) => unknown ?? []));
  if (unknowns.size > 1) return undefined;
  return {
    unknown: [...unknowns][0],
    variable: sets.find(({variable}) => variable !== undefined)?.variable,
    contains: (x) => decide(sets.map((set) => set.contains(x))),
    points: sets.flatMap((set) => set.points),
    isCondition: sets.some((set) => set.isCondition),
  };
}

const compares: Partial<Record<Operator, (a: number, b: number) => boolean>> = {
  '<': isLess,
  '>': (a, b) => isLess(b, a),
  '≤': (a, b) => !isLess(b, a),
  '≥': (a, b) => !isLess(a, b),
  '≠': (a, b) => !isSame(a, b),
  '=': isSame,
};

/** What one unknown may be. A name that is not a plain variable (`f(x)`, `k_1`) is an unknown as well. */
function solutions(node: Node & {readonly kind: 'relation'}, budget: Budget): RealSet | undefined {
  if (node.operators.length === 1 && node.operators[0] === '∈') {
    const [name, domain] = node.items as [Node, Node];
    const set = name.kind === 'symbol' || name.kind === 'opaque' ? realSetOf(domain, budget) : undefined;
    return set && {...set, variable: variableOf(name)};
  }
  if (node.operators.some((operator) => compares[operator] === undefined)) return undefined;
  // Where an equation holds, probes do not tell.
  if (node.operators.includes('=') && node.items.some((item) => !isConstant(item) && !isNameOrSize(item)))
    return undefined;
  const unknowns = node.items.filter((item) => !isConstant(item) && item.kind !== 'infinity');
  const names = new Set(
    unknowns.flatMap((item) =>
      item.kind === 'opaque' ? [] : [...symbolsOf(item)].filter((name) => name !== 'π' && name !== 'e'),
    ),
  );
  const isOneName = unknowns.length === 1 && unknowns[0]?.kind === 'opaque';
  if (
    !isOneName &&
    (names.size !== 1 || unknowns.some((item) => some(item, ({kind}) => kind === 'opaque' || kind === 'relation')))
  )
    return undefined;
  const [name = ''] = names;
  const fixed = node.items.map((item) => (isOneName && item === unknowns[0] ? undefined : constantOf(item, budget)));
  const valueAt = (i: number, x: number) => {
    const item = node.items[i] as Node;
    if (isOneName && item === unknowns[0]) return x;
    if (fixed[i] !== undefined) return fixed[i];
    const {re, im} = new Sample(0, budget, new Map([[name, x]])).value(item);
    return Math.abs(im) <= 1e-9 * Math.abs(re) || im === 0 ? re : Number.NaN;
  };
  const constants = fixed.filter((value): value is number => value !== undefined && Number.isFinite(value));
  return {
    contains: (x) =>
      node.operators.every((operator, i) => {
        const [left, right] = [valueAt(i, x), valueAt(i + 1, x)];
        return !Number.isNaN(left) && !Number.isNaN(right) && (compares[operator]?.(left, right) ?? false);
      }),
    points: constants.flatMap((value) => [value, -value]),
    isCondition: true,
    unknown: isOneName ? canonical(unknowns[0] as Node) : name,
    variable: isOneName ? undefined : variableOf({kind: 'symbol', name}),
  };
}

function isNameOrSize(node: Node): boolean {
  return node.kind === 'symbol' || (node.kind === 'call' && node.name === 'abs' && node.args[0]?.kind === 'symbol');
}

function isSame(a: number, b: number): boolean {
  if (!Number.isFinite(a) || !Number.isFinite(b)) return a === b;
  return a === b || Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b)) + 1e-12;
}

function isLess(a: number, b: number): boolean {
  return a < b && !isSame(a, b);
}
