import {mkdir, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {IlrError} from '../errors.js';

export interface TinyTokenizerOptions {
  /** What text is cut into, longest first; each unlike the others. Anything else becomes `unknownPiece`, one a character. */
  readonly pieces: readonly string[];
  readonly specials: {readonly user: string; readonly assistant: string; readonly end: string};
  /** Jinja; `tinyChatTemplate(specials)` when left out. */
  readonly chatTemplate?: string;
}

export interface TinyTokenizer {
  readonly vocabSize: number;
  /** Ids of the specials; `end` closes a turn and is the eos and padding token. */
  readonly ids: {readonly user: number; readonly assistant: number; readonly end: number};
  /** Id of every piece. */
  readonly vocab: ReadonlyMap<string, number>;
}

/** Stands for a character that no piece covers. An ordinary piece, so that unknown text never becomes an added token. */
export const unknownPiece = '\ufffd';

/** `<|user|>…<|end|><|assistant|>…<|end|>`, without a newline; a system message is written as the user's. */
function tinyChatTemplate(specials: TinyTokenizerOptions['specials']): string {
  const text = (value: string) => JSON.stringify(value);
  return (
    `{% for message in messages %}{{ ${text(specials.assistant)} if message.role == 'assistant' else ${text(specials.user)} }}` +
    `{{ message.content }}{{ ${text(specials.end)} }}{% endfor %}` +
    `{% if add_generation_prompt %}{{ ${text(specials.assistant)} }}{% endif %}`
  );
}

/**
Writes tokenizer.json, tokenizer_config.json and special_tokens_map.json of a tiny word-level vocabulary, readable by this package, by the
`tokenizers` library and by transformers' AutoTokenizer. The same options give the same bytes.

@throws IlrError `ILR_INVALID_ARGUMENT` when a piece is empty or stands twice.
*/
export async function writeTinyTokenizer(folder: string, options: TinyTokenizerOptions): Promise<TinyTokenizer> {
  const {user, assistant, end} = options.specials;
  const entries = [end, user, assistant, unknownPiece, ...options.pieces];
  const vocab = new Map<string, number>();
  for (const entry of entries) {
    if (entry === '' || vocab.has(entry))
      throw new IlrError(
        'ILR_INVALID_ARGUMENT',
        `tiny tokenizer: expected pieces that are not empty and differ from each other and from the special tokens, got ${JSON.stringify(entry)}${entry === '' ? '' : ' twice'}`,
      );
    vocab.set(entry, vocab.size);
  }
  const added = [end, user, assistant].map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const longestFirst = [...options.pieces].sort((a, b) => b.length - a.length);
  // The last alternative isolates each character that no piece covers.
  const pattern = [...longestFirst.map(escapeRegex), '(?m:.)'].join('|');
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: {type: 'Split', pattern: {Regex: pattern}, behavior: 'Isolated', invert: false},
    post_processor: null,
    decoder: {type: 'Fuse'},
    model: {type: 'WordLevel', vocab: Object.fromEntries(vocab), unk_token: unknownPiece},
  };
  const config = {
    added_tokens_decoder: Object.fromEntries(added.map(({id, ...token}) => [id, token])),
    chat_template: options.chatTemplate ?? tinyChatTemplate(options.specials),
    clean_up_tokenization_spaces: false,
    additional_special_tokens: [user, assistant],
    eos_token: end,
    pad_token: end,
    tokenizer_class: 'PreTrainedTokenizerFast',
  };
  const specialTokens = {additional_special_tokens: [user, assistant], eos_token: end, pad_token: end};
  await mkdir(folder, {recursive: true});
  await writeJson(join(folder, 'tokenizer.json'), tokenizer);
  await writeJson(join(folder, 'tokenizer_config.json'), config);
  await writeJson(join(folder, 'special_tokens_map.json'), specialTokens);
  return {vocabSize: vocab.size, ids: {end: 0, user: 1, assistant: 2}, vocab};
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/#&~-]/g, '\\$&').replaceAll('\n', '\\n');
}
