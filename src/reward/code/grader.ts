import {IlrError} from '../../errors.js';
import type {CodeTests} from '../../types.js';
import {type Check, describeCheck, holds} from './check.js';
import {judge} from './judge.js';
import {findProgram} from './program.js';
import {type Outcome, runCalls} from './run-program.js';
import type {Limits, Sandbox} from './sandbox.js';
import type {ReadTests} from './test-reader.js';
import {type PyValue, showValue} from './value.js';

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
