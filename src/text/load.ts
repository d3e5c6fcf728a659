import {readFile, stat} from 'node:fs/promises';
import {join} from 'node:path';
import {IlrError} from '../errors.js';
import type {TokenBytes} from '../policy.js';
import type {AgentText, Message} from '../types.js';
import {createChatTemplate, plainTemplate, type Renderer, type RenderOptions, type Segment} from './chat-template.js';
import {encodeSegments, endOfTurn} from './prompt.js';
import {type AddedToken, Tokenizer, type TokenizerJson} from './tokenizer.js';

export interface LoadAgentTextOptions {
  /** Arguments of the chat template, such as `{enable_thinking: false}`. */
  readonly chat?: Readonly<Record<string, unknown>>;
  /** `auto`: the tokenizer's chat template, `plain` where it has none. */
  readonly template?: 'auto' | 'plain';
  /** The model's, to find a tokenizer of another model. */
  readonly vocabSize?: number;
  /** End-of-sequence ids of the model, where its folder is another one. */
  readonly eosIds?: readonly number[];
}

interface TokenizerConfig {
  readonly chat_template?: unknown;
  readonly added_tokens_decoder?: Readonly<Record<string, Omit<AddedToken, 'id'>>>;
  readonly [key: string]: unknown;
}

const maxFileBytes = 256 * 2 ** 20;

/**
An agent's way between text and ids, from the files of a Hugging Face folder: tokenizer.json, and where they exist tokenizer_config.json,
special_tokens_map.json, chat_template.jinja, generation_config.json and config.json.

Stop ids are the end-of-sequence ids of generation_config.json (else config.json), the tokenizer's eos_token and the added token that the chat template
writes after an assistant's content.

@throws IlrError `ILR_INVALID_MODEL` when a file is missing, damaged or of another model; `ILR_UNSUPPORTED` on another kind of tokenizer.
*/
export async function loadAgentText(folder: string, options: LoadAgentTextOptions = {}): Promise<AgentText> {
  const {tokenizer, json, config} = await loadFiles(folder);
  const variables = {...specialTokens(config), ...options.chat};
  const source = options.template === 'plain' ? undefined : await findTemplate(folder, config);
  const renderer = source === undefined ? plainTemplate : createChatTemplate(source, variables);
  const eosIds = [...(options.eosIds ?? (await readEosIds(folder))), ...tokenIds(tokenizer, variables.eos_token)];
  checkSizes(folder, tokenizer, options.vocabSize, eosIds);
  const turnEnd = source === undefined ? undefined : findTurnEnd(renderer, tokenizer);
  const stopIds = [...new Set(turnEnd === undefined ? eosIds : [...eosIds, turnEnd])];
  if (stopIds.length === 0)
    throw new IlrError(
      'ILR_INVALID_MODEL',
      `${folder}: expected an end-of-sequence token, got none; add eos_token_id to generation_config.json`,
    );
  // A base model is used to what its tokenizer puts before a text; a chat template writes that itself.
  const prefix = source === undefined ? prefixTokens(json.post_processor) : [];
  return new FolderText(tokenizer, renderer, stopIds, prefix);
}

/** `AgentText` with what tests and tools want besides. */
export class FolderText implements AgentText {
  readonly stopIds: readonly number[];
  readonly vocabSize: number;
  readonly tokenizer: Tokenizer;
  private readonly renderer: Renderer;
  private readonly prefix: readonly string[];
  private readonly stops: ReadonlySet<number>;

  constructor(tokenizer: Tokenizer, renderer: Renderer, stopIds: readonly number[], prefix: readonly string[]) {
    this.tokenizer = tokenizer;
    this.renderer = renderer;
    this.stopIds = stopIds;
    this.vocabSize = tokenizer.vocabSize;
    this.prefix = prefix;
    this.stops = new Set(stopIds);
  }

