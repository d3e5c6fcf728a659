import {runScript} from './python.js';
import type {Limits, Sandbox, SandboxResult} from './sandbox.js';
import {decodeValue, type PyValue} from './value.js';

/** What a call returned, or why it returned nothing. */
export type Outcome = {readonly value: PyValue} | {readonly failure: string};

export interface ProgramJob {
  /** Runs first, so that its imports and helpers are there; no matter whether it runs. */
  readonly prelude: string;
  readonly program: string;
  readonly setup: string;
  readonly imports: readonly string[];
  readonly calls: readonly string[];
}

const maxReplyBytes = 2 ** 22;
/** `python/values.py` stops at 256 KB for each value. */
const maxLineBytes = 2 ** 18 + 2 ** 10;

/** Of several replies for one call the first counts: a program may write here too, but can say no more than it could return. */
export async function runCalls(
  sandbox: Sandbox,
  job: ProgramJob,
  limits?: Partial<Limits>,
  signal?: AbortSignal,
): Promise<readonly Outcome[]> {
  const {lines, result} = await runScript(
    sandbox,
    'run_program.py',
    job,
    {lines: job.calls.length + 1, lineBytes: maxLineBytes},
    {outputBytes: maxReplyBytes, ...limits},
    signal,
  );
  const outcomes: Outcome[] = [];
  let ended = `${describeEnd(result)}`;
  for (const [kind, index, data] of lines) {
    if (kind === 'failed') ended = `the program does not load: ${printed(index)}`;
    const isFirst = typeof index === 'number' && index in job.calls && !(index in outcomes);
    if (isFirst && kind === 'value') outcomes[index] = decode(data);
    if (isFirst && kind === 'error') outcomes[index] = {failure: printed(data)};
  }
  return job.calls.map((_, i) => outcomes[i] ?? {failure: ended});
}

function decode(data: unknown): Outcome {
  try {
    return {value: decodeValue(data)};
  } catch {
    return {failure: 'the program wrote over its reply'};
  }
}

function printed(data: unknown): string {
  return typeof data === 'string' ? data.slice(0, 300) : 'an error';
}

function describeEnd({status, signal, exitCode, seconds}: SandboxResult): string {
  if (status === 'timeout') return `no result within ${seconds.toFixed(0)} s`;
  if (status === 'output') return 'more output than is allowed';
  if (status === 'killed') return `killed by ${signal}: out of CPU time or memory, or crashed`;
  return `the program ended by itself (exit code ${exitCode})`;
}
