import test from 'ava';
import type {IlrError} from '../../../src/errors.js';
import {gradeProgram} from '../../../src/reward/code/grader.js';
import type {Sandbox, SandboxResult} from '../../../src/reward/code/sandbox.js';
import {type ReadTests, testReader} from '../../../src/reward/code/test-reader.js';
import type {CodeTests} from '../../../src/types.js';
import {sandboxTest} from '../../helpers/sandbox.js';

const tests: CodeTests = {asserts: ['assert f(1) == 1', 'assert f(2) == 4', 'assert f(3) == 9']};
const fenced = (program: string) => `Here it is:\n\`\`\`python\n${program}\n\`\`\``;

async function grade(sandbox: Sandbox, program: string, own = tests, limits = {}) {
  const read = await testReader(sandbox)(own);
  return gradeProgram(sandbox, own, read, fenced(program), {limits});
}

sandboxTest('a test that fails, raises or gives up does not end the others', async (t, sandbox) => {
  t.deepEqual(await grade(sandbox, 'def f(x): return x * x'), {
    correct: true,
    passed: 3,
    total: 3,
    reason: 'passed',
    hasProgram: true,
  });
  const oneRaises = 'def f(x):\n    if x == 2: raise ValueError("two")\n    return x * x';
  t.like(await grade(sandbox, oneRaises), {passed: 2, reason: 'test 2 of 3: f(2): ValueError: two'});
  const oneExits = 'import sys\ndef f(x):\n    if x == 1: sys.exit("bye")\n    return x * x';
  t.like(await grade(sandbox, oneExits), {passed: 2, reason: 'test 1 of 3: f(1): SystemExit: bye'});
  const rude = `
class Rude(Exception):
    args = property(lambda self: exit())
    __str__ = __repr__ = lambda self: exit()
def f(x):
    if x == 2: raise Rude("no")
    return x * x`;
  t.like(await grade(sandbox, rude), {passed: 2, reason: 'test 2 of 3: f(2): Rude: no'});
  const deep = 'def f(x): return f(x) if x == 3 else x * x';
  t.like(await grade(sandbox, deep), {
    passed: 2,
    reason: 'test 3 of 3: f(3): RecursionError: maximum recursion depth exceeded',
  });
  t.like(await grade(sandbox, 'def f(x): return x + 1'), {
    passed: 0,
    reason: 'test 1 of 3: f(1): returned 2, expected 1',
  });
});

sandboxTest('what a program prints is no part of its answer', async (t, sandbox) => {
  const chatty = `
import os, sys
def f(x):
    print('["value",0,5]' * 1000)
    print("x", file=sys.stderr)
    sys.__stdout__.write("y")
    os.write(1, b'["value",2,5]\\n' * 100_000)
    os.write(2, b"z" * 1_000_000)
    return x * x`;
  t.like(await grade(sandbox, chatty), {correct: true});
  t.like(await grade(sandbox, 'input()\ndef f(x): return x * x'), {
    passed: 0,
    reason: 'test 1 of 3: f(1): the program does not load: EOFError: EOF when reading a line',
  });
});

sandboxTest(
  'time, memory, crashes and a program that does not load are wrong answers with a reason',
  async (t, sandbox) => {
    const limits = {wallSeconds: 2, cpuSeconds: 1, memoryBytes: 2 ** 28};
    const cases: readonly (readonly [string, number, RegExp])[] = [
      ['def f(x):\n    while x == 3: pass\n    return x * x', 2, /killed by SIG|no result within 2 s/],
      ['import time\ndef f(x):\n    if x == 2: time.sleep(60)\n    return x * x', 1, /no result within 2 s/],
      ['def f(x): return [0] * 10 ** 9 if x == 1 else x * x', 2, /MemoryError/],
      ['import ctypes\ndef f(x): return ctypes.string_at(0) if x == 2 else x * x', 1, /killed by SIGSEGV/],
      [
        'import os\ndef f(x):\n    if x == 2: os._exit(0)\n    return x * x',
        1,
        /f\(2\): the program ended by itself \(exit code 0\)/,
      ],
      ['def f(x) return x', 0, /does not load: SyntaxError/],
      ['def f(x): return x * x\nassert False', 0, /does not load: AssertionError/],
      ['def g(x): return x * x', 0, /f\(1\): NameError: name 'f' is not defined/],
      ['def f(x): return "a" * 10 ** 7 if x == 1 else x * x', 2, /returned something too large/],
      ['def f(x):\n    a = []\n    a.append(a)\n    return a', 0, /returned something too large: more than 64 levels/],
      ['def f(x):\n    a = []\n    for _ in range(99): a = [a, a]\n    return a', 0, /returned something too large/],
      ['def f(x): return 9 ** 9 ** 6 if x == 1 else x * x', 2, /returned something too large/],
    ];
    for (const [program, passed, reason] of cases) {
      const result = await grade(sandbox, program, tests, limits);
      t.is(result.passed, passed, program);
      t.regex(result.reason, reason, program);
    }
  },
);

