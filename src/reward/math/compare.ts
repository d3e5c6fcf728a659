import type {Tolerance} from '../../types.js';
import {canonical, childrenOf, type Node, numberOf, type Operator, some, variableOf} from './ast.js';
import type {Budget} from './budget.js';
import {divide, minus, Sample, size} from './evaluate.js';
import {matrixOf, vectorOf} from './matrix.js';
import {equal} from './rational.js';
import {areEqualSets, realSetOf} from './real-set.js';
import {equalScalars, isConstant} from './scalar.js';

export interface CompareOptions {
  /** `ignore` (default): 28% is 28 as well as 0.28, for sets that ask for "what percent"; 28 is never 0.28. `strict`: 28% is 0.28 alone. */
  readonly percent?: 'ignore' | 'strict';
  /** Decimals are compared at so many places; left out: at the gold's own, from two up. */
  readonly decimals?: number;
  /** Numbers as far apart as this are equal, too. */
  readonly tolerance?: Tolerance;
}

/** Whether an answer says what the gold answer says, by the kind of thing that they are. */
export function areEqual(gold: Node, answer: Node, options: CompareOptions, budget: Budget): boolean {
  budget.spend();
  if (gold.kind === 'percent' || answer.kind === 'percent') return equalPercents(gold, answer, options, budget);
  if (gold.kind === 'relation' || answer.kind === 'relation') {
    if (gold.kind === 'relation' && answer.kind === 'relation' && equalRelations(gold, answer, options, budget))
      return true;
    if (equalNamedValues(gold, answer, options, budget)) return true;
    return equalAsSets(gold, answer, budget);
  }
  const [goldVector, answerVector] = [vectorOf(gold), vectorOf(answer)];
  if (goldVector && !answerVector && isVector(answer))
    return areEqual(fitted(goldVector, answer), answer, options, budget);
  if (answerVector && !goldVector && isVector(gold)) return areEqual(gold, fitted(answerVector, gold), options, budget);
  if (isMany(gold) || isMany(answer))
    return equalMany(gold, answer, options, budget) || equalAsSets(gold, answer, budget);
  if (gold.kind === 'tuple' || answer.kind === 'tuple')
    return equalTuples(gold, answer, options, budget) || equalAsSets(gold, answer, budget);
  if (isSetOperation(gold) || isSetOperation(answer))
    return equalAsSets(gold, answer, budget) || equalOperations(gold, answer, options, budget);
  const [goldRows, answerRows] = [matrixOf(gold, budget), matrixOf(answer, budget)];
  if (goldRows || answerRows)
    return goldRows !== undefined && answerRows !== undefined && equalRows(goldRows, answerRows, options, budget);
  if (gold.kind === 'based' || answer.kind === 'based') return canonical(gold) === canonical(answer);
  if (gold.kind === 'ratio' && answer.kind === 'ratio') return equalRatios(gold, answer, options, budget);
  if (!isScalar(gold) || !isScalar(answer)) return canonical(gold) === canonical(answer);
  return equalScalars(gold, answer, options, budget);
}

function equalPercents(gold: Node, answer: Node, options: CompareOptions, budget: Budget): boolean {
  const [g, a] = [gold, answer].map((node) => (node.kind === 'percent' ? node.value : node)) as [Node, Node];
  if (gold.kind === answer.kind) return areEqual(g, a, options, budget);
  const isValueEqual = isScalar(gold) && isScalar(answer) && equalScalars(gold, answer, options, budget);
  if (isValueEqual || options.percent === 'strict') return isValueEqual;
  return g.kind !== 'percent' && a.kind !== 'percent' && areEqual(g, a, options, budget);
}

// --- Relations ---------------------------------------------------------------------------------

type Relation = Node & {readonly kind: 'relation'};

const flipped: Readonly<Record<string, Operator>> = {'<': '>', '>': '<', '≤': '≥', '≥': '≤'};

