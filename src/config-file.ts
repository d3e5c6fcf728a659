import {readFile, stat} from 'node:fs/promises';
import path from 'node:path';
import {type Document, isAlias, isMap, isPair, isScalar, LineCounter, parseDocument, visit} from 'yaml';
import type {z} from 'zod';
import {type RunConfig, runSchema} from './config.js';
import {keysAt, nearestKey, writePath} from './config-keys.js';
import {isModule} from './config-reward.js';
import {isNamed} from './data/source.js';
import {IlrError} from './errors.js';
import {localModel} from './hub/local.js';

export interface ConfigFile {
  readonly config: RunConfig;
  /** Folder of the file. */
  readonly folder: string;
  /** The file as it was read, before the overrides. */
  readonly text: string;
}

type Path = readonly (string | number)[];
/** Where a key was written: the text to show, and a number that orders places as a reader meets them. */
type Locate = (path: readonly PropertyKey[]) => {readonly text: string; readonly order: number};

const maxBytes = 2 ** 20;
/** An alias that is resolved often makes a small file a huge configuration. */
const maxAliases = 100;
const maxShownProblems = 12;

/**
Reads a run's YAML.

Relative paths in the file (`model`, `tokenizer`, the files of `data`, a reward module) are meant from the file's folder; relative paths given by an
override, and `output` everywhere, from the current folder. They come back absolute, but for `output`. A `model` or `tokenizer` that is no
folder but the id of a pulled model becomes the folder it was pulled to.

@param overrides - Each `a.b=value` as from `--set`; the value is YAML, a place in a list is a number (`agents.0.model=./m`).
@throws IlrError `ILR_INVALID_CONFIG` that lists each problem with file, line and column (or the override), what was expected, what came and the nearest
known key; `ILR_IO` when the file cannot be read.
*/
export async function readConfigFile(file: string, overrides: readonly string[] = []): Promise<ConfigFile> {
  const text = await readText(file);
  const lines = new LineCounter();
  const document = parseDocument(text, {lineCounter: lines, prettyErrors: false, merge: false});
  const at = (offset: number) => {
    const {line, col} = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  checkDocument(document, at);
  const value = toValue(document, file);
  const changes = overrides.map(parseOverride);
  for (const change of changes) applyOverride(value, change);

  const locate: Locate = (keys) => {
    const isMade = !document.hasIn(keys);
    const change = changes.findLast((made) => startsWith(keys, made.path) || (isMade && startsWith(made.path, keys)));
    if (change) return {text: `--set ${change.text}`, order: Number.POSITIVE_INFINITY};
    const offset = offsetOf(document, keys);
    return {text: at(offset), order: offset};
  };
  const parsed = runSchema.safeParse(value, {reportInput: true});
  if (!parsed.success) throw problemsOf(parsed.error.issues, locate);
  const folder = path.resolve(path.dirname(file));
  const isOverridden = (keys: Path) => changes.some((change) => startsWith(keys, change.path));
  return {config: resolvePaths(parsed.data, (keys) => (isOverridden(keys) ? process.cwd() : folder)), folder, text};
}

async function readText(file: string): Promise<string> {
  try {
    const {size} = await stat(file);
    if (size > maxBytes) throw invalid(`${file}: expected a file of at most ${maxBytes} bytes, got ${size}`);
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (IlrError.is(cause)) throw cause;
    const {code, message} = cause as NodeJS.ErrnoException;
    const found = code === 'ENOENT' ? `nothing (looked in ${process.cwd()})` : message;
    throw new IlrError(
      'ILR_IO',
      `${file}: expected a configuration file, got ${found}; the package's folder recipes/ has examples`,
      {cause},
    );
  }
}

function invalid(message: string, cause?: unknown): IlrError {
  return new IlrError('ILR_INVALID_CONFIG', message, {cause});
}

function checkDocument(document: Document.Parsed, at: (offset: number) => string): void {
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem) throw invalid(`${at(problem.pos[0])}: expected YAML, got: ${problem.message}`, problem);
  if (document.contents !== null && !isMap(document.contents))
    throw invalid(`${at(document.contents.range[0])}: expected keys and values, got ${describe(document.toJS())}`);
  let aliases = 0;
  visit(document, (_, node) => {
    if (isAlias(node) && ++aliases > maxAliases)
      throw invalid(`${at(node.range?.[0] ?? 0)}: expected at most ${maxAliases} aliases, got more`);
    if (!isPair(node)) return;
    const {key} = node;
    const name = isScalar(key) ? key.value : undefined;
    const offset = (key as {range?: [number, number, number]} | null)?.range?.[0] ?? 0;
    if (typeof name !== 'string') throw invalid(`${at(offset)}: expected text as a key, got ${describe(name ?? null)}`);
    if (isReserved(name)) throw invalid(`${at(offset)}: expected a key of the configuration, got ${name}`);
  });
}