  promptIds(messages: readonly Message[], options: RenderOptions = {}): Int32Array {
    if (messages.length === 0)
      throw new IlrError('ILR_INVALID_ARGUMENT', 'promptIds: expected at least one message, got none');
    const prefix = this.prefix.map((text): Segment => ({kind: 'template', text}));
    const segments = [...prefix, ...this.renderer.render(messages, options)];
    return encodeSegments(segments, this.tokenizer, this.stops);
  }

  encode(text: string): Int32Array {
    return Int32Array.from(this.tokenizer.encode(text));
  }

  decode(ids: Int32Array): string {
    return this.tokenizer.decode(ids);
  }

  tokenBytes(): TokenBytes {
    return this.tokenizer.tokenBytes();
  }
}

async function loadFiles(folder: string) {
  const json = await readJson<TokenizerJson & {readonly post_processor?: unknown}>(folder, 'tokenizer.json');
  if (!json)
    throw new IlrError(
      'ILR_INVALID_MODEL',
      `${folder}: expected a tokenizer.json, got none; in Python, AutoTokenizer.from_pretrained(folder).save_pretrained(folder) writes one from older tokenizer files`,
    );
  const config: TokenizerConfig = {
    ...(await readJson<TokenizerConfig>(folder, 'special_tokens_map.json')),
    ...(await readJson<TokenizerConfig>(folder, 'tokenizer_config.json')),
  };
  const decoder: unknown = config.added_tokens_decoder ?? {};
  if (kindOf(decoder) !== 'an object')
    throw new IlrError(
      'ILR_INVALID_MODEL',
      `${join(folder, 'tokenizer_config.json')}: expected added_tokens_decoder to be an object, got ${kindOf(decoder)}`,
    );
  const moreAdded = Object.entries(decoder as object).map(([id, token]): AddedToken => ({...token, id: Number(id)}));
  const tokenizer = await Tokenizer.create(json, moreAdded).catch((error) => {
    throw IlrError.is(error) ? new IlrError(error.code, `${folder}/${error.message}`, {cause: error}) : error;
  });
  for (const {id, content} of moreAdded) {
    const found = tokenizer.addedToken(content)?.id;
    if (found !== id)
      throw new IlrError(
        'ILR_INVALID_MODEL',
        `${folder}: expected tokenizer.json and tokenizer_config.json of one tokenizer, got id ${found} and id ${id} for ${JSON.stringify(content)}`,
      );
  }
  return {tokenizer, json, config};
}

async function findTemplate(folder: string, config: TokenizerConfig): Promise<string | undefined> {
  const file = await readText(folder, 'chat_template.jinja');
  if (file !== undefined) return file;
  const value = config.chat_template;
  if (value == null || (Array.isArray(value) && value.length === 0)) return undefined;
  const found = Array.isArray(value) ? (value.find((item) => item?.name === 'default') ?? value[0])?.template : value;
  if (typeof found === 'string') return found;
  throw new IlrError(
    'ILR_INVALID_MODEL',
    `${join(folder, 'tokenizer_config.json')}: expected chat_template to be text or a list of {name, template}, got ${kindOf(found)}; set template: plain for this agent to do without`,
  );
}

/** `bos_token`, `eos_token` and so on, as a template reads them. */
function specialTokens(config: TokenizerConfig): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [key, value] of Object.entries(config)) {
    if (!key.endsWith('_token')) continue;
    const content = typeof value === 'object' && value !== null ? (value as {content?: unknown}).content : value;
    if (typeof content === 'string') out[key] = content;
  }
  return out;
}

async function readEosIds(folder: string): Promise<number[]> {
  for (const name of ['generation_config.json', 'config.json']) {
    const value = (await readJson<{readonly eos_token_id?: unknown}>(folder, name))?.eos_token_id;
    if (value == null) continue;
    const ids = [value].flat();
    if (ids.every((id): id is number => Number.isInteger(id) && (id as number) >= 0)) return ids;
    throw new IlrError(
      'ILR_INVALID_MODEL',
      `${join(folder, name)}: expected eos_token_id to be a token id or a list of them, got ${JSON.stringify(value)}`,
    );
  }
  return [];
}