function equalRelations(gold: Relation, answer: Relation, options: CompareOptions, budget: Budget): boolean {
  if (gold.operators.length === 1 && answer.operators.length === 1) {
    const [g, a] = [ascending(gold), ascending(answer)];
    if (g.operator === a.operator && areProportional(g, a, budget)) return true;
    // `x ∈ A`, and sides that are no numbers.
    return (
      g.operator === a.operator &&
      areEqual(g.left, a.left, options, budget) &&
      areEqual(g.right, a.right, options, budget)
    );
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
      relation.items.every((item, i) => areEqual(gold.items[i] as Node, item, options, budget)),
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

interface Named {
  readonly name?: string;
  /** `x = 3` and `y = 3` are two lines. */
  readonly variable?: string;
  readonly value: Node;
}

/** `x = 5` is 5 where nothing but its name is told. */
function equalNamedValues(gold: Node, answer: Node, options: CompareOptions, budget: Budget): boolean {
  if (isContradiction(answer)) return false;
  const [g, a] = [namedValue(gold), namedValue(answer)];
  if (g === undefined || a === undefined) return false;
  if (g.value.kind === 'relation' || a.value.kind === 'relation') return false;
  if (g.variable !== undefined && a.variable !== undefined && g.variable !== a.variable) return false;
  return areEqual(g.value, a.value, options, budget);
}

/** The value that a relation gives a name to: the last of a chain, before it is approximated. Itself where it is no relation. */
function namedValue(node: Node): Named | undefined {
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

/** A variable, `f(x)`, `AB`, `|AB|`, `∠ABC`, `A:B`, `NO/BO`, `(x, y)`. */
function isName(node: Node): boolean {
  switch (node.kind) {
    case 'symbol':
      return true;
    case 'opaque':
      return !/^(?:sum|prod|int|lim)/.test(node.name);
    case 'call':
      return node.name === 'abs' && isName(node.args[0] as Node);
    case 'product':
      return node.items.every((item) => isName(item) || (item.kind === 'power' && isName(item.base)));
    case 'ratio':
    case 'tuple':
      return node.items.every(isName);
    default:
      return false;
  }
}

// --- Several answers ---------------------------------------------------------------------------

function isMany(node: Node): boolean {
  return node.kind === 'list' || node.kind === 'set' || some(node, ({kind}) => kind === 'choice');
}

function equalMany(gold: Node, answer: Node, options: CompareOptions, budget: Budget): boolean {
  // Written without brackets of its own, a list has the order of the point that it is compared with.
  if (gold.kind === 'tuple' && answer.kind === 'list') return equalInOrder(gold.items, answer.items, options, budget);
  if (answer.kind === 'tuple' && gold.kind === 'list') return equalInOrder(gold.items, answer.items, options, budget);
  const rows = matrixOf(gold.kind === 'list' ? answer : gold, budget);
  const list = gold.kind === 'list' ? gold : answer;
  // A vector.
  if (rows && list.kind === 'list' && (rows.length === 1 || rows[0]?.length === 1)) {
    const entries = rows.flat();
    return gold === list
      ? equalInOrder(list.items, entries, options, budget)
      : equalInOrder(entries, list.items, options, budget);
  }
  let [golds, answers] = [membersOf(gold, budget), membersOf(answer, budget)];
  if (golds.length !== answers.length) return false;
  // `2, 2` may be said as `2`, and `1, 1, 2` as `1, 2`, never as `1, 2, 2`.
  if (gold.kind === 'list' && answer.kind === 'list' && gold.items.length === answer.items.length)
    [golds, answers] = [[...gold.items], [...answer.items]];
  const byName = pairByName(golds, answers);
  if (byName) return byName.every(([g, a]) => areEqual(g, a, options, budget));
  const left = [...answers];
  return golds.every((g) => {
    const place = left.findIndex((a) => areEqual(g, a, options, budget));
    if (place < 0) return false;
    left.splice(place, 1);
    return true;
  });
}

/** Each of several answers, `±` taken both ways, none twice. */
function membersOf(node: Node, budget: Budget): Node[] {
  const items =
    node.kind === 'list' || node.kind === 'set'
      ? node.items.flatMap((item) => (isMany(item) && item.kind !== 'list' ? membersOf(item, budget) : [item]))
      : branches(node, budget);
  const seen = new Set<string>();
  const members: Node[] = [];
  for (const item of items) {
    const key = canonical(item);
    const isKnown =
      seen.has(key) ||
      members.some((other) => isScalar(other) && isScalar(item) && equalScalars(other, item, {}, budget));
    seen.add(key);
    if (!isKnown) members.push(item);
  }
  return members;
}

/** All `±` of an expression take the upper sign together, then the lower. */
function branches(node: Node, budget: Budget): Node[] {
  if (!some(node, ({kind}) => kind === 'choice')) return [node];
  return [pick(node, 'plus', budget), pick(node, 'minus', budget)];
}

function pick(node: Node, side: 'plus' | 'minus', budget: Budget): Node {
  budget.spend();
  if (node.kind === 'choice') return pick(node[side], side, budget);
  const children = childrenOf(node);
  if (children.length === 0) return node;
  return rebuild(
    node,
    children.map((child) => pick(child, side, budget)),
  );
}

function rebuild(node: Node, children: readonly Node[]): Node {
  switch (node.kind) {
    case 'power':
      return {...node, base: children[0] as Node, exponent: children[1] as Node};
    case 'call':
    case 'opaque':
      return {...node, args: children};
    case 'percent':
      return {...node, value: children[0] as Node};
    case 'sum':
    case 'product':
    case 'ratio':
    case 'tuple':
    case 'set':
    case 'list':
    case 'union':
    case 'intersection':
    case 'difference':
    case 'relation':
      return {...node, items: children};
    default:
      return node;
  }
}

/** `a = 1, b = 2` against `b = 2, a = 1`; undefined where the names do not say which is which. */
function pairByName(golds: readonly Node[], answers: readonly Node[]): [Node, Node][] | undefined {
  if (golds.length < 2) return undefined;
  const [g, a] = [golds.map(namedValue), answers.map(namedValue)];
  const names = (list: readonly (Named | undefined)[]) => new Set(list.map((one) => one?.name));
  if (names(g).has(undefined) || names(a).has(undefined)) return undefined;
  if (names(g).size !== golds.length || names(a).size !== answers.length) return undefined;
  const found = new Map(a.map((one) => [one?.name, one?.value as Node]));
  if (![...names(g)].every((name) => found.has(name))) return undefined;
  return g.map((one) => [one?.value as Node, found.get(one?.name) as Node]);
}

// --- Points, intervals, matrices ---------------------------------------------------------------

function equalTuples(gold: Node, answer: Node, options: CompareOptions, budget: Budget): boolean {
  if (gold.kind === 'tuple' && answer.kind === 'tuple') {
    // Two items may be an interval, whose brackets matter.
    const areSameBrackets = gold.open === answer.open && gold.close === answer.close;
    const isMixed = (answer.open === '(') !== (answer.close === ')');
    if (!areSameBrackets && (gold.items.length === 2 || isMixed)) return false;
    return equalInOrder(gold.items, answer.items, options, budget);
  }
  const [tuple, other] = gold.kind === 'tuple' ? [gold, answer] : [answer, gold];
  const rows = matrixOf(other, budget);
  if (tuple.kind !== 'tuple' || rows === undefined) return false;
  // `[[1,2],[3,4]]`
  if (rows.length > 1 && tuple.items.length === rows.length && tuple.items.every(({kind}) => kind === 'tuple')) {
    const items = tuple.items.map((item) => (item.kind === 'tuple' ? item.items : []));
    return gold.kind === 'tuple' ? equalRows(items, rows, options, budget) : equalRows(rows, items, options, budget);
  }
  const entries = rows.flat();
  if (rows.length !== 1 && rows[0]?.length !== 1) return false;
  return gold.kind === 'tuple'
    ? equalInOrder(gold.items, entries, options, budget)
    : equalInOrder(entries, tuple.items, options, budget);
}

function equalInOrder(
  golds: readonly Node[],
  answers: readonly Node[],
  options: CompareOptions,
  budget: Budget,
): boolean {
  return golds.length === answers.length && golds.every((g, i) => areEqual(g, answers[i] as Node, options, budget));
}

function equalRows(
  gold: readonly (readonly Node[])[],
  answer: readonly (readonly Node[])[],
  options: CompareOptions,
  budget: Budget,
): boolean {
  return (
    gold.length === answer.length &&
    gold.every((row, i) => equalInOrder(row, answer[i] as readonly Node[], options, budget))
  );
}

function equalRatios(
  gold: Node & {readonly kind: 'ratio'},
  answer: Node & {readonly kind: 'ratio'},
  options: CompareOptions,
  budget: Budget,
): boolean {
  if (gold.items.length !== answer.items.length) return false;
  const [g, a] = [gold.items[0] as Node, answer.items[0] as Node];
  if ([...gold.items, ...answer.items].some((item) => canonical(item) === canonical(numberOf(0))))
    return equalInOrder(gold.items, answer.items, options, budget);
  return gold.items.every((item, i) =>
    areEqual(
      {kind: 'product', items: [item, a]},
      {kind: 'product', items: [answer.items[i] as Node, g]},
      options,
      budget,
    ),
  );
}

function isVector(node: Node): boolean {
  return node.kind === 'tuple' || node.kind === 'matrix';
}

/** Three coordinates as so many as another vector has: a third that is 0 need not be written. */
function fitted(vector: readonly [Node, Node, Node], other: Node): Node {
  const isFlat = canonical(vector[2]) === canonical(numberOf(0)) && childrenOf(other).length === 2;
  return {kind: 'tuple', open: '(', close: ')', items: isFlat ? vector.slice(0, 2) : vector};
}

function isSetOperation(node: Node): boolean {
  return ['union', 'intersection', 'difference', 'builder'].includes(node.kind);
}

function equalOperations(gold: Node, answer: Node, options: CompareOptions, budget: Budget): boolean {
  if (gold.kind !== answer.kind || gold.kind === 'builder') return canonical(gold) === canonical(answer);
  const [golds, answers] = [childrenOf(gold), childrenOf(answer)];
  if (gold.kind === 'difference') return equalInOrder(golds, answers, options, budget);
  return equalMany({kind: 'list', items: golds}, {kind: 'list', items: answers}, options, budget);
}

/** As sets of real numbers; a list of conditions may be meant either way. */
function equalAsSets(gold: Node, answer: Node, budget: Budget): boolean {
  if (!isSetLike(gold) || !isSetLike(answer)) return false;
  // Who writes the question's inequality again has solved nothing.
  if (gold.kind !== 'relation' && some(answer, isUnsolved)) return false;
  // Points and lists are compared part by part; two intervals as such.
  if (gold.kind === 'tuple' && answer.kind === 'tuple') return false;
  for (const how of ['any', 'all'] as const) {
    const [g, a] = [realSetOf(gold, budget, how), realSetOf(answer, budget, how)];
    if (g && a && areEqualSets(g, a, budget)) return true;
    if (gold.kind !== 'list' && answer.kind !== 'list') return false;
  }
  return false;
}

/** A condition on more than a name, or the size of one. */
function isUnsolved(node: Node): boolean {
  if (node.kind !== 'relation' || node.operators[0] === '∈') return false;
  return node.items.some((item) => {
    const inner = item.kind === 'call' && item.name === 'abs' ? (item.args[0] as Node) : item;
    return !isConstant(inner) && !isName(inner);
  });
}

function isSetLike(node: Node): boolean {
  return ['tuple', 'set', 'relation', 'list', 'symbol'].includes(node.kind) || isSetOperation(node);
}

const structures: readonly Node['kind'][] = [
  'tuple',
  'set',
  'list',
  'builder',
  'union',
  'intersection',
  'difference',
  'matrix',
  'relation',
  'words',
  'based',
  'choice',
];

/** A number or an expression. What stands below a sum or an integral may be anything. */
function isScalar(node: Node): boolean {
  if (node.kind === 'opaque') return true;
  return !structures.includes(node.kind) && childrenOf(node).every(isScalar);
}
