import type {CodeTests} from '../../types.js';
import {type Check, decodeCheck} from './check.js';
import {runScript} from './python.js';
import type {Limits, Sandbox} from './sandbox.js';

/** What the tests of one question ask for. */
export interface ReadTests {
  /** One for each assert that compares what the program returns with a value of the tests' own. */
  readonly checks: readonly Check[];
  /** The asserts that are left out, by their place in `CodeTests.asserts`, and why. */
  readonly unsupported: readonly {readonly assert: number; readonly reason: string}[];
  /** Functions and classes that a program is asked for. */
  readonly names: readonly string[];
  /** Modules that the calls need. */
  readonly imports: readonly string[];
}

/** Reading runs the tests' own code, random and all, but never a program. */
const readingLimits: Partial<Limits> = {wallSeconds: 60, cpuSeconds: 60, outputBytes: 2 ** 26};
const maxBatch = 256;

interface Waiting {
  readonly tests: CodeTests;
  resolve(read: ReadTests): void;
  reject(error: unknown): void;
}

export type ReadTestsOf = (tests: CodeTests) => Promise<ReadTests>;

/**
Reads tests in the sandbox (`python/read_tests.py`). All that are asked for while a run is under way are read in the next one. Tests that take too long
or too much have no checks; a sandbox that fails rejects.
*/
export function testReader(sandbox: Sandbox, limits = readingLimits): ReadTestsOf {
  const waiting: Waiting[] = [];
  let isRunning = false;

  async function readAll(): Promise<void> {
    if (isRunning) return;
    isRunning = true;
    await Promise.resolve(); // those of the same turn come along
    while (waiting.length > 0) await readBatch((batch) => read(sandbox, batch, limits), waiting.splice(0, maxBatch));
    isRunning = false;
  }

  return (tests) =>
    new Promise((resolve, reject) => {
      waiting.push({tests, resolve, reject});
      void readAll();
    });
}

async function readBatch(
  readSome: (batch: readonly Waiting[]) => Promise<readonly ReadTests[]>,
  batch: readonly Waiting[],
): Promise<void> {
  for (let done = 0; done < batch.length; ) {
    const rest = batch.slice(done);
    try {
      const answers = await readSome(rest);
      for (const [i, answer] of answers.entries()) rest[i]?.resolve(answer);
      done += answers.length;
      if (answers.length === rest.length) return;
      // the first that got no answer is what ended the run, unless the others had used up the time: it gets a run of its own
      const culprit = rest[answers.length] as Waiting;
      const [alone] = rest.length > 1 ? await readSome([culprit]) : [];
      culprit.resolve(alone ?? unreadable('reading them takes too long or too much memory'));
      done++;
    } catch (error) {
      for (const {reject} of batch.slice(done)) reject(error);
      return;
    }
  }
}

/** In order, up to the first that ends the run. */
async function read(
  sandbox: Sandbox,
  batch: readonly Waiting[],
  limits: Partial<Limits>,
): Promise<readonly ReadTests[]> {
  const payload = batch.map(({tests}) => tests);
  const {lines} = await runScript(sandbox, 'read_tests.py', payload, {lines: batch.length}, limits);
  const end = lines.findIndex(([kind, place], i) => kind !== 'tests' || place !== i); // tests that write lines of their own shift nobody else's
  return (end < 0 ? lines : lines.slice(0, end)).map(([, , row]) => decode(row));
}

function decode(row: unknown): ReadTests {
  try {
    const {checks, unsupported, names, imports} = row as {[K in keyof ReadTests]: unknown[]};
    return {
      checks: checks.map((check) => decodeCheck(check as Readonly<Record<string, unknown>>)),
      unsupported: unsupported.map((entry) => {
        const [assert, reason] = entry as [number, string];
        return {assert, reason};
      }),
      names: names.map(String),
      imports: imports.map(String),
    };
  } catch (error) {
    return unreadable((error as Error).message);
  }
}

function unreadable(reason: string): ReadTests {
  return {checks: [], unsupported: [{assert: 0, reason}], names: [], imports: []};
}
