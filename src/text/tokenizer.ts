import {IlrError} from '../errors.js';
import type {TokenBytes} from '../policy.js';
import {createPipeline, type Pipeline, type PipelineJson} from './binding.js';
import {type BpeModel, createBpe, type WordEncoder} from './bpe.js';
import {tokenBytesOf} from './token-bytes.js';

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
  readonly single_word?: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
}

interface WordLevelModel {
  readonly type: 'WordLevel';
  readonly vocab: Readonly<Record<string, number>>;
  readonly unk_token?: string | null;
}

export interface TokenizerJson extends PipelineJson {
  readonly added_tokens?: readonly AddedToken[];
  readonly model: BpeModel | WordLevelModel | {readonly type?: string};
}

/** A piece of a prompt's text. Only in trusted text (a template's) is the string of an added token that token. */
export interface TextSpan {
  readonly text: string;
  readonly isTrusted: boolean;
}

/**
Text to ids and back, synchronously, from a tokenizer.json. Normaliser, pre-tokeniser and decoder are the official library's; the merges are
`bpe.ts`'s. The word encoder has no added token in its vocabulary, so that text which is not trusted cannot become one.
*/
export class Tokenizer {
  /** Highest id + 1. */
  readonly vocabSize: number;
  private readonly pipeline: Pipeline;
  private readonly encodeWord: WordEncoder;
  private readonly added: ReadonlyMap<string, AddedToken>;
  private readonly addedPattern: RegExp | undefined;
  private readonly tokens: readonly (string | undefined)[];
  private readonly skipped: ReadonlySet<number>;
  private readonly decoder: unknown;
  private table: TokenBytes | undefined;

  private constructor(pipeline: Pipeline, json: TokenizerJson, added: readonly AddedToken[]) {
    const banned = new Set(added.map((token) => token.id));
    this.pipeline = pipeline;
    this.encodeWord = createWordEncoder(json.model, banned);
    this.added = new Map(added.map((token) => [token.content, token]));
    this.addedPattern = patternOf(added);
    this.tokens = tokensOf(json.model as BpeModel, added);
    this.vocabSize = this.tokens.length;
    this.decoder = json.decoder;
    this.skipped = new Set(added.filter((token) => token.special).map((token) => token.id));
  }

  /**
  @param moreAdded - Added tokens that only tokenizer_config.json names.
  @throws IlrError `ILR_INVALID_MODEL` on a damaged tokenizer.json, `ILR_UNSUPPORTED` on another model than BPE and WordLevel.
  */
  static async create(json: TokenizerJson, moreAdded: readonly AddedToken[] = []): Promise<Tokenizer> {
    checkModel(json);
    checkAdded(json.added_tokens ?? [], 'tokenizer.json');
    checkAdded(moreAdded, 'tokenizer_config.json');
    const known = new Set(json.added_tokens?.map((token) => token.content));
    const added = [...(json.added_tokens ?? []), ...moreAdded.filter((token) => !known.has(token.content))].filter(
      (token) => token.content !== '',
    );
    return new Tokenizer(await createPipeline(json), json, added);
  }

  addedToken(content: string): AddedToken | undefined {
    return this.added.get(content);
  }

  /** Id of an added or an ordinary token. */
  idOf(token: string): number | undefined {
    const id = this.added.get(token)?.id ?? this.tokens.indexOf(token);
    return id < 0 ? undefined : id;
  }

  /** The added token that `text` begins with, the longest where there are several. */
  leadingAddedToken(text: string): AddedToken | undefined {
    const match = this.addedPattern && new RegExp(this.addedPattern.source, 'y').exec(text);
    return match ? this.added.get(match[0]) : undefined;
  }

  /** Ids of text without any added token. */
  encode(text: string): number[] {
    return this.encodeSpans([{text, isTrusted: false}], true);
  }

  /**
  Ids of text of which parts are trusted. All is encoded as one, so that pieces may cross the border between template and content just as in
  the encoding of the whole text; only added tokens must lie wholly in trusted text.

  @param isStart - The text opens the sequence.
  */
  encodeSpans(spans: readonly TextSpan[], isStart: boolean): number[] {
    const text = spans.map((span) => span.text).join('');
    const ids: number[] = [];
    let done = 0;
    const encodeUpTo = (end: number) => {
      for (const word of this.pipeline.words(text.slice(done, end), isStart && done === 0))
        for (const id of this.encodeWord(word)) ids.push(id);
    };
    for (const match of this.addedMatches(spans, text)) {
      // Two tokens may both take the space between them.
      if (match.end <= done) continue;
      encodeUpTo(Math.max(match.start, done));
      ids.push(match.id);
      done = match.end;
    }
    encodeUpTo(text.length);
    return ids;
  }

