import {IlrError} from '../errors.js';
import type {CodeTests, Grade, Question, RewardContext, RewardFunction, RewardInput} from '../types.js';
import {gradeProgram} from './code/grader.js';
import {openSandbox, type Sandbox, type SandboxOptions} from './code/sandbox.js';
import {type ReadTests, type ReadTestsOf, testReader} from './code/test-reader.js';

export interface CodeRewardOptions extends SandboxOptions {
  /** An open one; who opened it closes it. */
  readonly sandbox?: Sandbox;
}

/**
Grades Python by what it returns. `reward` is the share of the question's tests that pass, so the weights of right and well-formed answers do not
apply; correct: all pass; well-formed: there is a program. A program that crashes or uses up its limits is a wrong answer; a sandbox that
fails is a failure of the rollout.

`prepare` opens the sandbox (`ILR_UNSUPPORTED` where this machine has none: a program is never run without) and reads the tests; `accepts` is
false for a question without tests that compare values. Called without `prepare`, it prepares itself.
*/
export function codeReward(options: CodeRewardOptions = {}): RewardFunction {
  let opening: Promise<{readonly sandbox: Sandbox; readonly readTests: ReadTestsOf}> | undefined;
  const reading = new WeakMap<CodeTests, Promise<ReadTests>>();
  const known = new WeakMap<CodeTests, ReadTests>();

  function open() {
    opening ??= openOnce().catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  }

  async function openOnce() {
    const sandbox = options.sandbox ?? (await openSandbox(options));
    return {sandbox, readTests: testReader(sandbox)};
  }

  async function read(tests: CodeTests): Promise<ReadTests> {
    const {readTests} = await open();
    let found = reading.get(tests);
    if (found === undefined) {
      found = readTests(tests);
      reading.set(tests, found);
      found.then(
        (result) => known.set(tests, result),
        () => reading.delete(tests),
      );
    }
    return found;
  }

  async function grade({question, text, completion}: RewardInput, context?: RewardContext): Promise<Grade | null> {
    if (question.tests === undefined) return null;
    const tests = await read(question.tests);
    if (tests.checks.length === 0) return null;
    const {sandbox} = await open();
    const isCutOff = completion.finishReason !== 'stop';
    const result = await gradeProgram(sandbox, question.tests, tests, text, {isCutOff, signal: context?.signal});
    return {
      isCorrect: result.correct,
      isWellFormed: result.hasProgram,
      ...(result.hasProgram && {reward: result.passed / result.total}),
    };
  }

  return Object.assign(grade, {
    /** The sandbox bounds each program; how long one waits for its turn depends on the others. */
    keepsTime: true as const,
    async prepare(questions: readonly Question[]) {
      if (questions.length > 0 && !questions.some(({tests}) => tests)) {
        throw new IlrError(
          'ILR_INVALID_DATA',
          'Expected questions with tests for the reward function code, got none. A preset (mbpp, humaneval) brings them; data.fields names theirs.',
        );
      }
      await open();
      await Promise.all(questions.flatMap(({tests}) => (tests ? [read(tests)] : [])));
    },
    accepts({tests}: Question) {
      return tests !== undefined && (known.get(tests)?.checks.length ?? 0) > 0;
    },
    async close() {
      if (options.sandbox || opening === undefined) return;
      const {sandbox} = await opening;
      opening = undefined;
      await sandbox.close();
    },
  });
}
