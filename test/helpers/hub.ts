import {createHash} from 'node:crypto';
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import type {ExecutionContext} from 'ava';
import type {HubLimits} from '../../src/hub/limits.js';
import {type HubSettings, readHubSettings} from '../../src/hub/settings.js';

export const commit = 'c'.repeat(40);

/** Answers a request for a file in the place of the server, once; the last of a list stays when it is marked so. */
export type Fault = (request: IncomingMessage, response: ServerResponse, bytes: Buffer) => unknown;

export interface FakeRepository {
  readonly files: Readonly<Record<string, Buffer | string>>;
  /** Kept as large files: the hub redirects to another server. */
  readonly large?: readonly string[];
  /** Names in the list beside the files. */
  readonly listed?: readonly unknown[];
  readonly commit?: string;
}

/** No waiting in tests; enough attempts. */
export const quick: Partial<HubLimits> = {attempts: 4, firstDelayMs: 1, maxDelayMs: 5, stallMs: 10_000};

/** A server on loopback that speaks the hub's protocol, with a second one that holds the large files, and fails as it is told. */
export class FakeHub {
  /** By `<kind>s/<id>`. */
  readonly repositories = new Map<string, FakeRepository>();
  readonly requests: {
    readonly server: 'hub' | 'store';
    readonly url: string;
    readonly headers: IncomingMessage['headers'];
  }[] = [];
  /** By the path of a file, or the whole path of a request: taken one after another. */
  readonly faults = new Map<string, Fault[]>();
  pageSize = 1000;
  private readonly hub: Server;
  private readonly store: Server;

  private constructor() {
    this.hub = createServer((request, response) => this.answerHub(request, response));
    this.store = createServer((request, response) => this.answerStore(request, response));
  }

  static async start(
    t: ExecutionContext,
    repositories: Readonly<Record<string, FakeRepository>> = {},
  ): Promise<FakeHub> {
    const fake = new FakeHub();
    for (const [name, repository] of Object.entries(repositories)) fake.repositories.set(name, repository);
    for (const server of [fake.hub, fake.store]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      t.teardown(() => {
        server.closeAllConnections();
        server.close();
      });
    }
    return fake;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.hub.address() as AddressInfo).port}`;
  }

  get storeEndpoint(): string {
    return `http://127.0.0.1:${(this.store.address() as AddressInfo).port}`;
  }

  settings(env: Readonly<Record<string, string>> = {}): Promise<HubSettings> {
    return readHubSettings({HOME: '/nowhere', HF_ENDPOINT: this.endpoint, ...env});
  }

  fail(path: string, ...faults: readonly Fault[]): void {
    this.faults.set(path, [...faults]);
  }

  /** Requests whose path has this part. */
  asked(part: string): readonly {readonly url: string; readonly headers: IncomingMessage['headers']}[] {
    return this.requests.filter(({url}) => url.includes(part));
  }

  private answerHub(request: IncomingMessage, response: ServerResponse): unknown {
    const url = new URL(request.url ?? '/', this.endpoint);
    this.requests.push({server: 'hub', url: request.url ?? '', headers: request.headers});
    // A mirror may lie below a path of its own.
    const path = decodeURIComponent(url.pathname).replace(/^\/mirror(?=\/)/, '');
    const fault = this.faults.get(path)?.shift();
    if (fault) return fault(request, response, Buffer.alloc(0));
    const api = /^\/api\/((?:model|dataset)s\/.+?)\/(revision|tree)\/([^/]+)$/.exec(path);
    if (api) return this.answerApi(api[1] as string, api[2] as string, api[3] as string, url, response);
    const file = /^\/(.+?)\/resolve\/([^/]+)\/(.+)$/.exec(path);
    if (!file) return response.writeHead(404).end();
    const name = (file[1] as string).startsWith('datasets/') ? (file[1] as string) : `models/${file[1]}`;
    this.answerFile(name, file[2] as string, file[3] as string, request, response);
  }

  private answerApi(name: string, what: string, revision: string, url: URL, response: ServerResponse): unknown {
    const repository = this.repositories.get(name);
    if (!repository) return refuse(response, 401, 'RepoNotFound', 'Repository not found');
    const {commit: sha = commit, files, listed = []} = repository;
    if (!['main', sha].includes(revision))
      return refuse(response, 404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
    if (what === 'revision') return json(response, {id: name, sha});
    const entries = [
      ...Object.entries(files).map(([path, content]) => this.entry(repository, path, content)),
      ...listed,
    ];
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const next = from + this.pageSize;
    url.searchParams.set('cursor', String(next));
    if (next < entries.length) response.setHeader('link', `<${url.href}>; rel="next"`);
    json(response, entries.slice(from, next));
  }

  private entry({large = []}: FakeRepository, path: string, content: Buffer | string) {
    const bytes = Buffer.from(content);
    if (!large.includes(path)) return {type: 'file', path, size: bytes.length, oid: gitBlob(bytes)};
    const lfs = {oid: sha256(bytes), size: bytes.length, pointerSize: 134};
    return {type: 'file', path, size: bytes.length, oid: '0'.repeat(40), lfs};
  }

  private answerFile(
    name: string,
    revision: string,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): unknown {
    const repository = this.repositories.get(name);
    const content = repository?.files[path];
    if (!repository || content === undefined) return refuse(response, 404, 'EntryNotFound', 'Entry not found');
    const bytes = Buffer.from(content);
    response.setHeader('x-repo-commit', revision);
    if (!repository.large?.includes(path)) {
      response.setHeader('etag', `"${gitBlob(bytes)}"`);
      return this.send(path, bytes, request, response);
    }
    response.setHeader('x-linked-size', String(bytes.length));
    response.setHeader('x-linked-etag', `"${sha256(bytes)}"`);
    const location = `${this.storeEndpoint}/${name}/${path}?signature=secret`;
    response.writeHead(302, {location}).end(`Found. Redirecting to ${location}`);
  }

  private answerStore(request: IncomingMessage, response: ServerResponse): unknown {
    this.requests.push({server: 'store', url: request.url ?? '', headers: request.headers});
    const path = decodeURIComponent(new URL(request.url ?? '/', this.storeEndpoint).pathname.slice(1));
    for (const [name, {files, large = []}] of this.repositories)
      for (const file of large)
        if (path === `${name}/${file}`) return this.send(file, Buffer.from(files[file] ?? ''), request, response);
    response.writeHead(404).end();
  }

  private send(path: string, bytes: Buffer, request: IncomingMessage, response: ServerResponse): unknown {
    const fault = this.faults.get(path)?.shift() ?? sendRange;
    return fault(request, response, bytes);
  }
}

