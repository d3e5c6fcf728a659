import {readFileSync} from 'node:fs';
import path from 'node:path';
import {isExecutable} from '../../../executable.js';
import type {Command} from './confined-process.js';
import type {Limits} from './limits.js';

export type Env = Readonly<Record<string, string | undefined>>;

/** One way to run a program apart from everything. */
export interface Launcher {
  readonly kind: 'bubblewrap' | 'gvisor' | 'deno';
  /** The program and the interpreter, for people. */
  readonly description: string;
  command(limits: Limits): Command;
  /** The same walls without the filter of system calls and with /proc, so that the canaries see each of the walls hold by itself. */
  bareCommand?(limits: Limits): Command;
  /** Canaries of its own, where a program does not see the system that it runs on. */
  readonly attacks?: string;
  close?(): Promise<void>;
}

/** Somebody who owns nothing. */
export const nobody = {uid: 65534, gid: 65534} as const;

/**
Whom a launcher is started as: with the real root, /proc/sys can be written even without capabilities. The root of a namespace in which nobody else
exists is not the real one; a canary tries.
*/
export function unprivileged(): typeof nobody | undefined {
  return process.getuid?.() === 0 && isMapped(nobody.uid) ? nobody : undefined;
}

function isMapped(uid: number): boolean {
  const lines = readFileSync('/proc/self/uid_map', 'utf8').trim().split('\n');
  return lines.some((line) => {
    const [first = 0, , count = 0] = line.trim().split(/\s+/).map(Number);
    return uid >= first && uid < first + count;
  });
}

/** The file that a program's name stands for. */
export function findProgram(name: string, env: Env): string | undefined {
  const folders = (env.PATH ?? '').split(path.delimiter).filter((folder) => path.isAbsolute(folder));
  return folders.map((folder) => path.join(folder, name)).find(isExecutable);
}
