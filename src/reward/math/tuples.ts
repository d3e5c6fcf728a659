import {canonical, childrenOf, type Node, numberOf} from './ast.js';
import type {Budget} from './budget.js';
import type {Same} from './kinds.js';
import {matrixOf} from './matrix.js';

export function equalTuples(gold: Node, answer: Node, same: Same, budget: Budget): boolean {
  if (gold.kind === 'tuple' && answer.kind === 'tuple') {
    // Two items may be an interval, whose brackets matter.
    const areSameBrackets = gold.open === answer.open && gold.close === answer.close;
    const isMixed = (answer.open === '(') !== (answer.close === ')');
    if (!areSameBrackets && (gold.items.length === 2 || isMixed)) return false;
    return equalInOrder(gold.items, answer.items, same);
  }
  const [tuple, other] = gold.kind === 'tuple' ? [gold, answer] : [answer, gold];
  const rows = matrixOf(other, budget);
  if (tuple.kind !== 'tuple' || rows === undefined) return false;
  // `[[1,2],[3,4]]`
  if (rows.length > 1 && tuple.items.length === rows.length && tuple.items.every(({kind}) => kind === 'tuple')) {
    const items = tuple.items.map((item) => (item.kind === 'tuple' ? item.items : []));
    return gold.kind === 'tuple' ? equalRows(items, rows, same) : equalRows(rows, items, same);
  }
  const entries = rows.flat();
  if (rows.length !== 1 && rows[0]?.length !== 1) return false;
  return gold.kind === 'tuple' ? equalInOrder(gold.items, entries, same) : equalInOrder(entries, tuple.items, same);
}

export function equalInOrder(golds: readonly Node[], answers: readonly Node[], same: Same): boolean {
  return golds.length === answers.length && golds.every((g, i) => same(g, answers[i] as Node));
}

export function equalRows(
  gold: readonly (readonly Node[])[],
  answer: readonly (readonly Node[])[],
  same: Same,
): boolean {
  return gold.length === answer.length && gold.every((row, i) => equalInOrder(row, answer[i] as readonly Node[], same));
}

export function equalRatios(
  gold: Node & {readonly kind: 'ratio'},
  answer: Node & {readonly kind: 'ratio'},
  same: Same,
): boolean {
  if (gold.items.length !== answer.items.length) return false;
  const [g, a] = [gold.items[0] as Node, answer.items[0] as Node];
  if ([...gold.items, ...answer.items].some((item) => canonical(item) === canonical(numberOf(0))))
    return equalInOrder(gold.items, answer.items, same);
  return gold.items.every((item, i) =>
    same({kind: 'product', items: [item, a]}, {kind: 'product', items: [answer.items[i] as Node, g]}),
  );
}

export function isVector(node: Node): boolean {
  return node.kind === 'tuple' || node.kind === 'matrix';
}

/** Three coordinates as so many as another vector has: a third that is 0 need not be written. */
export function fitted(vector: readonly [Node, Node, Node], other: Node): Node {
  const isFlat = canonical(vector[2]) === canonical(numberOf(0)) && childrenOf(other).length === 2;
  return {kind: 'tuple', open: '(', close: ')', items: isFlat ? vector.slice(0, 2) : vector};
}
