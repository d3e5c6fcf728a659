import {IlrError} from '../errors.js';
import {type HubClient, type HubResponse, single} from './client.js';
import {fileUrl, type HubFile, hashOf} from './listing.js';
import {type OnBytes, Part} from './part.js';
import {type Repository, repositoryName} from './repository.js';
import {TransientError, withRetries} from './retry.js';

export interface DownloadOptions {
  readonly repository: Repository;
  readonly commit: string;
  readonly file: HubFile;
  /** Where it grows. */
  readonly part: string;
  readonly onBytes: OnBytes;
  readonly onRetry: (message: string, waitMs: number) => void;
  readonly signal?: AbortSignal;
}

/** So many bytes more than ever before are headway; a server that always breaks off earlier is given up. */
const headwayBytes = 2 ** 16;

/**
Downloads the rest of a file and checks its hash. What came before a failure stays in `part`.

@throws IlrError `ILR_IO` when the server fails for long, or sends other bytes than the hub lists (`part` is removed then); `ILR_ABORTED`.
*/
export async function downloadFile(client: HubClient, options: DownloadOptions): Promise<void> {
  const {file, onBytes, onRetry, signal} = options;
  const part = await Part.open(options.part, file, onBytes, signal);
  try {
    for (const isLast of [false, true]) {
      let pieces = part.bytes > 0 ? 1 : 0;
      let best = part.bytes;
      const hasHeadway = () => {
        if (part.bytes < best + headwayBytes) return false;
        best = part.bytes;
        return true;
      };
      const work = async () => {
        if (part.isWhole) return;
        pieces = part.bytes > 0 ? pieces + 1 : 1;
        await fetchRest(client, part, options);
      };
      await withRetries(work, {limits: client.limits, signal, hasHeadway, onRetry});
      if (part.isRight) return await part.sync();
      await part.restart();
      // Put together of several answers, or with what lay on the disk, it may be right when it comes as one.
      if (isLast || pieces === 1) throw wrongBytes(options);
      onRetry(`${file.path}: the parts do not make the file that the hub lists: downloaded again from its start`, 0);
    }
  } catch (error) {
    if (error instanceof WrongFile) await part.remove();
    throw error instanceof WrongFile ? error.error : error;
  } finally {
    await part.close();
  }
}

/** The server's bytes are not the hub's file: none of them is kept. */
class WrongFile extends Error {
  readonly error: IlrError;

  constructor(message: string) {
    super(message);
    this.error = new IlrError('ILR_IO', message);
  }
}

function wrongBytes({repository, commit, file}: DownloadOptions): WrongFile {
  const [name, hash] = file.sha256 !== undefined ? ['sha256', file.sha256] : ['git object', file.gitBlob];
  return new WrongFile(
    `${file.path} of ${repositoryName(repository)} (${commit.slice(0, 12)}): the bytes that came do not have the checksum that the hub lists (${name} ${hash}); ` +
      'they were removed. Try again; if it stays so, the server or something on the way changes the file',
  );
}

async function fetchRest(
  client: HubClient,
  part: Part,
  {repository, commit, file, signal}: DownloadOptions,
): Promise<void> {
  const from = part.bytes;
  const url = fileUrl(client, repository, commit, file.path);
  // No If-Range: the address names a commit, and where it redirects to has an etag of its own; the length and the whole hash are compared.
  const headers: Record<string, string> = from > 0 ? {range: `bytes=${from}-`} : {};
  const response = await client.open(url, {repository, file: file.path, headers, signal});
  try {
    checkMetadata(response, file, commit);
    if (from > 0 && !isRest(response, from, file)) await part.restart();
    // Neither the rest nor the whole.
    if (part.bytes !== from && response.status !== 200)
      throw new TransientError(
        `${file.path}: asked for the bytes from ${from} on, the server answers ${response.status} with other bytes`,
      );
    checkLength(response, part.bytes, file);
    for await (const chunk of response.body) {
      if (part.bytes + chunk.length > file.bytes)
        throw new WrongFile(
          `${file.path}: expected ${file.bytes} bytes, as the hub lists, the server sends more; they were removed`,
        );
      await part.append(chunk);
    }
    if (!part.isWhole)
      throw new TransientError(`${file.path}: the answer ended after ${part.bytes} of ${file.bytes} bytes`);
  } finally {
    response.close();
  }
}

/** The hub names the file once more as it hands it out. */
function checkMetadata({metadata}: HubResponse, file: HubFile, commit: string): void {
  const differs = (what: string, listed: unknown, got: unknown) => {
    throw new WrongFile(`${file.path}: the hub lists ${what} ${listed} and hands out ${got}; try again`);
  };
  if (metadata.commit !== undefined && metadata.commit !== commit) differs('commit', commit, metadata.commit);
  if (metadata.size !== undefined && metadata.size !== file.bytes) differs('size', file.bytes, metadata.size);
  const {sha256, gitBlob} = hashOf(metadata.etag);
  if (sha256 !== undefined && file.sha256 !== undefined && sha256 !== file.sha256)
    differs('sha256', file.sha256, sha256);
  if (gitBlob !== undefined && file.gitBlob !== undefined && gitBlob !== file.gitBlob)
    differs('git object', file.gitBlob, gitBlob);
}

/** A server may send less than was asked for; the next attempt asks for what is missing then. */
function isRest({status, headers}: HubResponse, from: number, file: HubFile): boolean {
  const [, start, end, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers['content-range'] ?? '') ?? [];
  return (
    status === 206 &&
    Number(start) === from &&
    Number(end) < file.bytes &&
    (total === '*' || Number(total) === file.bytes)
  );
}

function checkLength({status, headers}: HubResponse, have: number, file: HubFile): void {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw new WrongFile(
      `${file.path}: the server compresses it (${encoding}) although it was asked not to; does a proxy change answers?`,
    );
  const length = single(headers['content-length']);
  const missing = file.bytes - have;
  if (length !== undefined && (Number(length) > missing || (status === 200 && Number(length) < missing)))
    throw new WrongFile(`${file.path}: expected ${missing} bytes, as the hub lists, the server announces ${length}`);
}
