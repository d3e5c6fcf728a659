import {ByteCount, sum} from './byte-count.js';
import {chooseFiles} from './choose.js';
import {HubClient} from './client.js';
import {downloadFile} from './download.js';
import {checkInside, checkNames} from './file-names.js';
import {recordOf, removeStale, requireReplaceable, requireSame} from './held.js';
import {defaultLimits, type HubLimits} from './limits.js';
import type {HubFile} from './listing.js';
import type {PullOptions} from './options.js';
import type {Repository} from './repository.js';
import {aborted} from './retry.js';
import type {HubSettings} from './settings.js';
import {requireShards} from './shards.js';
import {ask, isOffline, offline, type Source, withHashes} from './source.js';
import {Target} from './target.js';

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

/**
Downloads a model or a data set of the hub into a folder: what is there already is kept when its checksum is right, a broken download goes on
where it ended, and a file gets its name only when all of them are whole and checked.

@throws IlrError `ILR_INVALID_ARGUMENT` when there is no such repository, revision or file; `ILR_UNSUPPORTED` when it holds nothing that can be
read; `ILR_IO` when hub, network or disk fail, a checksum is wrong, or a name could leave the folder; `ILR_ABORTED`. What was downloaded
stays for the next call, but bytes whose checksum is wrong.
*/
export async function pull(options: PullOptions): Promise<PullResult> {
  const {settings, limits, userAgent, signal} = options;
  const client = new HubClient(settings, limitsOf(settings, limits), userAgent);
  try {
    return await pullFrom(client, options);
  } catch (error) {
    throw signal?.aborted ? aborted(signal) : error;
  } finally {
    await client.close();
  }
}

function limitsOf({stallMs}: HubSettings, limits: Partial<HubLimits> = {}): HubLimits {
  return {...defaultLimits, ...(stallMs !== undefined && {stallMs}), ...limits};
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

  const progress = new ByteCount(chosen, onEvent);
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
  await target.requireOwn(names); // a download may take hours
  for (const file of missing.toSorted(settingsLast)) await target.publish(file);
  const removed = await removeStale(record, chosen, source, target, signal);
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

/** Which files are there already, by their checksum. */
async function sort(chosen: readonly HubFile[], target: Target, progress: ByteCount, signal?: AbortSignal) {
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

async function downloadAll(
  client: HubClient,
  files: readonly HubFile[],
  {commit}: Source,
  target: Target,
  progress: ByteCount,
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

/** A folder with config.json is a model: it comes when all else is there. */
function settingsLast(a: HubFile, b: HubFile): number {
  const isSettings = ({path}: HubFile) => Number(/^(?:adapter_)?config\.json$/.test(path));
  return isSettings(a) - isSettings(b);
}
