import {z} from 'zod';
import {IlrError} from '../errors.js';
import {type HubClient, type OpenOptions, placeOf, single} from './client.js';
import {type Repository, repositoryName} from './repository.js';
import type {RetryOptions} from './retry.js';

/** A file of a repository, and the hash that its bytes must have. */
export interface HubFile {
  readonly path: string;
  readonly bytes: number;
  /** Of a large file (LFS, Xet). */
  readonly sha256?: string;
  /** Of a small one: the sha1 of its git object. */
  readonly gitBlob?: string;
}

export type AskOptions = Pick<OpenOptions, 'repository' | 'signal'> & Pick<RetryOptions, 'onRetry'>;

const revisionSchema = z.object({sha: z.string().regex(/^\w{1,64}$/)});

const entrySchema = z.object({
  type: z.string(),
  path: z.string(),
  size: z.int().nonnegative().optional(),
  oid: z.string().optional(),
  lfs: z.object({oid: z.string(), size: z.int().nonnegative()}).nullish(),
});

/** The commit that a branch, tag or commit name means now: all that follows is of this one. */
export async function resolveCommit(client: HubClient, revision: string, options: AskOptions): Promise<string> {
  const url = client.url(`/api/${apiPath(options.repository)}/revision/${encodeURIComponent(revision)}`);
  const {value} = await client.json(url, options);
  return parsed(revisionSchema, value, url).sha;
}

/** All files of a commit, page by page. */
export async function listFiles(client: HubClient, commit: string, options: AskOptions): Promise<HubFile[]> {
  const first = client.url(
    `/api/${apiPath(options.repository)}/tree/${encodeURIComponent(commit)}?recursive=true&expand=false`,
  );
  const files: HubFile[] = [];
  const seen = new Set<string>();
  for (let url: URL | undefined = first; url !== undefined; ) {
    if (seen.has(url.href))
      throw new IlrError('ILR_IO', `${placeOf(url)}: the pages of the list of files go in a circle`);
    seen.add(url.href);
    const {value, headers} = await client.json(url, options);
    for (const entry of parsed(z.array(entrySchema), value, url)) if (entry.type === 'file') files.push(toFile(entry));
    if (files.length > client.limits.maxFiles || seen.size > client.limits.maxFiles)
      throw new IlrError(
        'ILR_IO',
        `${repositoryName(options.repository)}: expected at most ${client.limits.maxFiles} files, got more`,
      );
    url = nextPage(single(headers.link), url, first);
  }
  return files;
}

/** @returns where a file's bytes are. */
export function fileUrl(client: HubClient, repository: Repository, commit: string, path: string): URL {
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  return client.url(`/${repositoryName(repository)}/resolve/${encodeURIComponent(commit)}/${encoded}`);
}

function apiPath({kind, id}: Repository): string {
  return `${kind}s/${id}`;
}

/** `Link: <address>; rel="next"`. A mirror may pass on the hub's own address: of another host only the query is taken. */
function nextPage(link: string | undefined, url: URL, first: URL): URL | undefined {
  const address = /<([^>]*)>\s*;[^<]*\brel="?next\b/.exec(link ?? '')?.[1];
  if (address === undefined || !URL.canParse(address, url.href)) return undefined;
  const next = new URL(address, url);
  if (next.origin === first.origin) return next;
  const own = new URL(first);
  own.search = next.search;
  return own;
}

function parsed<T>(schema: z.ZodType<T>, value: unknown, url: URL): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new IlrError(
    'ILR_IO',
    `${placeOf(url)}: expected an answer of the hub, got another at ${issue?.path.join('.') || 'its top'} (${issue?.message}); does HF_ENDPOINT name a hub?`,
  );
}

function toFile({path, size, oid, lfs}: z.infer<typeof entrySchema>): HubFile {
  if (lfs) return {path, bytes: lfs.size, ...hashOf(lfs.oid.replace(/^sha256:/, ''))};
  if (size === undefined) throw new IlrError('ILR_IO', `the hub tells no size of ${JSON.stringify(path)}`);
  return {path, bytes: size, ...hashOf(oid)};
}

/** Which of the two hashes a text of the hub is, by its length. */
export function hashOf(text: string | undefined): Pick<HubFile, 'sha256' | 'gitBlob'> {
  if (text !== undefined && /^[0-9a-f]{64}$/.test(text)) return {sha256: text};
  if (text !== undefined && /^[0-9a-f]{40}$/.test(text)) return {gitBlob: text};
  return {};
}