function tokenIds(tokenizer: Tokenizer, token: unknown): number[] {
  const id = typeof token === 'string' ? tokenizer.idOf(token) : undefined;
  return id === undefined ? [] : [id];
}

/** Models round their vocabulary up, by less than this, so that a larger difference means another tokenizer. */
const maxPadding = (vocabSize: number) => Math.max(1024, 0.05 * vocabSize);

function checkSizes(folder: string, tokenizer: Tokenizer, vocabSize: number | undefined, eosIds: readonly number[]) {
  const {vocabSize: size} = tokenizer;
  if (vocabSize !== undefined && (size > vocabSize || vocabSize - size > maxPadding(vocabSize)))
    throw new IlrError(
      'ILR_INVALID_MODEL',
      `${folder}: expected the tokenizer of a model with ${vocabSize} tokens, got one with ${size}; use the tokenizer files of that very model`,
    );
  const strange = eosIds.find((id) => id >= (vocabSize ?? size));
  if (strange !== undefined)
    throw new IlrError(
      'ILR_INVALID_MODEL',
      `${folder}: expected end-of-sequence ids below ${vocabSize ?? size}, got ${strange}; the tokenizer and the model's config.json do not belong together`,
    );
}

function findTurnEnd(renderer: Renderer, tokenizer: Tokenizer): number | undefined {
  const segments = renderer.render(
    [
      {role: 'user', content: ['a']},
      {role: 'assistant', content: ['b']},
    ],
    {addGenerationPrompt: false},
  );
  const answer = segments.findIndex((segment) => segment.kind === 'content' && segment.role === 'assistant');
  return endOfTurn(segments[answer + 1], tokenizer);
}

/** Special tokens that the tokenizer itself puts before a text: those before `A` in its TemplateProcessing. */
function prefixTokens(postProcessor: unknown): string[] {
  const {type, processors, single} = (postProcessor ?? {}) as Readonly<Record<string, unknown>>;
  if (type === 'Sequence') return listOf(processors, 'processors').flatMap(prefixTokens);
  if (type !== 'TemplateProcessing') return [];
  const parts = listOf(single, 'single') as ({SpecialToken?: {id?: unknown}; Sequence?: unknown} | null)[];
  const start = parts.findIndex((part) => part?.Sequence);
  return parts.slice(0, Math.max(start, 0)).flatMap((part) => {
    if (!part?.SpecialToken) return [];
    const {id} = part.SpecialToken;
    if (typeof id === 'string') return [id];
    throw new IlrError('ILR_INVALID_MODEL', `tokenizer.json: expected text as id of a SpecialToken, got ${kindOf(id)}`);
  });
}

function listOf(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new IlrError(
    'ILR_INVALID_MODEL',
    `tokenizer.json: expected ${name} of the post_processor to be a list, got ${kindOf(value)}`,
  );
}

function kindOf(value: unknown): string {
  if (value == null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

async function readJson<T extends object>(folder: string, name: string): Promise<T | undefined> {
  const text = await readText(folder, name);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new IlrError('ILR_INVALID_MODEL', `${join(folder, name)}: expected JSON, got: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as T;
  throw new IlrError('ILR_INVALID_MODEL', `${join(folder, name)}: expected a JSON object, got ${kindOf(value)}`);
}

async function readText(folder: string, name: string): Promise<string | undefined> {
  const path = join(folder, name);
  try {
    const {size} = await stat(path);
    if (size > maxFileBytes)
      throw new IlrError('ILR_INVALID_MODEL', `${path}: expected at most ${maxFileBytes} bytes, got ${size}`);
    return await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (IlrError.is(cause)) throw cause;
    throw new IlrError('ILR_IO', `${path}: could not be read: ${(cause as Error).message}`, {cause});
  }
}
