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
/** For attacks that start a second engine of JavaScript. */
const roomy: Limits = {...limits, memoryBytes: defaultLimits.memoryBytes};

/** What the attacks aim at, on the host. */
interface Bait {
  readonly folder: string;
  readonly secret: string;
  readonly port: number;
  readonly socket: string;
}

/**
Attacks of our own from inside the sandbox, each of which has to fail; besides, those that only the namespaces and the dropped user stop,
without the filter of system calls before them.

@throws IlrError `ILR_UNSUPPORTED` naming the attacks that were not stopped, or why nothing starts.
*/
export async function proveLauncher(launcher: Launcher, signal?: AbortSignal): Promise<void> {
  const escaped = await withBait(async (bait) => {
    const names = await Promise.all([
      launcher.attacks
        ? attack(launcher.command(roomy), launcher.attacks, bait, signal)
        : attack(launcher.command(limits), attacks, bait, signal),
      launcher.bareCommand ? attack(launcher.bareCommand(limits), bareAttacks, bait, signal) : [],
      outlast(launcher, 'timeout', 'import time\ntime.sleep(60)', {wallSeconds: 0.5}, signal),
      outlast(launcher, 'output', 'while True: print("x" * 65536)', {outputBytes: 2 ** 18}, signal),
    ]);
    return names.flat();
  });
  if (escaped.length > 0) throw refused(`attacks that were not stopped: ${[...new Set(escaped)].join(', ')}`);
}

/** The attacks that escaped. */
async function attack(command: Command, source: string, bait: Bait, signal?: AbortSignal): Promise<readonly string[]> {
  const result = await runConfined(command, bootstrapInput(source, Buffer.from(JSON.stringify(bait))), limits, signal);
  const lines = result.stdout.toString('utf8').split('\n');
  if (!lines.includes('all tried')) throw refused(`the canaries did not end: ${describe(result)}`);
  return lines.filter((line) => line.startsWith('escaped ')).map((line) => line.slice(8));
}

/** What should end with `status` did not. */
async function outlast(
  launcher: Launcher,
  status: SandboxResult['status'],
  source: string,
  bounds: Partial<Limits>,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const input = bootstrapInput(source, Buffer.alloc(0));
  const result = await runConfined(launcher.command(limits), input, {...limits, ...bounds}, signal);
  return result.status === status ? [] : [`go on past the limit of ${status} (${describe(result)})`];
}

function refused(message: string): IlrError {
  return new IlrError('ILR_UNSUPPORTED', message);
}

function describe({status, exitCode, signal, stderr}: SandboxResult): string {
  const last = stderr.trim().split('\n').slice(-3).join('\n');
  return `${status}, ${signal ?? `exit code ${exitCode}`}${last === '' ? '' : `: ${last}`}`;
}

/** A file that everybody may read in a folder that everybody may write and two servers: none of them may be reached. */
async function withBait(use: (bait: Bait) => Promise<readonly string[]>): Promise<readonly string[]> {
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
    const escaped = await use({folder, secret, port, socket: socket.slice(1)});
    const files = await readdir(folder);
    return [
      ...escaped,
      ...(reached > 0 ? ['reach a server of the host'] : []),
      ...(files.length > 1 ? ['leave a file on the host'] : []),
    ];
  } catch (error) {
    throw IlrError.is(error) ? error : refused(messageOf(error));
  } finally {
    for (const server of servers) server.close();
    await rm(folder, {recursive: true, force: true});
  }
}
