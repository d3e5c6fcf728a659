import {readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {IlrError} from '../../errors.js';
import type {Limits, Sandbox, SandboxResult} from './sandbox.js';

/** The Python that runs inside, in `python/`. */
export type Script = 'read_tests.py' | 'run_program.py' | 'judge_values.py';

/** From dist/src/reward/code. */
const folder = new URL('../../../../python/', import.meta.url);
const runners = new Map<Script, string>();

const before: Readonly<Record<Script, readonly string[]>> = {
  'read_tests.py': ['values.py', 'placeholders.py', 'read_assert.py'],
  'run_program.py': ['values.py'],
  'judge_values.py': ['values.py'],
};

function runnerOf(script: Script): string {
  let runner = runners.get(script);
  if (runner === undefined) {
    const sources = [...before[script], script].map((name) =>
      readFileSync(fileURLToPath(new URL(name, folder)), 'utf8'),
    );
    runner = JSON.stringify({runner: sources.join('\n')});
    runners.set(script, runner);
  }
  return runner;
}

/** What the script writes when nobody else does; of more, no more is read: a program can write here too, millions of empty lines for one. */
export interface Extent {
  readonly lines: number;
  /** Longer lines are left out. */
  readonly lineBytes?: number;
}

export interface Replies {
  /** Each a JSON array whose first entry names it. Lines that are none are left out. */
  readonly lines: readonly (readonly unknown[])[];
  readonly result: SandboxResult;
}

/**
Runs one of our scripts with a payload of JSON.

@throws IlrError `ILR_UNSUPPORTED` when the script did not begin: then it is the sandbox that failed, not what was to run in it.
*/
export async function runScript(
  sandbox: Sandbox,
  script: Script,
  payload: unknown,
  {lines: most, lineBytes = Number.POSITIVE_INFINITY}: Extent,
  limits?: Partial<Limits>,
  signal?: AbortSignal,
): Promise<Replies> {
  const input = Buffer.from(`${runnerOf(script)}\n${JSON.stringify(payload)}`, 'utf8');
  const result = await sandbox.run({input, ...(limits && {limits})}, signal);
  const written = result.stdout.toString('latin1').split('\n', most + 1);
  const lines = written
    .filter((line) => line.length <= lineBytes)
    .map(parse)
    .filter(Array.isArray);
  if (lines[0]?.[0] === 'ready') return {lines: lines.slice(1), result};
  const {status, exitCode, stderr} = result;
  throw new IlrError(
    'ILR_UNSUPPORTED',
    `Expected the sandbox to start ${script}, but it ended before (${status}, exit code ${exitCode}): ${stderr.trim().slice(-300) || 'no word'}. ` +
      '`ilr-native doctor` looks at it.',
  );
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
