import {IlrError} from '../errors.js';
import type {HubClient} from './client.js';
import {hasHash} from './digest.js';
import {fileUrl, type HubFile, hashOf, listFiles, resolveCommit} from './listing.js';
import type {PullOptions} from './options.js';
import {repositoryName} from './repository.js';
import {withRetries} from './retry.js';
import type {PullRecord, Target} from './target.js';

/** What is asked of the hub, or, offline, of the record of the last pull. */
export interface Source {
  readonly revision: string;
  readonly commit: string;
  readonly files: readonly HubFile[];
}

export async function ask(
  client: HubClient,
  {repository, revision = 'main', signal, onEvent}: PullOptions,
): Promise<Source> {
  const asking = {
    repository,
    signal,
    onRetry: (message: string, waitMs: number) => onEvent?.({type: 'retry', message, waitMs}),
  };
  const commit = await resolveCommit(client, revision, asking);
  return {revision, commit, files: await listFiles(client, commit, asking)};
}

export function offline(record: PullRecord | undefined, {repository, revision}: PullOptions, {folder}: Target): Source {
  if (record === undefined) throw isOffline(`${repositoryName(repository)} is not in ${folder}`);
  if (revision === undefined || [record.revision, record.commit].includes(revision)) return record;
  throw isOffline(
    `${folder} holds ${record.revision} (${record.commit}) of ${repositoryName(repository)}, not ${revision}`,
  );
}

export const isOffline = (message: string): IlrError =>
  new IlrError('ILR_IO', `${message}, and HF_HUB_OFFLINE is set: unset it to download`);

/** Where the list has no hash of a file, the hub tells it when the file is asked for. */
export async function withHashes(
  client: HubClient,
  files: readonly HubFile[],
  {commit}: Source,
  options: PullOptions,
): Promise<HubFile[]> {
  const {repository, signal, onEvent} = options;
  const whole: HubFile[] = [];
  for (const file of files) {
    if (hasHash(file)) {
      whole.push(file);
      continue;
    }
    const work = async () => {
      const response = await client.open(fileUrl(client, repository, commit, file.path), {
        repository,
        file: file.path,
        signal,
      });
      response.close();
      return response.metadata;
    };
    const {etag} = await withRetries(work, {
      limits: client.limits,
      signal,
      onRetry: (message, waitMs) => onEvent?.({type: 'retry', message, waitMs}),
    });
    const known = {...file, ...hashOf(etag)};
    if (!hasHash(known))
      throw new IlrError(
        'ILR_IO',
        `${file.path} of ${repositoryName(repository)}: the hub tells no checksum of it; does HF_ENDPOINT name a hub?`,
      );
    whole.push(known);
  }
  return whole;
}