export function sendRange(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? -1);
  if (from >= bytes.length) return void response.writeHead(416, {'content-range': `bytes */${bytes.length}`}).end();
  const range = {'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}`};
  const body = bytes.subarray(Math.max(from, 0));
  response.writeHead(from < 0 ? 200 : 206, {'content-length': body.length, ...(from >= 0 && range)}).end(body);
}

/** Announces all of what was asked for, sends some bytes of it and breaks the connection. */
export function cutAfter(count: number): Fault {
  return (request, response, bytes) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const range = {'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}`};
    response.writeHead(from > 0 ? 206 : 200, {'content-length': bytes.length - from, ...(from > 0 && range)});
    response.write(bytes.subarray(from, from + count), () => response.destroy());
  };
}

export function answer(status: number, headers: Readonly<Record<string, string>> = {}, body = ''): Fault {
  return (_, response) => void response.writeHead(status, {...headers}).end(body);
}

/** Other bytes than the file's, as a whole answer. */
export function sendInstead(change: (bytes: Buffer) => Buffer): Fault {
  return (_, response, bytes) => void response.writeHead(200).end(change(bytes));
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, {'x-error-code': code, 'x-error-message': message, 'content-type': 'application/json'});
  response.end(JSON.stringify({error: message}));
}

function json(response: ServerResponse, value: unknown): void {
  response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function gitBlob(bytes: Buffer): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

/** Bytes that nothing repeats in, the same each time. */
export function noise(count: number, seed = 1): Buffer {
  const chunks: Buffer[] = [];
  for (let i = 0; 32 * i < count; i++) chunks.push(createHash('sha256').update(`${seed} ${i}`).digest());
  return Buffer.concat(chunks).subarray(0, count);
}

/** A model as the hub keeps one. */
export function tinyRepository(weights: Buffer = noise(300_000)): FakeRepository {
  return {
    files: {
      'README.md': '# A model\n',
      'config.json': '{"model_type": "qwen2"}',
      'generation_config.json': '{}',
      'tokenizer.json': '{"version": "1.0"}',
      'tokenizer_config.json': '{}',
      'model.safetensors': weights,
      'pytorch_model.bin': 'pickled',
      'onnx/model.onnx': 'onnx',
      'model-q4.gguf': 'gguf',
    },
    large: ['model.safetensors', 'pytorch_model.bin'],
  };
}
