import {readFile} from 'node:fs/promises';
import {IlrError} from '../errors.js';
import {type Choice, chooseFiles} from './choose.js';
import {HubClient} from './client.js';
import {hasHash} from './digest.js';
import {downloadFile} from './download.js';
import {checkInside, checkNames} from './file-names.js';
import {defaultLimits, type HubLimits} from './limits.js';
import {fileUrl, type HubFile, hashOf, listFiles, resolveCommit} from './listing.js';
import {type Repository, repositoryName} from './repository.js';
import {aborted, withRetries} from './retry.js';
import type {HubSettings} from './settings.js';
import {type PullRecord, Target} from './target.js';

export interface PullOptions extends Choice {
  readonly repository: Repository;
  readonly settings: HubSettings;
  /** Where the files go. */
  readonly folder: string;
  /** Branch, tag or commit. Default: `main`. */
  readonly revision?: string;
  /** Replaces files of that name which are neither what the hub has nor what was pulled before. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: PullEvent) => void;
  readonly limits?: Partial<HubLimits>;
  readonly userAgent?: string;
}

export type PullEvent =
  /** What there is to do, before any download: the files, and the bytes of them that are not there in part. */
  | {readonly type: 'plan'; readonly commit: string; readonly files: number; readonly bytes: number}
  /** Bytes of `total` that are there; `received` of them came over the network now. */
  | {
      readonly type: 'progress';
      readonly phase: 'check' | 'download';
      readonly done: number;
      readonly total: number;
      readonly received: number;
    }
  | {readonly type: 'file'; readonly path: string; readonly bytes: number; readonly state: 'kept' | 'downloaded'}
  | {readonly type: 'retry'; readonly message: string; readonly waitMs: number};

export interface PullResult {
  readonly kind: Repository['kind'];
  readonly id: string;
  readonly revision: string;
  readonly commit: string;
  readonly folder: string;
  readonly files: readonly {readonly path: string; readonly bytes: number; readonly state: 'kept' | 'downloaded'}[];
  /** Of all files. */
  readonly bytes: number;
  /** Over the network. */
  readonly receivedBytes: number;
  /** Files of the commit that was here before, which this one does not have. */
  readonly removed: readonly string[];
}

/** What is asked of the hub, or, offline, of the record of the last pull. */
interface Source {
  readonly revision: string;
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/**
Downloads a model or a data set of the hub into a folder: what is there already is kept when its checksum is right, a broken download goes on
where it ended, and a file gets its name only when all of them are whole and checked.

@throws IlrError `ILR_INVALID_ARGUMENT` when there is no such repository, revision or file; `ILR_UNSUPPORTED` when it holds nothing that can be
read; `ILR_IO` when hub, network or disk fail, a checksum is wrong, or a name could leave the folder; `ILR_ABORTED`. What was downloaded
stays for the next call, but bytes whose checksum is wrong.
*/
export async function pull(options: PullOptions): Promise<PullResult> {
  const {settings, limits, userAgent, signal} = options;
  const client = new HubClient(settings, {...defaultLimits, ...limits}, userAgent);
  try {
    return await pullFrom(client, options);
  } catch (error) {
    throw signal?.aborted ? aborted(signal) : error;
  } finally {
    await client.close();
  }
}

async function pullFrom(client: HubClient, options: PullOptions): Promise<PullResult> {
  const {repository, settings, signal, onEvent} = options;
  const target = new Target(options.folder);
  const record = await target.readRecord();
  requireSame(record, options, target);
  const source = settings.isOffline ? offline(record, options, target) : await ask(client, options);
  checkInside(source.files.map(({path}) => path));
  const chosen = await withHashes(client, chooseFiles(source.files, repository, options), source, options);
  const names = chosen.map(({path}) => path);
  checkNames(names);
  await target.requireOwn(names);

  const progress = new Progress(chosen, onEvent);
  const {kept, missing} = await sort(chosen, target, progress, signal);
  const toDownload = sum(missing) - (await target.partBytes(missing));
  onEvent?.({type: 'plan', commit: source.commit, files: missing.length, bytes: toDownload});
  if (missing.length > 0 && settings.isOffline) throw isOffline(`${missing[0]?.path} is not whole in ${target.folder}`);
  if (!options.force) await requireReplaceable(missing, record, target, signal);
  await target.create();
  await target.requireSpace(toDownload);

  progress.start('download', sum(kept));
  await downloadAll(client, missing, source, target, progress, options);
  await requireShards(chosen, missing, target);
  for (const file of missing.toSorted(settingsLast)) await target.publish(file);
  const removed = await removeStale(record, source, target, signal);
  await target.writeRecord(recordOf(record, chosen, source, options));
  await target.removeParts(source.files);
  const states = new Set(missing);
  return {
    ...repository,
    revision: source.revision,
    commit: source.commit,
    folder: target.folder,
    files: chosen.map((file) => ({
      path: file.path,
      bytes: file.bytes,
      state: states.has(file) ? 'downloaded' : 'kept',
    })),
    bytes: sum(chosen),
    receivedBytes: progress.received,
    removed,
  };
}

async function ask(client: HubClient, {repository, revision = 'main', signal, onEvent}: PullOptions): Promise<Source> {
  const asking = {
    repository,
    signal,
    onRetry: (message: string, waitMs: number) => onEvent?.({type: 'retry', message, waitMs}),
  };
  const commit = await resolveCommit(client, revision, asking);
  return {revision, commit, files: await listFiles(client, commit, asking)};
}

function offline(record: PullRecord | undefined, {repository, revision}: PullOptions, {folder}: Target): Source {
  if (record === undefined) throw isOffline(`${repositoryName(repository)} is not in ${folder}`);
  if (revision === undefined || [record.revision, record.commit].includes(revision)) return record;
  throw isOffline(
    `${folder} holds ${record.revision} (${record.commit}) of ${repositoryName(repository)}, not ${revision}`,
  );
}

const isOffline = (message: string): IlrError =>
  new IlrError('ILR_IO', `${message}, and HF_HUB_OFFLINE is set: unset it to download`);

/** A folder holds one repository. */
function requireSame(record: PullRecord | undefined, {repository, force}: PullOptions, {folder}: Target): void {
  if (record === undefined || force || (record.kind === repository.kind && record.id === repository.id)) return;
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `${folder} holds ${repositoryName(record)}: choose another --folder, or --force`,
  );
}

/** Where the list has no hash of a file, the hub tells it when the file is asked for. */
async function withHashes(
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
      const response = await client.open(fileUrl(client, repository, commit, file.path), {repository, signal});
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

/** Which files are there already, by their checksum. */
async function sort(chosen: readonly HubFile[], target: Target, progress: Progress, signal?: AbortSignal) {
  const kept: HubFile[] = [];
  const missing: HubFile[] = [];
  progress.start('check', 0);
  for (const file of chosen) {
    const isThere = await target.holds(file.path, file, (bytes) => progress.add(bytes, false), signal);
    if (isThere) progress.file(file, 'kept');
    (isThere ? kept : missing).push(file);
  }
  return {kept, missing};
}

/** Somebody's own files are not written over. */
async function requireReplaceable(
  missing: readonly HubFile[],
  record: PullRecord | undefined,
  target: Target,
  signal?: AbortSignal,
) {
  for (const {path} of missing) {
    if (!(await target.has(path))) continue;
    const earlier = record?.files.find((file) => file.path === path);
    if (earlier !== undefined && (await target.holds(path, earlier, () => {}, signal))) continue;
    throw new IlrError(
      'ILR_IO',
      `${target.place(path)} is neither what the hub has nor what was pulled before: it would be written over. Choose another --folder, or replace such files by --force`,
    );
  }
}

async function downloadAll(
  client: HubClient,
  files: readonly HubFile[],
  {commit}: Source,
  target: Target,
  progress: Progress,
  {repository, signal, onEvent}: PullOptions,
): Promise<void> {
  const queue = files.toSorted((a, b) => b.bytes - a.bytes);
  const stop = new AbortController();
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  let failure: {readonly error: unknown} | undefined;
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined && !either.aborted; file = queue.shift()) {
      try {
        await downloadFile(client, {
          repository,
          commit,
          file,
          part: target.part(file),
          onBytes: (bytes, isNew) => progress.add(bytes, isNew),
          onRetry: (message, waitMs) => onEvent?.({type: 'retry', message, waitMs}),
          signal: either,
        });
        progress.file(file, 'downloaded');
      } catch (error) {
        failure ??= {error};
        stop.abort();
      }
    }
  };
  await Promise.all(Array.from({length: client.limits.jobs}, worker));
  if (failure) throw failure.error;
  if (signal?.aborted) throw aborted(signal);
}

