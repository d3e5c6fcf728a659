import {IlrError} from '../errors.js';
import {checkInside} from './file-names.js';
import type {HubFile} from './listing.js';
import type {PullOptions} from './options.js';
import {repositoryName} from './repository.js';
import type {Source} from './source.js';
import type {PullRecord, Target} from './target.js';

/** A folder holds one repository. */
export function requireSame(record: PullRecord | undefined, {repository, force}: PullOptions, {folder}: Target): void {
  if (record === undefined || force || (record.kind === repository.kind && record.id === repository.id)) return;
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `${folder} holds ${repositoryName(record)}: choose another --folder, or --force`,
  );
}

/** Somebody's own files are not written over. */
export async function requireReplaceable(
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

/** What an earlier commit left that this one does not have, unless somebody has changed it: an old shard would be loaded with new ones. */
export async function removeStale(
  record: PullRecord | undefined,
  chosen: readonly HubFile[],
  {commit, files}: Source,
  target: Target,
  signal?: AbortSignal,
): Promise<string[]> {
  if (record === undefined || record.commit === commit) return [];
  const removed: string[] = [];
  const names = new Set(chosen.map(({path}) => path));
  const now = new Map(files.map((file) => [file.path, file]));
  checkInside(record.files.map(({path}) => path));
  for (const file of record.files) {
    if (names.has(file.path) || isSame(file, now.get(file.path))) continue;
    await target.requireOwn([file.path]);
    if (!(await target.holds(file.path, file, () => {}, signal))) continue;
    await target.remove(file.path);
    removed.push(file.path);
  }
  return removed;
}

export function recordOf(
  earlier: PullRecord | undefined,
  chosen: readonly HubFile[],
  {revision, commit, files}: Source,
  {repository, settings}: PullOptions,
): PullRecord {
  const names = new Set(chosen.map(({path}) => path));
  // Of the same commit, or of files that this commit left as they were.
  const now = new Map(files.map((file) => [file.path, file]));
  const before = (earlier?.files ?? []).filter((file) => !names.has(file.path) && isSame(file, now.get(file.path)));
  return {format: 1, ...repository, endpoint: settings.endpoint, revision, commit, files: [...chosen, ...before]};
}

function isSame(a: HubFile, b: HubFile | undefined): boolean {
  return a.bytes === b?.bytes && a.sha256 === b.sha256 && a.gitBlob === b.gitBlob;
}
