import {childrenOf, type Node} from './ast.js';

/** Whether two parts are equal, under the options of the comparison that they belong to. */
export type Same = (gold: Node, answer: Node) => boolean;

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
export function isScalar(node: Node): boolean {
  if (node.kind === 'opaque') return true;
  return !structures.includes(node.kind) && childrenOf(node).every(isScalar);
}

/** A variable, `f(x)`, `AB`, `|AB|`, `∠ABC`, `A:B`, `NO/BO`, `(x, y)`. */
export function isName(node: Node): boolean {
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
