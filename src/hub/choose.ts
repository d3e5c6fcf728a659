import {IlrError} from '../errors.js';
import {matches} from './glob.js';
import type {HubFile} from './listing.js';
import {type Repository, repositoryName} from './repository.js';

export interface Choice {
  /** Globs; all that is usually needed when left out. */
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
}

const modelFiles = [
  ...['config.json', 'generation_config.json', 'adapter_config.json', 'adapter_model.safetensors'],
  ...[
    'tokenizer.json',
    'tokenizer_config.json',
    'special_tokens_map.json',
    'added_tokens.json',
    'vocab.json',
    'vocab.txt',
    'merges.txt',
  ],
  ...['tokenizer.model', 'chat_template.jinja', 'chat_template.json'],
];
const alike = /^(?:additional_chat_templates\/[^/]+\.jinja|(?:LICEN[CS]E|NOTICE)[^/]*)$/;
const single = 'model.safetensors';
const index = 'model.safetensors.index.json';
const shard = /^model-\d+-of-\d+\.safetensors$/;
const data = /\.(?:jsonl|json|csv|tsv)(?:\.gz)?$|\.parquet$/i;
const aboutData = /^(?:README\.md|(?:LICEN[CS]E|NOTICE)[^/]*)$/i;

/**
The files to take: of a model its settings, tokenizer and safetensors (one file, else the index with its shards), of a data set
everything that can be read (JSON lines, JSON, CSV, Parquet); or what `include` says.

@throws IlrError `ILR_INVALID_ARGUMENT` when a glob matches nothing, `ILR_UNSUPPORTED` for a model without safetensors.
*/
export function chooseFiles(
  files: readonly HubFile[],
  repository: Repository,
  {include, exclude = []}: Choice = {},
): HubFile[] {
  const isExcluded = ({path}: HubFile) => exclude.some((glob) => matches(glob, path));
  if (include === undefined || include.length === 0)
    return usual(files, repository).filter((file) => !isExcluded(file));
  for (const glob of include)
    if (!files.some(({path}) => matches(glob, path)))
      throw new IlrError(
        'ILR_INVALID_ARGUMENT',
        `${repositoryName(repository)} has no file that matches ${JSON.stringify(glob)}; it has ${listed(files)}`,
      );
  const chosen = files.filter((file) => include.some((glob) => matches(glob, file.path)) && !isExcluded(file));
  if (chosen.length > 0) return chosen;
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `${repositoryName(repository)}: --exclude leaves no file of ${listed(files)}`,
  );
}

function usual(files: readonly HubFile[], repository: Repository): HubFile[] {
  if (repository.kind === 'dataset') {
    if (files.some(({path}) => data.test(path)))
      return files.filter(({path}) => data.test(path) || aboutData.test(path));
    throw new IlrError(
      'ILR_UNSUPPORTED',
      `${repositoryName(repository)}: expected JSON lines, JSON, CSV or Parquet, got ${listed(files)}; --include <glob> takes other files`,
    );
  }
  const names = new Set(files.map(({path}) => path));
  const isWhole = names.has(single);
  const isWeight = (path: string) => (isWhole ? path === single : path === index || shard.test(path));
  const chosen = files.filter(({path}) => modelFiles.includes(path) || alike.test(path) || isWeight(path));
  const weights = chosen.some(({path}) => path.endsWith('.safetensors'));
  const settings = names.has('config.json') || names.has('adapter_config.json');
  if (weights && settings) return chosen;
  throw new IlrError(
    'ILR_UNSUPPORTED',
    `${repositoryName(repository)}: expected config.json and weights in safetensors, got ${listed(files)}. ` +
      'Pickled weights (.bin, .pt) and GGUF are not read: look for a copy in safetensors (often --revision refs/pr/1); --include <glob> takes other files',
  );
}

function listed(files: readonly HubFile[]): string {
  const names = files.slice(0, 12).map(({path}) => JSON.stringify(path.slice(0, 100)));
  return `${names.join(', ') || 'no files'}${files.length > 12 ? ` and ${files.length - 12} more` : ''}`;
}
