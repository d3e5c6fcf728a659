import type {Rational} from './rational.js';

/** What an answer says. About twenty kinds; whatever fits none of them is compared as text. */
export type Node =
  | {readonly kind: 'number'; readonly value: Rational; readonly written?: Written}
  | {readonly kind: 'symbol'; readonly name: string}
  | {readonly kind: 'infinity'}
  | {readonly kind: 'sum' | 'product'; readonly items: readonly Node[]}
  | {readonly kind: 'power'; readonly base: Node; readonly exponent: Node}
  /** `name` is a function we know (`sin`, `log` with base first, `abs`, `factorial`, `binom`, `floor`, `ceil`). */
  | {readonly kind: 'call'; readonly name: string; readonly args: readonly Node[]}
  /** A function we know nothing of (`f(x)`), a sum, an integral, a limit: equal where it is written equally. */
  | {readonly kind: 'opaque'; readonly name: string; readonly args: readonly Node[]}
  | {readonly kind: 'choice'; readonly plus: Node; readonly minus: Node}
  | {readonly kind: 'percent'; readonly value: Node}
  | {readonly kind: 'based'; readonly digits: string; readonly base: string}
  | {readonly kind: 'ratio'; readonly items: readonly Node[]}
  /** Round or square brackets on either side: a point, a vector, an interval. */
  | {readonly kind: 'tuple'; readonly open: '(' | '['; readonly close: ')' | ']'; readonly items: readonly Node[]}
  | {readonly kind: 'set'; readonly items: readonly Node[]}
  | {readonly kind: 'builder'; readonly condition: Node}
  | {readonly kind: 'list'; readonly items: readonly Node[]}
  | {readonly kind: 'union' | 'intersection' | 'difference'; readonly items: readonly Node[]}
  | {readonly kind: 'matrix'; readonly rows: readonly (readonly Node[])[]}
  /** `a < b = c`: one more item than operators. */
  | {readonly kind: 'relation'; readonly operators: readonly Operator[]; readonly items: readonly Node[]}
  | {readonly kind: 'words'; readonly text: string};

/** Of a number written as a decimal, with a power of ten or without. */
export interface Written {
  /** The place of its last digit: 2 in 1.25 and in 125e-2, −3 in 1.25e5. */
  readonly decimals: number;
  /** Digits behind its point. */
  readonly behindPoint: number;
  /** Significant ones. */
  readonly digits: number;
}

export type Operator = '=' | '≠' | '<' | '>' | '≤' | '≥' | '∈' | '≈' | '≡' | '→';

export const zero: Rational = {n: 0n, d: 1n};

export function numberOf(value: bigint | number): Node {
  return {kind: 'number', value: {n: BigInt(value), d: 1n}};
}

export function negate(node: Node): Node {
  if (node.kind === 'number') return {...node, value: {n: -node.value.n, d: node.value.d}};
  return {kind: 'product', items: [numberOf(-1), node]};
}

export function add(a: Node, b: Node): Node {
  return {kind: 'sum', items: [...(a.kind === 'sum' ? a.items : [a]), b]};
}

export function multiply(a: Node, b: Node): Node {
  return {kind: 'product', items: [...(a.kind === 'product' ? a.items : [a]), b]};
}

export function reciprocal(node: Node): Node {
  return {kind: 'power', base: node, exponent: numberOf(-1)};
}

/** The parts of a node, in order. */
export function childrenOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case 'power':
      return [node.base, node.exponent];
    case 'call':
    case 'opaque':
      return node.args;
    case 'choice':
      return [node.plus, node.minus];
    case 'percent':
      return [node.value];
    case 'builder':
      return [node.condition];
    case 'matrix':
      return node.rows.flat();
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
      return node.items;
    default:
      return [];
  }
}

/** The same node of other parts; one whose parts are not replaced stays as it is. */
export function rebuild(node: Node, children: readonly Node[]): Node {
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

/** One text for all that is written equally, the order of sums, products and sets aside. */
export function canonical(node: Node): string {
  const parts = childrenOf(node).map(canonical);
  switch (node.kind) {
    case 'number':
      return `${node.value.n}/${node.value.d}`;
    case 'symbol':
      return node.name;
    case 'based':
      return `${node.digits}_${node.base}`;
    case 'words':
      return JSON.stringify(node.text);
    case 'sum':
    case 'product':
    case 'set':
    case 'union':
    case 'intersection':
      return `${node.kind}(${parts.sort().join(',')})`;
    case 'call':
    case 'opaque':
      return `${node.name}(${parts.join(',')})`;
    case 'tuple':
      return `${node.open}${parts.join(',')}${node.close}`;
    case 'relation':
      return `relation${node.operators.join('')}(${parts.join(',')})`;
    case 'matrix':
      return `matrix${node.rows.map((row) => row.length).join(' ')}(${parts.join(',')})`;
    default:
      return `${node.kind}(${parts.join(',')})`;
  }
}

/** A variable's letter, without its index and its case: `x_1 > 3` and `X > 3` may be one condition, `y > 3` is another. */
export function variableOf(node: Node): string | undefined {
  return node.kind === 'symbol' ? node.name.split('_')[0]?.toLowerCase() : undefined;
}

export function symbolsOf(node: Node, into = new Set<string>()): ReadonlySet<string> {
  if (node.kind === 'symbol') into.add(node.name);
  for (const child of childrenOf(node)) symbolsOf(child, into);
  return into;
}

export function some(node: Node, test: (node: Node) => boolean): boolean {
  return test(node) || childrenOf(node).some((child) => some(child, test));
}
