import {IlrError} from '../../errors.js';
import type {CodeTests} from '../../types.js';
import {type Check, describeCheck, holds} from './check.js';
import {judge} from './judge.js';
import {findProgram} from './program.js';
import {runScript} from './python.js';
import type {Limits, Sandbox, SandboxResult} from './sandbox.js';
import type {ReadTests} from './test-reader.js';
import {decodeValue, type PyValue, showValue} from './value.js';

export interface CodeGrade {
  readonly correct: boolean;
  readonly passed: number;
  readonly total: number;
  /** Why it is not correct, of the first test that failed. */
  readonly reason: string;
  /** Whether the completion holds a program. */
  readonly hasProgram: boolean;
}

export interface GradeCodeOptions {
  readonly limits?: Partial<Limits>;
  readonly isCutOff?: boolean;
  readonly signal?: AbortSignal;
}

/**
Runs the program of a completion and compares what its functions return with what the tests expect. Into the sandbox go the program, the tests' setup
and the calls; expected values stay here, and the program's word is no verdict, only a value.

A program that crashes, or uses up time, memory or output, fails the tests from there on.
@throws IlrError `ILR_INVALID_ARGUMENT` when `read` has no checks; what `Sandbox.run` throws.
*/
export async function gradeProgram(
  sandbox: Sandbox,
  tests: CodeTests,
  read: ReadTests,
  completion: string,
  {limits, isCutOff, signal}: GradeCodeOptions = {},
): Promise<CodeGrade> {
  const total = read.checks.length;
  if (total === 0)
    throw new IlrError('ILR_INVALID_ARGUMENT', `Expected tests that compare values, got none: ${whyNone(read)}.`);
  const {names, imports} = read;
  const program = findProgram(completion, {names, prefix: tests.prefix, isCutOff});
  if (program === undefined) return {correct: false, passed: 0, total, reason: 'no program found', hasProgram: false};
  const calls = read.checks.flatMap((check) => check.calls);
  const outcomes = await runCalls(
    sandbox,
    {prelude: tests.prefix ?? '', program, setup: tests.setup ?? '', imports, calls},
    limits,
    signal,
  );
  const failures = await compareAll(sandbox, tests, read.checks, outcomes, signal);
  const first = failures.findIndex((failure) => failure !== undefined);
  const passed = failures.filter((failure) => failure === undefined).length;
  const reason = first < 0 ? 'passed' : `test ${first + 1} of ${total}: ${failures[first]}`;
  return {correct: passed === total, passed, total, reason, hasProgram: true};
}

export function whyNone({unsupported}: ReadTests): string {
  return unsupported[0]?.reason ?? 'no assert calls the program';
}

/** What a call returned, or why it returned nothing. */
type Outcome = {readonly value: PyValue} | {readonly failure: string};

interface Job {
  /** Runs first, so that its imports and helpers are there; no matter whether it runs. */
  readonly prelude: string;
  readonly program: string;
  readonly setup: string;
  readonly imports: readonly string[];
  readonly calls: readonly string[];
}

/** `python/values.py` stops at 256 KB for each. */
const maxReplyBytes = 2 ** 22;

/** Of several replies for one call the first counts: a program may write here too, but can say no more than it could return. */
async function runCalls(
  sandbox: Sandbox,
  job: Job,
  limits?: Partial<Limits>,
  signal?: AbortSignal,
): Promise<readonly Outcome[]> {
  const {lines, result} = await runScript(sandbox, 'run_program.py', job, {outputBytes: maxReplyBytes, ...limits}, signal);
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

/** Of each check, undefined where it holds, else why not. */
async function compareAll(
  sandbox: Sandbox,
  tests: CodeTests,
  checks: readonly Check[],
  outcomes: readonly Outcome[],
  signal?: AbortSignal,
): Promise<readonly (string | undefined)[]> {
  const cases: {readonly check: Check; readonly values: PyValue[]; readonly failure?: string}[] = [];
  let next = 0;
  for (const check of checks) {
    const own = outcomes.slice(next, next + check.calls.length);
    next += own.length;
    const failure = own.flatMap((outcome) => ('failure' in outcome ? [outcome.failure] : []))[0];
    cases.push({check, values: own.flatMap((outcome) => ('value' in outcome ? [outcome.value] : [])), failure});
  }
  const asked = cases.filter(({check, failure}) => check.relation === 'oracle' && failure === undefined);
  const verdicts = new Map(asked.map((one, i) => [one, i]));
  const answers = asked.length > 0 ? await judge(sandbox, tests, asked, signal) : [];
  return cases.map((one) => {
    const {check, values, failure} = one;
    if (failure !== undefined) return shorten(check.calls.join(' and '), failure);
    const index = verdicts.get(one);
    const isRight = index === undefined ? holds(check, values[0] as PyValue) : answers[index] === true;
    if (isRight) return undefined;
    const got = values.map((value) => showValue(value)).join(' and ');
    return shorten(check.calls.join(' and '), `returned ${got}, expected ${describeCheck(check)}`);
  });
}

function shorten(call: string, what: string): string {
  return `${call.length > 80 ? `${call.slice(0, 79)}…` : call}: ${what}`;
}
