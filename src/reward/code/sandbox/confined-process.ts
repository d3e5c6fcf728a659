import {type ChildProcess, spawn} from 'node:child_process';
import {constants} from 'node:os';
import type {Writable} from 'node:stream';
import type {SandboxResult} from '../sandbox.js';

/** How a launcher starts one program. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  /** All of it; a launcher's own environment can be read inside (/proc/1/environ). Empty when left out. */
  readonly env?: Readonly<Record<string, string>>;
  /** The real user to become, where we are root. */
  readonly user?: {readonly uid: number; readonly gid: number};
  /** Read by the launcher on descriptor 3. */
  readonly descriptor3?: Buffer;
}

export interface Bounds {
  readonly wallSeconds: number;
  readonly outputBytes: number;
}

/** For the launcher and the interpreter to stand, on a machine with more to do. */
const startSeconds = 30;

/**
Runs one command in a process group of its own, and kills the group when the time is up, when it has written too much, or on `signal`. Resolves when
it is gone; rejects where the launcher failed, which says nothing about the program. Input is sent once the program has said with one byte that it is there (bootstrap.ts).
*/
export function runConfined(
  {file, args, env = {}, user, descriptor3}: Command,
  input: Buffer,
  {wallSeconds, outputBytes}: Bounds,
  signal?: AbortSignal,
): Promise<SandboxResult> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const stdio = ['pipe', 'pipe', 'pipe', ...(descriptor3 ? ['pipe' as const] : [])] as 'pipe'[];
    const child = spawn(file, args, {env, cwd: '/', stdio, detached: true, ...user});
    let stopped: 'timeout' | 'output' | 'killed' | undefined;
    let isReady = false;
    let written = 0;
    const stop = (reason: typeof stopped) => {
      stopped ??= reason;
      child.stdin?.destroy();
      killGroup(child);
    };
    const collect = (chunks: Buffer[]) => (chunk: Buffer) => {
      written += chunk.length;
      if (written > outputBytes) stop('output');
      else chunks.push(chunk);
    };
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let timer = setTimeout(stop, 1000 * (startSeconds + wallSeconds), 'timeout');
    const abort = () => stop('killed');
    signal?.addEventListener('abort', abort, {once: true});
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    child.on('error', (error) => {
      settle();
      reject(error);
    });
    child.stdout?.once('readable', () => {
      isReady = child.stdout?.read(1) !== null;
      if (!stopped) send(child.stdin, input);
      clearTimeout(timer);
      timer = setTimeout(stop, 1000 * wallSeconds, 'timeout');
      child.stdout?.on('data', collect(stdout));
    });
    child.stderr?.on('data', collect(stderr));
    child.on('close', (code, ended) => {
      settle();
      const {exitCode, name} = readStatus(code, ended);
      const said = Buffer.concat(stderr).toString('utf8');
      if (!isReady && !signal?.aborted) {
        reject(new Error(said.trim() || `it ended with ${name ?? `exit code ${exitCode}`} before it stood`));
        return;
      }
      resolve({
        status: stopped ?? (name ? 'killed' : 'exited'),
        exitCode,
        signal: name,
        stdout: Buffer.concat(stdout),
        stderr: said,
        seconds: (performance.now() - start) / 1000,
      });
    });
    send(child.stdio?.[3] as Writable | undefined, descriptor3);
    if (signal?.aborted) abort();
  });
}

function send(pipe: Writable | null | undefined, data: Buffer | undefined): void {
  pipe?.on('error', () => {}); // a program that ends before it has read everything breaks the pipe
  pipe?.end(data);
}

function killGroup({pid}: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {} // nobody is left
}

/** Launchers report a program that a signal ended as 128 + its number, as shells do. */
function readStatus(code: number | null, ended: NodeJS.Signals | null) {
  const number = code !== null && code > 128 ? code - 128 : undefined;
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  return {exitCode: ended || name ? null : code, name: ended ?? name ?? null};
}