function toValue(document: Document.Parsed, file: string): Record<string, unknown> {
  try {
    return copy(document.toJS({maxAliasCount: maxAliases}) ?? {}) as Record<string, unknown>;
  } catch (cause) {
    throw invalid(`${file}: expected a few aliases, got: ${(cause as Error).message}`, cause);
  }
}

/** An alias gives the same object twice; an override must change only one of them. */
function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copy(item)]));
}

function isReserved(key: string): boolean {
  return key === '__proto__' || key === 'constructor' || key === 'prototype';
}

interface Override {
  readonly text: string;
  readonly path: Path;
  readonly value: unknown;
}

function parseOverride(text: string): Override {
  const fail = (expected: string, got: string): never => {
    throw invalid(`--set ${shorten(text)}: expected ${expected}, got ${shorten(got)}`);
  };
  const equals = text.indexOf('=');
  if (equals < 1) return fail('key=value, such as optimizer.learningRate=1e-5', JSON.stringify(text));
  const keys = text.slice(0, equals).split('.');
  for (const key of keys) {
    if (key === '') fail('a name between the dots', 'none');
    if (isReserved(key)) fail('a key of the configuration', key);
  }
  const source = text.slice(equals + 1);
  let value: unknown;
  try {
    // An empty value is empty text, not YAML's null.
    value = source === '' ? '' : parseValue(source);
  } catch (cause) {
    return fail('a YAML value', (cause as Error).message);
  }
  if (holdsReserved(value)) fail('keys of the configuration', source);
  return {text: shorten(text), path: keys.map((key) => (/^\d+$/.test(key) ? Number(key) : key)), value};
}

function parseValue(source: string): unknown {
  const document = parseDocument(source, {merge: false, prettyErrors: false});
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem) throw problem;
  return document.toJS({maxAliasCount: 0});
}

function holdsReserved(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, item]) => isReserved(key) || holdsReserved(item));
}

function applyOverride(root: Record<string, unknown>, {text, path: keys, value}: Override): void {
  let place: unknown = root;
  for (const [depth, key] of keys.entries()) {
    const isLast = depth === keys.length - 1;
    const where = writePath(keys.slice(0, depth)) || 'the configuration';
    if (Array.isArray(place)) {
      const limit = place.length;
      if (typeof key !== 'number' || key > limit || (key === limit && !isLast))
        throw invalid(`--set ${text}: expected a place from 0 to ${limit - 1} in ${where}, got ${key}`);
    } else if (typeof place !== 'object' || place === null)
      throw invalid(`--set ${text}: expected ${where} to hold keys, got ${describe(place)}`);
    const holder = place as Record<string | number, unknown>;
    if (isLast) holder[key] = value;
    else if (!Object.hasOwn(holder, key) || holder[key] === null) holder[key] = {};
    place = holder[key];
  }
}

function startsWith(keys: readonly PropertyKey[], prefix: readonly PropertyKey[]): boolean {
  return prefix.length <= keys.length && prefix.every((key, i) => String(key) === String(keys[i]));
}

/** Where the key of a path stands, or that of the nearest one around it. */
function offsetOf(document: Document.Parsed, keys: readonly PropertyKey[]): number {
  for (let length = keys.length; length > 0; length--) {
    const parent = length === 1 ? document.contents : document.getIn(keys.slice(0, length - 1), true);
    const last = keys[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find(({key}) => isScalar(key) && key.value === last);
      if (pair) return (pair.key as {range: [number, number, number]}).range[0];
    } else {
      const node = document.getIn(keys.slice(0, length), true) as {range?: [number, number, number]} | undefined;
      if (node?.range) return node.range[0];
    }
  }
  return document.contents?.range[0] ?? 0;
}

