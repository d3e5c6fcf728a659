import {createHash} from 'node:crypto';
import {type RunConfig, runSchema} from '../config.js';
import {IlrError} from '../errors.js';
import type {Question} from '../types.js';

/** All that the numbers of a run depend on. */
export interface RunIdentity {
  readonly config: RunConfig;
  /** Compute threads of each runtime: sums are split by them, so another count changes the last bits. */
  readonly threads: readonly number[];
  readonly device: string;
  /** SHA-256 of the questions as they were read. */
  readonly questions: string;
  /** SHA-256 of the weights that stay as they are: bases of adapters, frozen agents and frozen reference policies. */
  readonly fixedWeights?: string;
  /** Of ilr-native, Node.js and LibTorch. */
  readonly versions: Readonly<Record<string, string>>;
}

export function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

export function hashQuestions(sets: readonly (readonly Question[])[]): string {
  return hashOf(
    sets.map((set) =>
      set.map(({id, text, answer, level, tests, tolerance}) => [
        id,
        text,
        answer,
        level ?? null,
        ...[tests, tolerance].filter(Boolean),
      ]),
    ),
  );
}

/** These change how long a run is, what it measures and what it keeps, but no number of its training. */
const free = [
  ...['steps', 'eval', 'record', 'save', 'output', 'device', 'threads', 'data.test'],
  // How a reward is waited for, not what it says.
  ...['reward.timeoutSeconds', 'reward.remote', 'reward.parts[].remote'],
];

/** [path, value] of every leaf. */
function leaves(value: unknown, path = ''): [string, unknown][] {
  if (typeof value !== 'object' || value === null) return [[path, value]];
  return Object.entries(value).flatMap(([key, item]) =>
    leaves(item, Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`),
  );
}

function isFree(path: string, {agents, optimizer}: RunConfig): boolean {
  // A schedule ends with the run, so that every learning rate depends on its length.
  const isScheduled = agents.some((agent) => (agent.optimizer?.schedule ?? optimizer.schedule) !== 'constant');
  if (path === 'steps' && isScheduled) return false;
  const everywhere = path.replaceAll(/\[\d+\]/g, '[]');
  return free.some((key) => everywhere === key || everywhere.startsWith(`${key}.`));
}

const show = (value: unknown): string => (value === undefined ? 'not set' : JSON.stringify(value));

/** One line for each setting that makes `now` another run than `then`. */
export function differences(then: RunIdentity, now: RunIdentity): string[] {
  // A setting that is newer than the checkpoint had its default then.
  const known = runSchema.safeParse(then.config);
  const before = new Map(leaves(known.success ? known.data : then.config));
  const after = new Map(leaves(now.config));
  const lines = [...new Set([...before.keys(), ...after.keys()])]
    .filter((key) => !isFree(key, now.config) && before.get(key) !== after.get(key))
    .map((key) => `${key}: ${show(before.get(key))} in the checkpoint, ${show(after.get(key))} now`);
  if (then.device !== now.device) lines.push(`device: ${then.device} in the checkpoint, ${now.device} now`);
  if (then.threads.join() !== now.threads.join())
    lines.push(
      `threads: ${then.threads.join(' + ')} in the checkpoint, ${now.threads.join(' + ')} now (another count changes the last bits of every sum)`,
    );
  if (then.questions !== now.questions) lines.push('data: the questions of data.train or data.validation have changed');
  if (then.fixedWeights !== now.fixedWeights)
    lines.push(
      'agents: weights in agents[].model or agents[].adapter.folder have changed, which adapters, frozen agents or frozen reference policies are loaded from',
    );
  return lines;
}

/**
@throws IlrError `ILR_CHECKPOINT` when a run started with `then` cannot go on, bit for bit, with `now`.
@returns a warning for each thing that may change the last bits but need not.
*/
export function checkSameRun(then: RunIdentity, now: RunIdentity, checkpoint: string): string[] {
  const lines = differences(then, now);
  if (lines.length > 0)
    throw new IlrError(
      'ILR_CHECKPOINT',
      `${checkpoint} belongs to another run, so going on would not repeat it:\n${lines.map((line) => `  ${line}`).join('\n')}\nSet these as they were to resume, or give a new output folder to start again.`,
    );
  return Object.entries(now.versions)
    .filter(([name, version]) => then.versions[name] !== version)
    .map(
      ([name, version]) =>
        `the checkpoint was written with ${name} ${then.versions[name] ?? '(unknown)'}, this is ${version}: the run goes on, but perhaps not bit for bit`,
    );
}
