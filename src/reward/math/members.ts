import {canonical, childrenOf, type Node, rebuild, some} from './ast.js';
import type {Budget} from './budget.js';
import {isScalar, type Same} from './kinds.js';
import {matrixOf} from './matrix.js';
import {type Named, namedValue} from './relations.js';
import {equalScalars} from './scalar.js';
import {equalInOrder} from './tuples.js';

export function isMany(node: Node): boolean {
  return node.kind === 'list' || node.kind === 'set' || some(node, ({kind}) => kind === 'choice');
}

export function equalMany(gold: Node, answer: Node, same: Same, budget: Budget): boolean {
  // Written without brackets of its own, a list has the order of the point that it is compared with; `(0, 4]` is no point.
  if ([gold, answer].some((node) => node.kind === 'tuple' && (node.open === '(') !== (node.close === ')')))
    return false;
  if (gold.kind === 'tuple' && answer.kind === 'list') return equalInOrder(gold.items, answer.items, same);
  if (answer.kind === 'tuple' && gold.kind === 'list') return equalInOrder(gold.items, answer.items, same);
  const rows = matrixOf(gold.kind === 'list' ? answer : gold, budget);
  const list = gold.kind === 'list' ? gold : answer;
  // A vector.
  if (rows && list.kind === 'list' && (rows.length === 1 || rows[0]?.length === 1)) {
    const entries = rows.flat();
    return gold === list ? equalInOrder(list.items, entries, same) : equalInOrder(entries, list.items, same);
  }
  let [golds, answers] = [membersOf(gold, budget), membersOf(answer, budget)];
  if (golds.length !== answers.length) return false;
  // `2, 2` may be said as `2`, and `1, 1, 2` as `1, 2`, never as `1, 2, 2`.
  if (gold.kind === 'list' && answer.kind === 'list' && gold.items.length === answer.items.length)
    [golds, answers] = [[...gold.items], [...answer.items]];
  const byName = pairByName(golds, answers);
  if (byName) return byName.every(([g, a]) => same(g, a));
  const left = [...answers];
  return golds.every((g) => {
    const place = left.findIndex((a) => same(g, a));
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