function problemsOf(issues: readonly z.core.$ZodIssue[], locate: Locate): IlrError {
  const problems = issues
    .flatMap(problemsIn)
    .map(({path: keys, message}) => ({...locate(keys), message}))
    .sort((a, b) => (a.order < b.order ? -1 : a.order > b.order ? 1 : 0));
  const shown = problems.slice(0, maxShownProblems).map(({text, message}) => `${text}: ${message}`);
  const more = problems.length - shown.length;
  return invalid([...shown, ...(more > 0 ? [`… and ${more} more`] : [])].join('\n'));
}

function problemsIn(issue: z.core.$ZodIssue): {readonly path: readonly PropertyKey[]; readonly message: string}[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => {
      const near = nearestKey(issue.path, key);
      const advice = near ? `did you mean ${near}?` : `known here: ${keysAt(issue.path).join(', ')}`;
      const whole = [...issue.path, key];
      return {path: whole, message: `expected a known key, got ${writePath(whole)}; ${advice}`};
    });
  const name = writePath(issue.path);
  const where = name === '' ? '' : `${name}: `;
  return [{path: issue.path, message: `${where}${expectation(issue)}, got ${describe(issue.input)}`}];
}

function expectation(issue: z.core.$ZodIssue): string {
  // A message of the schema's own says it best; those of zod begin with what is wrong.
  if (!/^(Invalid|Too|Unrecognized)/.test(issue.message)) return issue.message;
  if (issue.code === 'invalid_type') return `expected ${typeWords[issue.expected] ?? issue.expected}`;
  if (issue.code === 'invalid_value') return `expected one of ${issue.values.map(String).join(', ')}`;
  const unit =
    'origin' in issue && (issue.origin === 'array' || issue.origin === 'string') ? ' entries or letters' : '';
  if (issue.code === 'too_small')
    return `expected ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}${unit}`;
  if (issue.code === 'too_big') return `expected ${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}${unit}`;
  return `expected a valid value (${issue.message})`;
}

const typeWords: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  object: 'keys and values',
  record: 'keys and values',
  array: 'a list',
};

function describe(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return `keys (${Object.keys(value).slice(0, 5).join(', ')})`;
  return shorten(typeof value === 'number' ? String(value) : JSON.stringify(value));
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function resolvePaths(config: RunConfig, baseOf: (keys: Path) => string): RunConfig {
  const resolve = (keys: Path, file: string) => path.resolve(baseOf(keys), file);
  const model = (keys: Path, name: string) => localModel(resolve(keys, name), name, process.env);
  const source = (keys: Path, text: string) => (isNamed(text) ? text : resolve(keys, text));
  const {data, reward, eval: evaluation} = config;
  const functionAt = (keys: Path, name: string) => (isModule(name) ? resolve(keys, name) : name);
  return {
    ...config,
    agents: config.agents.map((agent, i) => ({
      ...agent,
      model: model(['agents', i, 'model'], agent.model),
      ...(agent.tokenizer !== undefined && {tokenizer: model(['agents', i, 'tokenizer'], agent.tokenizer)}),
      ...(agent.adapter?.folder !== undefined && {
        adapter: {...agent.adapter, folder: resolve(['agents', i, 'adapter', 'folder'], agent.adapter.folder)},
      }),
    })),
    data: {
      ...data,
      train: source(['data', 'train'], data.train),
      ...(data.validation !== undefined && {validation: source(['data', 'validation'], data.validation)}),
      ...(data.test !== undefined && {test: source(['data', 'test'], data.test)}),
      ...(data.folder !== undefined && {folder: resolve(['data', 'folder'], data.folder)}),
    },
    eval: {
      ...evaluation,
      ...(evaluation.data !== undefined && {data: source(['eval', 'data'], evaluation.data)}),
    },
    reward: {
      ...reward,
      ...(reward.function !== undefined && {function: functionAt(['reward', 'function'], reward.function)}),
      ...(reward.parts && {
        parts: reward.parts.map((part, i) => ({
          ...part,
          function: functionAt(['reward', 'parts', i, 'function'], part.function),
        })),
      }),
    },
  };
}