const indexName = 'model.safetensors.index.json';

/** An index without one of its shards is no model. */
async function requireShards(chosen: readonly HubFile[], missing: readonly HubFile[], target: Target): Promise<void> {
  const index = chosen.find(({path}) => path === indexName);
  if (index === undefined || !chosen.some(({path}) => path === 'config.json')) return;
  const text = await readFile(missing.includes(index) ? target.part(index) : target.place(indexName), 'utf8');
  for (const shard of shardsOf(text))
    if (!chosen.some(({path}) => path === shard))
      throw new IlrError(
        'ILR_IO',
        `${indexName} names ${JSON.stringify(shard)}, which is not among the files taken; --include <glob> takes further ones`,
      );
}

function shardsOf(text: string): Set<unknown> {
  try {
    return new Set(Object.values(JSON.parse(text).weight_map));
  } catch (cause) {
    throw new IlrError(
      'ILR_INVALID_MODEL',
      `${indexName}: expected JSON with a weight_map, got: ${(cause as Error).message}`,
      {cause},
    );
  }
}

/** A folder with config.json is a model: it comes when all else is there. */
function settingsLast(a: HubFile, b: HubFile): number {
  const isSettings = ({path}: HubFile) => Number(/^(?:adapter_)?config\.json$/.test(path));
  return isSettings(a) - isSettings(b);
}

