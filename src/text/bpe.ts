import {IlrError} from '../errors.js';

/** Turns one pre-tokenised word into ids. */
export type WordEncoder = (word: string) => readonly number[];

export interface BpeModel {
  readonly type: 'BPE';
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (string | readonly [string, string])[];
  readonly unk_token?: string | null;
  readonly fuse_unk?: boolean;
  readonly byte_fallback?: boolean;
  readonly ignore_merges?: boolean;
  readonly continuing_subword_prefix?: string | null;
  readonly end_of_word_suffix?: string | null;
}

/** What a merge of two ids gives, and how early it comes. */
interface Merges {
  /** left · base + right → rank */
  readonly ranks: ReadonlyMap<number, number>;
  /** [rank] */
  readonly results: Int32Array;
  readonly base: number;
}

const cachedWords = 20_000;
const cachedWordLength = 64;

/**
Byte-pair encoding as the `tokenizers` library does it: the earliest merge first, the leftmost among equals. Written here because the
library's Node binding only encodes asynchronously and cannot leave added tokens out.

@param banned - Ids that no text may become: those of added tokens.
@throws IlrError `ILR_INVALID_MODEL` when a merge names a token that the vocabulary lacks, `ILR_UNSUPPORTED` on subword affixes.
*/
export function createBpe(model: BpeModel, banned: ReadonlySet<number>): WordEncoder {
  if (model.continuing_subword_prefix || model.end_of_word_suffix)
    throw new IlrError(
      'ILR_UNSUPPORTED',
      'tokenizer.json: expected a BPE model without continuing_subword_prefix and end_of_word_suffix',
    );
  const vocab = new Map(Object.entries(model.vocab).filter(([, id]) => !banned.has(id)));
  const merges = readMerges(model, banned);
  const unknown = model.unk_token == null ? undefined : vocab.get(model.unk_token);
  const cache = new Map<string, readonly number[]>();

  const symbolsOf = (word: string): number[] => {
    const symbols: number[] = [];
    let lastWasUnknown = false;
    for (const character of word) {
      const id = vocab.get(character);
      const bytes = id === undefined && model.byte_fallback ? bytesOf(character, vocab) : undefined;
      if (id !== undefined) symbols.push(id);
      else if (bytes) symbols.push(...bytes);
      // An unknown token that is itself an added one is left out, as is a character of a vocabulary without one.
      else if (unknown !== undefined && !(model.fuse_unk && lastWasUnknown)) symbols.push(unknown);
      lastWasUnknown = id === undefined && !bytes;
    }
    return symbols;
  };

  return (word) => {
    const known = cache.get(word);
    if (known) return known;
    const whole = model.ignore_merges ? vocab.get(word) : undefined;
    const ids = whole === undefined ? mergeSymbols(symbolsOf(word), merges) : [whole];
    if (word.length <= cachedWordLength) {
      if (cache.size >= cachedWords) cache.clear();
      cache.set(word, ids);
    }
    return ids;
  };
}

function bytesOf(character: string, vocab: ReadonlyMap<string, number>): number[] | undefined {
  const ids = [...Buffer.from(character)].map((byte) =>
    vocab.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  );
  return ids.every((id) => id !== undefined) ? ids : undefined;
}

function readMerges(model: BpeModel, banned: ReadonlySet<number>): Merges {
  const vocab = new Map(Object.entries(model.vocab));
  let base = 1;
  for (const id of vocab.values()) base = Math.max(base, id + 1);
  const ranks = new Map<number, number>();
  const results = new Int32Array(model.merges.length);
  for (const [rank, merge] of model.merges.entries()) {
    const space = typeof merge === 'string' ? merge.indexOf(' ') : -1;
    const pair = typeof merge === 'string' ? [merge.slice(0, space), merge.slice(space + 1)] : merge;
    const [left, right] = Array.isArray(pair) ? pair.map(String) : [];
    const [a, b, result] = [left, right, `${left}${right}`].map((token) => vocab.get(token ?? ''));
    if (a === undefined || b === undefined || result === undefined)
      throw new IlrError(
        'ILR_INVALID_MODEL',
        `tokenizer.json: expected merge ${rank} to join two tokens of the vocabulary into a third, got ${JSON.stringify(merge)}`,
      );
    results[rank] = result;
    if (!banned.has(result)) ranks.set(a * base + b, rank);
  }
  return {ranks, results, base};
}

/** Symbols as a linked list with a heap of possible merges, so that a word of n characters costs n log n: words come from untrusted text. */
function mergeSymbols(symbols: number[], merges: Merges): readonly number[] {
  const n = symbols.length;
  if (n < 2) return symbols;
  const next = Int32Array.from({length: n}, (_, i) => (i + 1 < n ? i + 1 : -1));
  const previous = Int32Array.from({length: n}, (_, i) => i - 1);
  const rankAt = (i: number): number => {
    const right = i < 0 ? -1 : (next[i] as number);
    if (right < 0) return -1;
    return merges.ranks.get((symbols[i] as number) * merges.base + (symbols[right] as number)) ?? -1;
  };
  // rank · n + position orders by rank, then from the left; exact below 2^53.
  const heap = new MinHeap();
  const offer = (i: number) => {
    const rank = rankAt(i);
    if (rank >= 0) heap.push(rank * n + i);
  };
  for (let i = 0; i < n - 1; i++) offer(i);
  for (let top = heap.pop(); top !== undefined; top = heap.pop()) {
    const i = top % n;
    // Stale: one of the two symbols has been merged since. A dead place holds -1, which no merge names.
    if (rankAt(i) !== Math.floor(top / n)) continue;
    const right = next[i] as number;
    symbols[i] = merges.results[Math.floor(top / n)] as number;
    symbols[right] = -1;
    const after = next[right] as number;
    next[i] = after;
    next[right] = -1;
    if (after >= 0) previous[after] = i;
    offer(previous[i] as number);
    offer(i);
  }
  return symbols.filter((id) => id >= 0);
}

class MinHeap {
  private readonly items: number[] = [];

  push(value: number): void {
    const {items} = this;
    let i = items.push(value) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if ((items[parent] as number) <= value) break;
      items[i] = items[parent] as number;
      i = parent;
    }
    items[i] = value;
  }

  pop(): number | undefined {
    const {items} = this;
    const top = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return top;
    let i = 0;
    for (let child = 1; child < items.length; child = 2 * i + 1) {
      if (child + 1 < items.length && (items[child + 1] as number) < (items[child] as number)) child++;
      if ((items[child] as number) >= last) break;
      items[i] = items[child] as number;
      i = child;
    }
    items[i] = last;
    return top;
  }
}
