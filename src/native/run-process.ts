import {spawn} from 'node:child_process';
import path from 'node:path';
import {isExecutable} from '../executable.js';
import type {Env} from './paths.js';

export interface ProcessResult {
  /** Undefined where it was ended by a signal, or could not start. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Why it did not start or end by itself. */
  readonly problem?: string;
}

export interface ProcessOptions {
  readonly cwd?: string;
  readonly env?: Env;
  readonly timeoutMs?: number;
  /** Each line of stdout and stderr as it comes. */
  readonly onLine?: (line: string) => void;
}

/** Runs a program without a shell and without standard input. Never rejects: what went wrong is in the result. */
export function runProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<ProcessResult> {
  const {cwd, env = process.env, timeoutMs, onLine} = options;
  return new Promise((resolve) => {
    const child = spawn(command, args, {cwd, env, stdio: ['ignore', 'pipe', 'pipe']});
    // Not spawn's `timeout`: where the program is not there, its timer is left and holds the process up.
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => child.kill(), timeoutMs);
    let stdout = '';
    let stderr = '';
    const splitStdout = lineSplitter(onLine);
    const splitStderr = lineSplitter(onLine);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      splitStdout(text);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      splitStderr(text);
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      resolve({code: undefined, stdout, stderr, problem: error.message});
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      splitStdout('\n');
      splitStderr('\n');
      resolve({code: code ?? undefined, stdout, stderr, problem: signal ? `ended by ${signal}` : undefined});
    });
  });
}

function lineSplitter(onLine: ((line: string) => void) | undefined): (text: string) => void {
  let rest = '';
  return (text) => {
    if (!onLine) return;
    const lines = (rest + text).split(/[\r\n]+/);
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') onLine(line);
  };
}

/** The last lines of what a failed program said, for an error message. */
export function lastLines({stdout, stderr, problem}: ProcessResult, count = 15): string {
  const lines = `${stdout}\n${stderr}\n${problem ?? ''}`.split('\n').filter((line) => line.trim() !== '');
  return lines.slice(-count).join('\n');
}

/** The file that a program's name stands for, or undefined where there is none on the PATH. */
export function which(name: string, env: Env): string | undefined {
  if (name.includes('/')) return isExecutable(name) ? path.resolve(name) : undefined;
  const places = (env.PATH ?? '').split(path.delimiter).filter((folder) => folder !== '');
  return places.map((folder) => path.resolve(folder, name)).find(isExecutable);
}
