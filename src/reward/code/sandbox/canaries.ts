import {randomUUID} from 'node:crypto';
import {once} from 'node:events';
import {chmod, mkdtemp, readdir, rm, writeFile} from 'node:fs/promises';
import {createServer, type Server} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {IlrError, messageOf} from '../../../errors.js';
import type {SandboxResult} from '../sandbox.js';
import {bootstrapInput} from './bootstrap.js';
import {attacks, bareAttacks} from './canary-attacks.js';
import {type Command, runConfined} from './confined-process.js';
import type {Launcher} from './launcher.js';
import {defaultLimits, type Limits} from './limits.js';

const limits: Limits = {...defaultLimits, wallSeconds: 30, memoryBytes: 2 ** 29};

/** What the attacks aim at, on the host. */
interface Bait {
  readonly folder: string;
  readonly secret: string;
  readonly port: number;
  readonly socket: string;
  readonly pid: number;
}

/**
Attacks of our own from inside the sandbox, each of which has to fail; besides, those that only the namespaces and the dropped user stop,
without the filter of system calls before them.

@throws IlrError `ILR_UNSUPPORTED` naming the attack that was not stopped, or why nothing starts.
*/
export async function proveLauncher(launcher: Launcher, signal?: AbortSignal): Promise<void> {
  await withBait(async (bait) => {
    await Promise.all([
      attack(launcher.command(limits), attacks, bait, signal),
      ...(launcher.bareCommand ? [attack(launcher.bareCommand(limits), bareAttacks, bait, signal)] : []),
      endsInTime(launcher, signal),
      endsFlood(launcher, signal),
    ]);
  });
}

async function attack(command: Command, source: string, bait: Bait, signal?: AbortSignal): Promise<void> {
  const result = await runConfined(command, bootstrapInput(source, Buffer.from(JSON.stringify(bait))), limits, signal);
  const lines = result.stdout.toString('utf8').split('\n');
  const escaped = lines.filter((line) => line.startsWith('escaped '));
  if (escaped.length > 0)
    throw refused(`an attack was not stopped: ${escaped.map((line) => line.slice(8)).join(', ')}`);
  if (!lines.includes('all tried')) throw refused(`the canaries did not end: ${describe(result)}`);
}

async function endsInTime(launcher: Launcher, signal?: AbortSignal): Promise<void> {
  const sleep = bootstrapInput('import time\ntime.sleep(60)', Buffer.alloc(0));
  const result = await runConfined(launcher.command(limits), sleep, {...limits, wallSeconds: 0.5}, signal);
  if (result.status !== 'timeout')
    throw refused(`an attack was not stopped: sleep past its time (${describe(result)})`);
}

async function endsFlood(launcher: Launcher, signal?: AbortSignal): Promise<void> {
  const flood = bootstrapInput('while True: print("x" * 65536)', Buffer.alloc(0));
  const result = await runConfined(launcher.command(limits), flood, {...limits, outputBytes: 2 ** 18}, signal);
  if (result.status !== 'output') throw refused(`an attack was not stopped: flood of output (${describe(result)})`);
}

function refused(message: string): IlrError {
  return new IlrError('ILR_UNSUPPORTED', message);
}

function describe({status, exitCode, signal, stderr}: SandboxResult): string {
  const last = stderr.trim().split('\n').slice(-3).join('\n');
  return `${status}, ${signal ?? `exit code ${exitCode}`}${last === '' ? '' : `: ${last}`}`;
}

/** A file that everybody may read in a folder that everybody may write, two servers, and this process: none of them may be reached. */
async function withBait(use: (bait: Bait) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'ilr-canary-'));
  const secret = path.join(folder, 'secret');
  const socket = `\0ilr-canary-${randomUUID()}`; // of the abstract kind, which belongs to a network namespace
  const servers: Server[] = [];
  let reached = 0;
  try {
    await chmod(folder, 0o777);
    await writeFile(secret, 'canary', {mode: 0o644});
    for (const place of [{host: '127.0.0.1', port: 0}, {path: socket}]) {
      const server = createServer((connection) => {
        reached++;
        connection.destroy();
      });
      servers.push(server.listen(place));
      await once(server, 'listening');
    }
    const address = servers[0]?.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    await use({folder, secret, port, socket: socket.slice(1), pid: process.pid});
    const files = await readdir(folder);
    if (reached > 0) throw refused('an attack was not stopped: a server of the host was reached');
    if (files.length !== 1) throw refused('an attack was not stopped: a file was written on the host');
  } catch (error) {
    throw IlrError.is(error) ? error : refused(messageOf(error));
  } finally {
    for (const server of servers) server.close();
    await rm(folder, {recursive: true, force: true});
  }
}