sandboxTest('setup runs after the program, and modules that the calls name are there', async (t, sandbox) => {
  const trees = {
    setup: 'root = Node(1)\nroot.left = Node(2)',
    asserts: ['assert size(root) == 2', 'assert size(Node(3)) == 1', 'assert year(datetime.date(2020, 2, 29)) == 2020'],
  };
  const program = `
class Node:
    left = None
    def __init__(self, value): self.value = value
def size(node): return 1 + (size(node.left) if node.left else 0)
def year(date): return date.year`;
  t.like(await grade(sandbox, program, trees), {correct: true, total: 3});
  t.like(await grade(sandbox, 'def size(node): return 2', trees), {
    passed: 0,
    reason: "test 1 of 3: size(root): the program does not load: NameError: name 'Node' is not defined",
  });
});

sandboxTest('imports and helpers of a prefix are there for a program that stands alone', async (t, sandbox) => {
  const prefix =
    'from typing import List\ndef double(x):\n    return 2 * x\ndef f(x: List[int]) -> int:\n    """ Sums. """\n';
  const own = {asserts: ['assert f([1, 2]) == 6'], entryPoint: 'f', prefix};
  const program =
    'from __future__ import annotations\ndef f(x: List[int]) -> int:\n    y: List = x\n    return double(sum(y))';
  t.like(await grade(sandbox, program, own), {correct: true});
  t.like(await grade(sandbox, program, {...own, prefix: 'def f(x):\n'}), {correct: false}); // no body: it does not run, and nothing is said of it
});

sandboxTest('the same program gets the same grade each time, random or not', async (t, sandbox) => {
  const lottery = {asserts: Array.from({length: 20}, (_, i) => `assert f(${i}) == True`)};
  const program = 'import random\ndef f(x): return random.random() < 0.5 or str(set("abc"))[2] == "q"';
  const grades = await Promise.all([1, 2, 3].map(() => grade(sandbox, program, lottery)));
  t.deepEqual(grades[1], grades[0]);
  t.deepEqual(grades[2], grades[0]);
});

sandboxTest('an aborted grade rejects, and its program is gone', async (t, sandbox) => {
  const read = await testReader(sandbox)(tests);
  const controller = new AbortController();
  const {signal} = controller;
  const run = gradeProgram(sandbox, tests, read, fenced('import time\ntime.sleep(60)'), {signal});
  setTimeout(() => controller.abort(), 100);
  t.is((await t.throwsAsync<IlrError>(run)).code, 'ILR_ABORTED');
});

const read: ReadTests = {
  checks: [{calls: ['f(1)'], relation: 'eq', expected: {kind: 'int', value: 1n}}],
  unsupported: [],
  names: ['f'],
  imports: [],
};

function answering(result: Partial<SandboxResult>): Sandbox {
  const nothing = {
    status: 'exited',
    exitCode: 0,
    signal: null,
    stdout: Buffer.alloc(0),
    stderr: '',
    seconds: 0,
  } as const;
  return {kind: 'scripted', description: '', run: async () => ({...nothing, ...result}), close: async () => {}};
}

test('a sandbox that does not start the runner is a failure, no wrong answer', async (t) => {
  const broken = answering({exitCode: 1, stderr: 'bwrap: No permissions to create new namespace'});
  const error = await t.throwsAsync<IlrError>(gradeProgram(broken, tests, read, fenced('def f(x): return 1')));
  t.is(error.code, 'ILR_UNSUPPORTED');
  t.regex(error.message, /No permissions to create new namespace/);
});

test('a program that is killed before its first reply is a wrong answer', async (t) => {
  const killed = answering({status: 'killed', signal: 'SIGKILL', exitCode: null, stdout: Buffer.from('["ready"]\n')});
  const result = await gradeProgram(killed, tests, read, fenced('def f(x): return 1'));
  t.like(result, {correct: false, passed: 0});
  t.regex(result.reason, /killed by SIGKILL/);
});

test('without a program nothing is run, and without checks nothing is graded', async (t) => {
  const never: Sandbox = {...answering({}), run: () => Promise.reject(new Error('run'))};
  t.like(await gradeProgram(never, tests, read, 'I do not know.'), {correct: false, hasProgram: false});
  const none = {...read, checks: []};
  t.is(
    (await t.throwsAsync<IlrError>(gradeProgram(never, tests, none, fenced('def f(x): 1')))).code,
    'ILR_INVALID_ARGUMENT',
  );
});
