import {type Node, numberOf} from './ast.js';
import type {Budget} from './budget.js';

type Rows = readonly (readonly Node[])[];

/** The entries of a matrix, or of a sum, multiple or product of matrices; undefined where a node is none. */
export function matrixOf(node: Node, budget: Budget): Rows | undefined {
  budget.spend();
  if (node.kind === 'matrix') return node.rows;
  if (node.kind !== 'sum' && node.kind !== 'product') return undefined;
  const parts = node.items.map((item) => ({item, rows: matrixOf(item, budget)}));
  if (parts.every(({rows}) => rows === undefined)) return undefined;
  if (node.kind === 'sum') {
    return parts
      .slice(1)
      .reduce<Rows | undefined>((total, {rows}) => total && rows && addRows(total, rows, budget), parts[0]?.rows);
  }
  let product: Rows | undefined;
  for (const {rows} of parts) {
    if (rows === undefined) continue;
    product = product === undefined ? rows : multiplyRows(product, rows, budget);
    if (product === undefined) return undefined;
  }
  const factors = parts.filter(({rows}) => rows === undefined).map(({item}) => item);
  if (factors.length === 0) return product;
  return product?.map((row) => row.map((entry) => ({kind: 'product', items: [...factors, entry]})));
}

const units = ['i', 'j', 'k'];

/** The coordinates of `2i - 3j + k`; undefined where a node is no such sum, or might be a complex number. */
export function vectorOf(node: Node): readonly [Node, Node, Node] | undefined {
  const terms = node.kind === 'sum' ? node.items : [node];
  const coordinates: [Node[], Node[], Node[]] = [[], [], []];
  for (const term of terms) {
    const factors = (term.kind === 'product' ? term.items : [term]).flatMap((one) =>
      one.kind === 'product' ? one.items : [one],
    );
    const found = factors.filter((one) => one.kind === 'symbol' && units.includes(one.name));
    const [unit] = found;
    if (found.length !== 1 || unit?.kind !== 'symbol') return undefined;
    const rest = factors.filter((one) => one !== unit);
    coordinates[units.indexOf(unit.name) as 0 | 1 | 2].push(
      rest.length === 0 ? numberOf(1) : {kind: 'product', items: rest},
    );
  }
  if (coordinates[1].length + coordinates[2].length === 0) return undefined;
  return coordinates.map((items): Node => (items.length === 0 ? numberOf(0) : {kind: 'sum', items})) as unknown as [
    Node,
    Node,
    Node,
  ];
}

function addRows(a: Rows, b: Rows, budget: Budget): Rows | undefined {
  if (a.length !== b.length || a[0]?.length !== b[0]?.length) return undefined;
  return a.map((row, i) =>
    row.map((entry, j) => {
      budget.spend();
      return {kind: 'sum', items: [entry, b[i]?.[j] ?? numberOf(0)]};
    }),
  );
}

function multiplyRows(a: Rows, b: Rows, budget: Budget): Rows | undefined {
  if (a[0]?.length !== b.length) return undefined;
  return a.map((row) =>
    (b[0] ?? []).map((_, j) => ({
      kind: 'sum',
      items: row.map((entry, k): Node => {
        budget.spend();
        return {kind: 'product', items: [entry, b[k]?.[j] ?? numberOf(0)]};
      }),
    })),
  );
}

/** Expanded along the first row. */
export function determinant(rows: Rows): Node {
  if (rows.length !== rows[0]?.length || rows.length > 4)
    return {kind: 'call', name: 'det', args: [{kind: 'matrix', rows}]};
  if (rows.length === 1) return rows[0]?.[0] as Node;
  const [first = [], ...rest] = rows;
  const terms = first.map((entry, j): Node => {
    const minor = determinant(rest.map((row) => row.filter((_, k) => k !== j)));
    return {kind: 'product', items: [numberOf(j % 2 === 0 ? 1 : -1), entry, minor]};
  });
  return {kind: 'sum', items: terms};
}
