import {canonical, type Node, type Operator, some, variableOf} from './ast.js';
import type {Budget} from './budget.js';
import {divide, minus, Sample, size} from './evaluate.js';
import {isName, isScalar, type Same} from './kinds.js';
import {equal} from './rational.js';
import {isConstant} from './scalar.js';

export type Relation = Node & {readonly kind: 'relation'};

const flipped: Readonly<Record<string, Operator>> = {'<': '>', '>': '<', '≤': '≥', '≥': '≤'};

export function equalRelations(gold: Relation, answer: Relation, same: Same, budget: Budget): boolean {
  if (gold.operators.length === 1 && answer.operators.length === 1) {
    const [g, a] = [ascending(gold), ascending(answer)];
    if (g.operator === a.operator && g.operator !== '→' && areProportional(g, a, budget)) return true;
    // `x ∈ A`, and sides that are no numbers.
    return g.operator === a.operator && same(g.left, a.left) && same(g.right, a.right);
  }
  if (gold.operators.length !== answer.operators.length) return false;
  const backwards: Relation = {
    kind: 'relation',
    operators: [...answer.operators].reverse().map((operator) => flipped[operator] ?? operator),
    items: [...answer.items].reverse(),
  };
  return [answer, backwards].some(
    (relation) =>
      relation.operators.join() === gold.operators.join() &&
      relation.operators.some((operator) => operator !== '=') &&
      relation.items.every((item, i) => same(gold.items[i] as Node, item)),
  );
}

interface Sides {
  readonly operator: Operator;
  readonly left: Node;
  readonly right: Node;
}

/** `a > b` as `b < a`. */
function ascending({operators, items}: Relation): Sides {
  const [operator, left, right] = [operators[0] as Operator, items[0] as Node, items[1] as Node];
  if (operator === '>' || operator === '≥') return {operator: flipped[operator] as Operator, left: right, right: left};
  return {operator, left, right};
}

/** The difference of the sides of one is a multiple of the other's; a positive one for inequalities. */
function areProportional(gold: Sides, answer: Sides, budget: Budget): boolean {
  if (![gold.left, gold.right, answer.left, answer.right].every(isScalar)) return false;
  if ([gold, answer].some(({left, right}) => isConstant(left) && isConstant(right))) return false;
  let first: {readonly re: number; readonly im: number} | undefined;
  let met = 0;
  for (let index = 0; index < 6; index++) {
    const sample = new Sample(index, budget);
    const [g, a] = [gold, answer].map(({left, right}) => minus(sample.value(left), sample.value(right))) as [
      {readonly re: number; readonly im: number},
      {readonly re: number; readonly im: number},
    ];
    if (![g.re, g.im, a.re, a.im].every(Number.isFinite)) continue;
    const ratio = divide(a, g);
    if (!Number.isFinite(ratio.re) || size(ratio) < 1e-12) return false;
    first ??= ratio;
    if (size(minus(ratio, first)) > 1e-8 * size(first)) return false;
    met++;
  }
  if (met < 3 || first === undefined) return false;
  const isOrdered = gold.operator === '<' || gold.operator === '≤';
  return !isOrdered || (first.re > 0 && Math.abs(first.im) < 1e-9 * first.re);
}

/** `6 = 5`, two numbers. */
function isContradiction(node: Node): boolean {
  if (node.kind !== 'relation' || node.operators.length !== 1 || node.operators[0] !== '=') return false;
  const [left, right] = node.items as [Node, Node];
  return left.kind === 'number' && right.kind === 'number' && !equal(left.value, right.value);
}

export interface Named {
  readonly name?: string;
  /** `x = 3` and `y = 3` are two lines. */
  readonly variable?: string;
  readonly value: Node;
}

/** `x = 5` is 5 where nothing but its name is told. */
export function equalNamedValues(gold: Node, answer: Node, same: Same): boolean {
  if (isContradiction(answer)) return false;
  const [g, a] = [namedValue(gold), namedValue(answer) ?? rewritten(answer, same)];
  if (g === undefined || a === undefined) return false;
  if (g.value.kind === 'relation' || a.value.kind === 'relation') return false;
  if (g.variable !== undefined && a.variable !== undefined && g.variable !== a.variable) return false;
  return same(g.value, a.value);
}

/** What an identity ends with: `n^2 - n = n(n - 1)`, `1 + 2 + … + n = n(n + 1)/2`. */
function rewritten(node: Node, same: Same): Named | undefined {
  if (node.kind !== 'relation' || node.operators.join() !== '=') return undefined;
  const [left, right] = node.items as [Node, Node];
  if (!isScalar(left) || !isScalar(right)) return undefined;
  const goesOn = some(left, (part) => part.kind === 'symbol' && part.name === '…');
  return goesOn || same(left, right) ? {value: right} : undefined;
}

/** The value that a relation gives a name to: the last of a chain, before it is approximated. Itself where it is no relation. */
export function namedValue(node: Node): Named | undefined {
  if (node.kind !== 'relation') return {value: node};
  const approximate = node.operators.indexOf('≈');
  if (approximate === 0 && isConstant(node.items[0] as Node)) return {value: node.items[0] as Node};
  const items = approximate > 0 ? node.items.slice(0, approximate + 1) : node.items;
  const operators = node.operators.slice(0, items.length - 1);
  const [first, second] = items as [Node, Node];
  if (operators.length === 1 && operators[0] === '∈')
    return isName(first) ? {...named(first), value: second} : undefined;
  if (operators.some((operator) => operator !== '=' && operator !== '≈')) return undefined;
  const last = items.at(-1) as Node;
  if (isName(first)) return {...named(first), value: last};
  if (operators.length === 1 && isName(second) && isConstant(first)) return {...named(second), value: first};
  return operators.length > 1 || (isConstant(first) && isConstant(last)) ? {value: last} : undefined;
}

function named(node: Node): {readonly name: string; readonly variable?: string} {
  return {name: canonical(node), variable: variableOf(node)};
}
