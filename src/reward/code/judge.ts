import type {CodeTests} from '../../types.js';
import type {Check} from './check.js';
import {runScript} from './python.js';
import type {Sandbox} from './sandbox.js';
import {encodeValue, type PyValue} from './value.js';

/**
Evaluates checks that are no plain comparison (`math.fabs(poly(coefficients, value)) < 1e-4`), in a run of their own: the tests' helpers and the values are
there, the program is not.

@returns for each case whether it holds; a value that makes the expression fail, or the run end, does not hold.
*/
export async function judge(
  sandbox: Sandbox,
  {prefix, setup, asserts}: CodeTests,
  cases: readonly {readonly check: Check; readonly values: readonly PyValue[]}[],
  signal?: AbortSignal,
): Promise<readonly boolean[]> {
  const questions = cases.map(({check, values}) => ({
    oracle: check.oracle,
    modules: check.modules ?? {},
    values: values.map(encodeValue),
  }));
  const payload = {prefix, setup, asserts, questions};
  const {lines} = await runScript(sandbox, 'judge_values.py', payload, {lines: cases.length}, undefined, signal);
  return cases.map((_, i) =>
    lines.some(([kind, index, verdict]) => kind === 'verdict' && index === i && verdict === true),
  );
}
