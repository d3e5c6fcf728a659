import type {ScoreFunction} from '../types.js';

export interface RepetitionOptions {
  /** Units in a row that are compared; 3 when left out, as in open-r1. */
  readonly ngram?: number;
  /** `words` (lower case, between blanks) when left out, as in open-r1; `tokens` as in the paper. */
  readonly unit?: 'words' | 'tokens';
}

/**
−(1 − different n-grams / all n-grams), in (−1, 0]; 0 for a text shorter than n.

Demystifying Long Chain-of-Thought Reasoning, arXiv 2502.03373, Appendix C.2, as open-r1's repetition penalty has it.
*/
export function repetitionReward({ngram = 3, unit = 'words'}: RepetitionOptions = {}): ScoreFunction {
  return ({text, completion}) =>
    0 - repeatedShare(unit === 'words' ? wordsOf(text) : Array.from(completion.ids, String), ngram);
}

/** @returns the share of n-grams that stood before, in [0, 1). */
export function repeatedShare(units: readonly string[], ngram: number): number {
  const total = units.length - ngram + 1;
  if (total <= 0) return 0;
  const different = new Set<string>();
  for (let at = 0; at < total; at++) different.add(units.slice(at, at + ngram).join(' '));
  return 1 - different.size / total;
}

function wordsOf(text: string): string[] {
  return text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
}
