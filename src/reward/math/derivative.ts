import {type Node, numberOf} from './ast.js';

/** Of `d` over `dt` or `∂^2` over `∂ x^2`, what it makes of what it stands before; undefined where they are no differentials. */
export function operatorOf(above: Node, below: Node): ((node: Node) => Node) | undefined {
  if (below.kind !== 'product' || below.items.length !== 2) return undefined;
  const [lower, variable] = below.items as [Node, Node];
  const [sign, order] = powered(above);
  const [name, times] = powered(variable);
  if (!isDifferential(sign) || !isDifferential(lower) || order === undefined || order !== times) return undefined;
  return name.kind === 'symbol' ? (node) => nthOf(node, name, order) : undefined;
}

/** Of `dv` over `dt`, whose `d` is no factor that cancels. */
export function derivativeOf(above: Node, below: Node): Node | undefined {
  if (above.kind !== 'product' || above.items.length < 2) return undefined;
  const [sign, ...inner] = above.items as [Node, Node];
  return operatorOf(sign, below)?.(inner.length === 1 ? inner[0] : {kind: 'product', items: inner});
}

/** `\dot x`, `\ddot x`. */
export function inTime(node: Node, order: number): Node {
  return nthOf(node, {kind: 'symbol', name: 't'}, order);
}

function nthOf(node: Node, variable: Node, order: number): Node {
  return {kind: 'opaque', name: 'derivative', args: [node, variable, numberOf(order)]};
}

function isDifferential(node: Node): boolean {
  return node.kind === 'symbol' && ['d', 'partial'].includes(node.name);
}

function powered(node: Node): readonly [base: Node, exponent: number | undefined] {
  if (node.kind !== 'power') return [node, 1];
  return [node.base, node.exponent.kind === 'number' ? Number(node.exponent.value.n) : undefined];
}
