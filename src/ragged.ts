import type {RaggedIds} from './policy.js';

/** Lays sequences end to end. */
export function ragged(sequences: readonly Int32Array[]): RaggedIds {
  const offsets = new Int32Array(sequences.length + 1);
  sequences.forEach((sequence, i) => {
    offsets[i + 1] = (offsets[i] as number) + sequence.length;
  });
  const ids = new Int32Array(offsets[sequences.length] as number);
  sequences.forEach((sequence, i) => {
    ids.set(sequence, offsets[i]);
  });
  return {ids, offsets};
}

/** Sequence `i` of `sequences`, a view. */
export function sequenceAt(sequences: RaggedIds, i: number): Int32Array {
  return sequences.ids.subarray(sequences.offsets[i], sequences.offsets[i + 1]);
}
