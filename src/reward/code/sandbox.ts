import {availableParallelism} from 'node:os';
import {IlrError, messageOf} from '../../errors.js';
import {bootstrapInput} from './sandbox/bootstrap.js';
import {bubblewrap} from './sandbox/bubblewrap.js';
import {proveLauncher} from './sandbox/canaries.js';
import {type Command, runConfined} from './sandbox/confined-process.js';
import {deno} from './sandbox/deno.js';
import {explainRefusal} from './sandbox/explain.js';
import {gvisor} from './sandbox/gvisor.js';
import type {Env, Launcher} from './sandbox/launcher.js';
import {defaultLimits, type Limits, mergeLimits} from './sandbox/limits.js';
import {Places} from './sandbox/places.js';

export type {Limits} from './sandbox/limits.js';
export {defaultLimits} from './sandbox/limits.js';

export interface SandboxJob {
  /** First line: JSON `{"runner": <Python source>}`. The rest is bytes that the runner finds as `PAYLOAD`. */
  readonly input: Buffer;
  readonly limits?: Partial<Limits>;
}

export interface SandboxResult {
  /** `killed`: ended by a signal, the limit of CPU time included. `exitCode` is null then. */
  readonly status: 'exited' | 'timeout' | 'output' | 'killed';
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** What was written until the end, all of it untrusted; at most `outputBytes` with `stderr`. */
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly seconds: number;
}

/** Runs Python that nobody trusts, each job in a process of its own that sees no files, no network and no other process. */
export interface Sandbox {
  readonly kind: string;
  /** The programs behind it, for people. */
  readonly description: string;
  /**
  As many at once as there are places; the rest wait. An exit code says nothing about the program: it is the program's own.

  @throws IlrError `ILR_INVALID_ARGUMENT` for a job without a runner or with unknown limits; `ILR_ABORTED` on `signal`; `ILR_DISPOSED` after `close`;
  `ILR_UNSUPPORTED` where the launcher no longer starts.
  */
  run(job: SandboxJob, signal?: AbortSignal): Promise<SandboxResult>;
  /** Ends what runs; those jobs reject with `ILR_DISPOSED`. */
  close(): Promise<void>;
}

export interface SandboxOptions {
  /** Programs at once; the number of cores by default. */
  readonly concurrency?: number;
  readonly limits?: Partial<Limits>;
  /** An interpreter in place of the one under /usr. */
  readonly python?: string;
  /** Where `PATH` is looked up. */
  readonly env?: Env;
  readonly signal?: AbortSignal;
}

/**
The best sandbox of this machine, after every canary was stopped in it.

@throws IlrError `ILR_UNSUPPORTED` where there is none: why each did not do, and how to get bubblewrap, or what stands in for it. Nothing weaker is ever used.
*/
export async function openSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const {concurrency = availableParallelism(), env = process.env, python} = options;
  const limits = mergeLimits(defaultLimits, options.limits);
  if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
    throw new IlrError(
      'ILR_INVALID_ARGUMENT',
      `concurrency: expected a whole number of at least 1, got ${concurrency}`,
    );
  }
  return openLauncher(await findLauncher(env, python, options.signal), concurrency, limits);
}

async function findLauncher(env: Env, python?: string, signal?: AbortSignal): Promise<Launcher> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new IlrError(
      'ILR_UNSUPPORTED',
      `The sandbox needs Linux on x86-64, this is ${process.platform} ${process.arch}.`,
    );
  }
  const reasons: string[] = [];
  for (const [kind, find] of Object.entries({bubblewrap, gvisor, deno})) {
    try {
      return await prove(await find(env, python), signal);
    } catch (error) {
      if (signal?.aborted) throw new IlrError('ILR_ABORTED', 'Opening the sandbox was aborted.', {cause: error});
      reasons.push(`${kind}: ${explainRefusal(messageOf(error))}`);
    }
  }
  throw new IlrError(
    'ILR_UNSUPPORTED',
    `There is no sandbox here for programs that a model wrote, and without one they are not run.\n${reasons.join('\n')}`,
  );
}

async function prove(launcher: Launcher, signal?: AbortSignal): Promise<Launcher> {
  try {
    await proveLauncher(launcher, signal);
    return launcher;
  } catch (error) {
    await launcher.close?.();
    throw error;
  }
}

/** Without canaries: for `openSandbox`, and for tests of launchers that were made weaker. */
export function openLauncher(launcher: Launcher, concurrency: number, base: Limits): Sandbox {
  const places = new Places(concurrency);
  const closing = new AbortController();
  const running = new Set<Promise<unknown>>();

  async function run(job: SandboxJob, signal?: AbortSignal): Promise<SandboxResult> {
    const limits = mergeLimits(base, job.limits);
    const input = readInput(job.input);
    const either = AbortSignal.any(signal ? [signal, closing.signal] : [closing.signal]); // of this job alone: listeners on a shared one would pile up
    const release = await places.take(either).catch(() => undefined);
    try {
      if (!release || either.aborted) throw interrupted(signal, closing.signal);
      const result = await start(launcher.command(limits), input, limits, either);
      if (either.aborted) throw interrupted(signal, closing.signal);
      return result;
    } finally {
      release?.();
    }
  }

  return {
    kind: launcher.kind,
    description: launcher.description,
    run(job, signal) {
      const result = run(job, signal);
      const settled = result.catch(() => {}).finally(() => running.delete(settled));
      running.add(settled);
      return result;
    },
    async close() {
      closing.abort();
      await Promise.all(running);
      await launcher.close?.();
    },
  };
}

async function start(command: Command, input: Buffer, limits: Limits, signal: AbortSignal): Promise<SandboxResult> {
  try {
    return await runConfined(command, input, limits, signal);
  } catch (error) {
    throw new IlrError(
      'ILR_UNSUPPORTED',
      `The sandbox does not start: ${messageOf(error)}. \`ilr-native doctor\` looks at it.`,
      {cause: error},
    );
  }
}

function interrupted(signal: AbortSignal | undefined, closing: AbortSignal): IlrError {
  if (closing.aborted) return new IlrError('ILR_DISPOSED', 'The sandbox was closed.');
  return new IlrError('ILR_ABORTED', 'The program was stopped: its run was aborted.', {cause: signal?.reason});
}

function readInput(input: Buffer): Buffer {
  const end = input.indexOf('\n');
  const line = input.toString('utf8', 0, end < 0 ? input.length : end);
  try {
    const {runner} = JSON.parse(line) as {runner: unknown};
    if (typeof runner === 'string') return bootstrapInput(runner, end < 0 ? Buffer.alloc(0) : input.subarray(end + 1));
  } catch {}
  throw new IlrError('ILR_INVALID_ARGUMENT', 'input: expected a first line of JSON, {"runner": <Python source>}');
}
