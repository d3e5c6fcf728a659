import {IlrError} from '../errors.js';

/** A model or a data set on the hub. */
export interface Repository {
  readonly kind: 'model' | 'dataset';
  /** `owner/name`; a few old ones are a name alone. */
  readonly id: string;
}

/**
Reads `owner/name` (a model) or `datasets/owner/name`.

@throws IlrError `ILR_INVALID_ARGUMENT` when it is neither.
*/
export function parseRepository(text: string): Repository {
  // `datasets/gsm8k` is an old data set's; `models/a` is the model a of an owner named models.
  const [, prefix, id = ''] = /^(datasets\/|models\/(?=[^/]+\/))?(.*)$/s.exec(text) ?? [];
  if (isRepositoryId(id)) return {kind: prefix === 'datasets/' ? 'dataset' : 'model', id};
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `expected a model of the Hugging Face Hub (owner/name) or a data set (datasets/owner/name), got ${JSON.stringify(text)}`,
  );
}

/** The hub's own rule, as its official client checks it. */
export function isRepositoryId(text: string): boolean {
  const segments = text.split('/');
  return (
    segments.length <= 2 &&
    text.length <= 96 &&
    segments.every((segment) => /^\w(?:[\w.-]*\w)?$/.test(segment)) &&
    !/--|\.\.|\.git$/.test(text)
  );
}

/** As a user writes it. */
export function repositoryName({kind, id}: Repository): string {
  return kind === 'dataset' ? `datasets/${id}` : id;
}
