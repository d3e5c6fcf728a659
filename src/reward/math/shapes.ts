import type {Node} from './ast.js';
import {NotMathematics} from './cursor.js';

/** `{x | …}`. Of other things than real numbers, and of expressions, only what is written equally is equal. */
export function builderOf(element: Node, condition: Node): Node {
  const [name, domain] = element.kind === 'relation' && element.operators[0] === '∈' ? element.items : [element];
  const isReal = domain === undefined || (domain.kind === 'symbol' && domain.name === 'mathbb R');
  if (name?.kind === 'symbol' && isReal) return {kind: 'builder', condition};
  return {kind: 'opaque', name: 'builder', args: [element, condition]};
}

/** Several equations that hold together; or the pieces of a function, each a value and its condition, in any order. */
export function casesOf(rows: readonly (readonly Node[])[]): Node {
  if (rows.length === 0) throw new NotMathematics('no cases');
  if (rows.every((row) => row.length === 1)) return {kind: 'list', items: rows.map(([only]) => only as Node)};
  return {kind: 'set', items: rows.map((items) => ({kind: 'tuple', open: '(', close: ')', items}))};
}

export function transposed(node: Node): Node {
  if (node.kind !== 'matrix') return node;
  return {kind: 'matrix', rows: (node.rows[0] ?? []).map((_, j) => node.rows.map((row) => row[j] as Node))};
}

/** A list inside a tuple came from semicolons: a tuple of its own. */
export function plainList(node: Node): Node {
  return node.kind === 'list' ? {kind: 'tuple', open: '(', close: ')', items: node.items} : node;
}
