import {IlrError} from '../errors.js';

/** The parts of a tokenizer.json around its model, run by the official `tokenizers` library. */
export interface Pipeline {
  /** Normalised and cut into the model's words. `isStart`: the text opens the sequence. */
  words(text: string, isStart: boolean): string[];
  /** Text of tokens. */
  join(tokens: readonly string[]): string;
}

export interface PipelineJson {
  readonly normalizer?: unknown;
  readonly pre_tokenizer?: unknown;
  readonly decoder?: unknown;
}

/**
@throws IlrError `ILR_INVALID_MODEL` when the library refuses a part, `ILR_NOT_SET_UP` when the library itself does not load.
*/
export async function createPipeline(json: PipelineJson): Promise<Pipeline> {
  const library = await import('tokenizers').catch((cause) => {
    throw new IlrError('ILR_NOT_SET_UP', `expected the package tokenizers to load, got: ${String(cause)}; run npm ci`, {
      cause,
    });
  });
  // A model without words loads at once and keeps the large vocabulary out of native memory.
  const build = (pre_tokenizer: unknown) => {
    try {
      return library.Tokenizer.fromString(
        JSON.stringify({
          version: '1.0',
          truncation: null,
          padding: null,
          added_tokens: [],
          normalizer: json.normalizer ?? null,
          pre_tokenizer: pre_tokenizer ?? null,
          post_processor: null,
          decoder: json.decoder ?? null,
          model: {type: 'BPE', vocab: {}, merges: []},
        }),
      );
    } catch (cause) {
      throw new IlrError(
        'ILR_INVALID_MODEL',
        `tokenizer.json: expected a normalizer, pre_tokenizer and decoder that the tokenizers library reads, got: ${String(cause)}`,
        {cause},
      );
    }
  };
  const atStart = build(json.pre_tokenizer);
  const normalizer = atStart.getNormalizer();
  const starting = atStart.getPreTokenizer();
  const later = build(withoutFirstPrefix(json.pre_tokenizer)).getPreTokenizer();
  const decoder = atStart.getDecoder();
  return {
    words(text, isStart) {
      if (text === '') return [];
      const normalized = normalizer ? normalizer.normalizeString(text) : text;
      const pre = isStart ? starting : later;
      return pre ? pre.preTokenizeString(normalized).map(([word]) => word) : [normalized];
    },
    join: (tokens) => (decoder ? decoder.decode([...tokens]) : tokens.join(' ')),
  };
}

/** Metaspace's `first` puts a space before the sequence, not before each of the parts that special tokens cut it into. */
function withoutFirstPrefix(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutFirstPrefix);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) =>
      key === 'prepend_scheme' && item === 'first' ? [key, 'never'] : [key, withoutFirstPrefix(item)],
    ),
  );
}
