import type {Node} from './ast.js';
import {NotMathematics} from './cursor.js';
import type {Rational} from './rational.js';

/** A number as it is written, with the decimals that it was written with. */
export function numberToken(text: string): Node {
  const match = /^(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text);
  if (!match) throw new NotMathematics(`no number: ${text}`);
  const [, whole = '', places = '', exponent] = match;
  const shift = Number(exponent ?? 0);
  if (Math.abs(shift) > 1000) throw new NotMathematics('a number out of range');
  const mantissa = BigInt(`${whole}${places}` || '0');
  const scale = shift - places.length;
  const value: Rational =
    scale >= 0 ? {n: mantissa * 10n ** BigInt(scale), d: 1n} : reduce(mantissa, 10n ** BigInt(-scale));
  if (!text.includes('.') && exponent === undefined) return {kind: 'number', value};
  const digits = `${whole}${places}`.replace(/^0+/, '').length;
  return {kind: 'number', value, written: {decimals: -scale, behindPoint: places.length, digits}};
}

function reduce(n: bigint, d: bigint): Rational {
  let [a, b] = [n, d];
  while (b !== 0n) [a, b] = [b, a % b];
  return a === 0n ? {n: 0n, d: 1n} : {n: n / a, d: d / a};
}

/** Whether a node is a fraction below one, as behind the whole of a mixed number. */
export function isProper(node: Node): boolean {
  if (node.kind !== 'product' || node.items.length !== 2) return false;
  const [above, below] = node.items as [Node, Node];
  if (above.kind !== 'number' || below.kind !== 'power' || below.base.kind !== 'number') return false;
  return above.value.d === 1n && below.base.value.d === 1n && above.value.n >= 0n && above.value.n < below.base.value.n;
}