/** What an earlier commit left that this one does not have, unless somebody has changed it: an old shard would be loaded with new ones. */
async function removeStale(
  record: PullRecord | undefined,
  {commit, files}: Source,
  target: Target,
  signal?: AbortSignal,
): Promise<string[]> {
  if (record === undefined || record.commit === commit) return [];
  const removed: string[] = [];
  checkInside(record.files.map(({path}) => path));
  for (const file of record.files) {
    if (
      files.some(
        (now) =>
          now.path === file.path &&
          now.bytes === file.bytes &&
          now.sha256 === file.sha256 &&
          now.gitBlob === file.gitBlob,
      )
    )
      continue;
    await target.requireOwn([file.path]);
    if (!(await target.holds(file.path, file, () => {}, signal))) continue;
    await target.remove(file.path);
    removed.push(file.path);
  }
  return removed;
}

function recordOf(
  earlier: PullRecord | undefined,
  chosen: readonly HubFile[],
  {revision, commit, files}: Source,
  {repository, settings}: PullOptions,
): PullRecord {
  const names = new Set(chosen.map(({path}) => path));
  // Of the same commit, or of files that this commit left as they were.
  const before = (earlier?.files ?? []).filter(
    (file) => !names.has(file.path) && files.some(({path}) => path === file.path),
  );
  return {format: 1, ...repository, endpoint: settings.endpoint, revision, commit, files: [...chosen, ...before]};
}

function sum(files: readonly HubFile[]): number {
  return files.reduce((total, {bytes}) => total + bytes, 0);
}

/** Counts bytes of all files together. */
class Progress {
  received = 0;
  private phase: 'check' | 'download' = 'check';
  private done = 0;
  private readonly total: number;
  private readonly onEvent: PullOptions['onEvent'];

  constructor(files: readonly HubFile[], onEvent: PullOptions['onEvent']) {
    this.total = sum(files);
    this.onEvent = onEvent;
  }

  start(phase: 'check' | 'download', done: number): void {
    this.phase = phase;
    this.done = done;
  }

  add(bytes: number, isNew: boolean): void {
    this.done += bytes;
    if (isNew) this.received += bytes;
    const {phase, done, total, received} = this;
    this.onEvent?.({type: 'progress', phase, done, total, received});
  }

  file({path, bytes}: HubFile, state: 'kept' | 'downloaded'): void {
    this.onEvent?.({type: 'file', path, bytes, state});
  }
}
