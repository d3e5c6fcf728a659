import type {Tolerance} from '../../types.js';
import {canonical, childrenOf, type Node, some} from './ast.js';
import type {Budget} from './budget.js';
import {isName, isScalar, type Same} from './kinds.js';
import {matrixOf, vectorOf} from './matrix.js';
import {equalMany, isMany} from './members.js';
import {areEqualSets, realSetOf} from './real-set.js';
import {equalNamedValues, equalRelations} from './relations.js';
import {equalScalars, isConstant} from './scalar.js';
import {equalInOrder, equalRatios, equalRows, equalTuples, fitted, isVector} from './tuples.js';

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
  const same: Same = (g, a) => areEqual(g, a, options, budget);
  if (gold.kind === 'percent' || answer.kind === 'percent') return equalPercents(gold, answer, options, budget);
  if (gold.kind === 'relation' || answer.kind === 'relation') {
    if (gold.kind === 'relation' && answer.kind === 'relation' && equalRelations(gold, answer, same, budget))
      return true;
    if (equalNamedValues(gold, answer, same)) return true;
    return equalAsSets(gold, answer, budget);
  }
  const [goldVector, answerVector] = [vectorOf(gold), vectorOf(answer)];
  if (goldVector && !answerVector && isVector(answer)) return same(fitted(goldVector, answer), answer);
  if (answerVector && !goldVector && isVector(gold)) return same(gold, fitted(answerVector, gold));
  if (isMany(gold) || isMany(answer)) return equalMany(gold, answer, same, budget) || equalAsSets(gold, answer, budget);
  if (gold.kind === 'tuple' || answer.kind === 'tuple')
    return equalTuples(gold, answer, same, budget) || equalAsSets(gold, answer, budget);
  if (isSetOperation(gold) || isSetOperation(answer))
    return equalAsSets(gold, answer, budget) || equalOperations(gold, answer, same, budget);
  const [goldRows, answerRows] = [matrixOf(gold, budget), matrixOf(answer, budget)];
  if (goldRows || answerRows)
    return goldRows !== undefined && answerRows !== undefined && equalRows(goldRows, answerRows, same);
  if (gold.kind === 'based' || answer.kind === 'based') return canonical(gold) === canonical(answer);
  if (gold.kind === 'ratio' && answer.kind === 'ratio') return equalRatios(gold, answer, same);
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

function isSetOperation(node: Node): boolean {
  return ['union', 'intersection', 'difference', 'builder'].includes(node.kind);
}

function equalOperations(gold: Node, answer: Node, same: Same, budget: Budget): boolean {
  if (gold.kind !== answer.kind || gold.kind === 'builder') return canonical(gold) === canonical(answer);
  const [golds, answers] = [childrenOf(gold), childrenOf(answer)];
  if (gold.kind === 'difference') return equalInOrder(golds, answers, same);
  return equalMany({kind: 'list', items: golds}, {kind: 'list', items: answers}, same, budget);
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