  /** Text of ids, without special tokens unless asked. An id that the tokenizer lacks (a model's vocabulary may be padded) is nothing. */
  decode(ids: Iterable<number>, options: {readonly keepSpecial?: boolean} = {}): string {
    const tokens: string[] = [];
    for (const id of ids) {
      const token = this.tokens[id];
      if (token !== undefined && (options.keepSpecial || !this.skipped.has(id))) tokens.push(token);
    }
    return this.pipeline.join(tokens);
  }

  /** What each token writes; special tokens write nothing. Made once. */
  tokenBytes(): TokenBytes {
    this.table ??= tokenBytesOf(this.tokens, this.skipped, this.decoder);
    return this.table;
  }

  private *addedMatches(
    spans: readonly TextSpan[],
    text: string,
  ): Generator<{readonly start: number; readonly end: number; readonly id: number}> {
    if (!this.addedPattern) return;
    for (const trusted of trustedStretches(spans)) {
      for (const match of trusted.text.matchAll(this.addedPattern)) {
        const token = this.added.get(match[0]) as AddedToken;
        let start = trusted.start + match.index;
        let end = start + match[0].length;
        if (token.single_word && (isWordCharacter(text[start - 1]) || isWordCharacter(text[end]))) continue;
        if (token.lstrip) while (start > 0 && /\s/.test(text[start - 1] as string)) start--;
        if (token.rstrip) while (end < text.length && /\s/.test(text[end] as string)) end++;
        yield {start, end, id: token.id};
      }
    }
  }
}

function* trustedStretches(spans: readonly TextSpan[]): Generator<{readonly start: number; readonly text: string}> {
  let position = 0;
  let stretch = '';
  for (const span of spans) {
    if (span.isTrusted) stretch += span.text;
    else if (span.text !== '' && stretch !== '') {
      yield {start: position - stretch.length, text: stretch};
      stretch = '';
    }
    position += span.text.length;
  }
  if (stretch !== '') yield {start: position - stretch.length, text: stretch};
}

function isWordCharacter(character: string | undefined): boolean {
  return character !== undefined && /[\p{L}\p{N}_]/u.test(character);
}

function checkModel(json: TokenizerJson): void {
  const {model} = json;
  if (model?.type !== undefined && model.type !== 'BPE' && model.type !== 'WordLevel')
    throw new IlrError(
      'ILR_UNSUPPORTED',
      `tokenizer.json: expected a model of type BPE or WordLevel, got ${JSON.stringify(model.type)}`,
    );
  const {vocab, merges} = (model ?? {}) as Partial<BpeModel>;
  const isRecord = typeof vocab === 'object' && vocab !== null && !Array.isArray(vocab);
  if (!isRecord || (model.type !== 'WordLevel' && !Array.isArray(merges)))
    throw new IlrError('ILR_INVALID_MODEL', 'tokenizer.json: expected a model with a vocab and merges, got none');
  for (const [token, id] of Object.entries(vocab))
    if (!isId(id))
      throw new IlrError(
        'ILR_INVALID_MODEL',
        `tokenizer.json: expected whole numbers from 0 as ids, got ${JSON.stringify(id)} for ${JSON.stringify(token)}`,
      );
}

function checkAdded(added: readonly AddedToken[], file: string): void {
  if (!Array.isArray(added))
    throw new IlrError('ILR_INVALID_MODEL', `${file}: expected added_tokens to be a list, got ${typeof added}`);
  for (const token of added)
    if (!isId(token?.id) || typeof token.content !== 'string')
      throw new IlrError(
        'ILR_INVALID_MODEL',
        `${file}: expected added tokens with an id and a content, got ${JSON.stringify(token)}`,
      );
}

function isId(id: unknown): boolean {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) < 2 ** 24;
}

function createWordEncoder(model: TokenizerJson['model'], banned: ReadonlySet<number>): WordEncoder {
  if (model.type !== 'WordLevel') return createBpe(model as BpeModel, banned);
  const {vocab, unk_token} = model as WordLevelModel;
  const ids = new Map(Object.entries(vocab).filter(([, id]) => !banned.has(id)));
  const unknown = unk_token == null ? undefined : ids.get(unk_token);
  return (word) => {
    const id = ids.get(word) ?? unknown;
    return id === undefined ? [] : [id];
  };
}

function tokensOf(model: {readonly vocab: Readonly<Record<string, number>>}, added: readonly AddedToken[]): string[] {
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(model.vocab)) tokens[id] = token;
  for (const token of added) tokens[token.id] = token.content;
  return tokens;
}

function patternOf(added: readonly AddedToken[]): RegExp | undefined {
  if (added.length === 0) return undefined;
  const longestFirst = added.map((token) => token.content).sort((a, b) => b.length - a.length);
  return new RegExp(longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|'), 'g');
}
