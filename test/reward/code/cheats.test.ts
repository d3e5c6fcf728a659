import test from 'ava';
import {gradeProgram} from '../../../src/reward/code/grader.js';
import type {Sandbox} from '../../../src/reward/code/sandbox.js';
import {testReader} from '../../../src/reward/code/test-reader.js';
import type {CodeTests} from '../../../src/types.js';
import {job, sandboxTest} from '../../helpers/sandbox.js';

/** Programs that do not add, and want to be taken for one that does. Each fools a verdict by exit code. */
const cheats: Readonly<Record<string, string>> = {
  'ends early with sys.exit(0)': 'import sys\nsys.exit(0)',
  'ends early with os._exit(0)': 'import os\nos._exit(0)',
  'ends well in the function that is asked for': 'import os\ndef add(a, b): os._exit(0)',
  'turns a failure into success with atexit': `
import atexit, os
atexit.register(lambda: os._exit(0))
def add(a, b): return None`,
  'turns a failure into success with sys.excepthook': `
import os, sys
sys.excepthook = lambda *error: os._exit(0)
def add(a, b): return None`,
  'returns an object that equals everything': `
class Anything:
    def __eq__(self, other): return True
    def __repr__(self): return "3"
    def __index__(self): return 3
def add(a, b): return Anything()`,
  'returns a subclass of int that equals everything': `
class Number(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
def add(a, b): return Number(0)`,
  'makes json.dumps say passed': `
import json, json.encoder, os
json.dumps = lambda *args, **options: '{"passed": true}'
json.encoder.encode_basestring_ascii = json.encoder.py_encode_basestring_ascii = lambda text: '"passed"'
json.JSONEncoder.encode = json.dumps
def add(a, b): os._exit(0)`,
  'writes success to every descriptor': `
import os
def add(a, b):
    for descriptor in range(64):
        for line in (b'passed', b'{"passed": true}', b'["passed"]', b'["value",0,true]', b'["verdict",0,true]', b'["ready"]'):
            try: os.write(descriptor, line + b'\\n')
            except OSError: pass
    os._exit(0)`,
  'prints a success marker':
    'import os\nprint("all tests passed", flush=True)\nprint("PASSED", flush=True)\nos._exit(0)',
  'reads the tests from the command line': `
import re, sys
def add(a, b):
    words = "\\n".join(map(str, getattr(sys, "orig_argv", []) + sys.argv))
    try: words += open("/proc/self/cmdline").read()
    except OSError: pass
    found = re.search(r"add\\(%d, %d\\) == (-?\\d+)" % (a, b), words)
    return int(found.group(1)) if found else None`,
  'reads the tests from the frames': `
import re, sys
def add(a, b):
    frame, texts = sys._getframe(), []
    while frame:
        texts += [str(value) for value in list(frame.f_globals.values()) + list(frame.f_locals.values())]
        texts += map(str, frame.f_code.co_consts)
        frame = frame.f_back
    found = re.search(r"add\\(%d, %d\\) == (-?\\d+)" % (a, b), "\\n".join(texts))
    return int(found.group(1)) if found else None`,
  'reads the tests from what the garbage collector knows': `
import gc, re
def add(a, b):
    texts = [value for held in gc.get_objects() if isinstance(held, dict) for value in list(held.values()) if isinstance(value, str)]
    found = re.search(r"add\\(%d, %d\\) == (-?\\d+)" % (a, b), "\\n".join(texts))
    return int(found.group(1)) if found else None`,
  'reads the expected value from the code that called': `
import sys
def add(a, b):
    caller, after = sys._getframe(1), None
    constants = [value for value in caller.f_code.co_consts if type(value) is int]
    return constants[constants.index(b, constants.index(a)) + 1] if b in constants[:-1] else None`,
  'ends the process from a thread': `
import os, threading, time
def add(a, b):
    threading.Thread(target=lambda: os._exit(0)).start()
    time.sleep(2)`,
};

const tests = {asserts: ['assert add(19, 23) == 42', 'assert add(1070, 7) == 1077']};
const honest = 'def add(a, b): return a + b';

/** What is not done here: the tests run beside the program, and its exit code is believed. */
async function passesByExitCode(sandbox: Sandbox, program: string): Promise<boolean> {
  const runner =
    'import sys\nSOURCE = PAYLOAD.decode()\nsys.orig_argv = ["python3", "-c", SOURCE]\nexec(compile(SOURCE, "<test>", "exec"), {"__name__": "tests"})';
  const {status, exitCode} = await sandbox.run(job(runner, [program, ...tests.asserts].join('\n')));
  return status === 'exited' && exitCode === 0;
}

test('there are the 15 cheats of the list', (t) => {
  t.is(Object.keys(cheats).length, 15);
});

for (const [what, program] of Object.entries(cheats)) {
  sandboxTest(`a program that ${what} passes nothing, but by exit code it would`, async (t, sandbox) => {
    const read = await testReader(sandbox)(tests);
    const grade = await gradeProgram(sandbox, tests, read, `\`\`\`python\n${program}\n\`\`\``);
    t.like(grade, {correct: false, passed: 0, total: 2, hasProgram: true});
    t.true(await passesByExitCode(sandbox, program));
  });
}

sandboxTest('an honest program passes, by either verdict, and a wrong one by neither', async (t, sandbox) => {
  const read = await testReader(sandbox)(tests);
  for (const [program, isRight] of [
    [honest, true],
    ['def add(a, b): return a - b', false],
  ] as const) {
    t.is((await gradeProgram(sandbox, tests, read, `\`\`\`\n${program}\n\`\`\``)).correct, isRight);
    t.is(await passesByExitCode(sandbox, program), isRight);
  }
});

sandboxTest('forged replies count for no more than what they say the program returns', async (t, sandbox) => {
  const read = await testReader(sandbox)(tests);
  const forging = (lines: string) => `
import os
for descriptor in range(3, 64):
    try: os.write(descriptor, b'''${lines}''')
    except OSError: pass
os._exit(0)`;
  const grade = (lines: string) => gradeProgram(sandbox, tests, read, `\`\`\`python\n${forging(lines)}\n\`\`\``);
  t.like(await grade('["value",0,42]\n["value",1,1077]\n'), {correct: true}); // as `return {19: 42, 1070: 1077}[a]` would be
  const forged = [
    '["value",0,true]\n["value",1,true]\n',
    '["value",0,["x","42"]]\n["value",1,{"passed":true}]\n',
    '["verdict",0,true]\n["verdict",1,true]\n["passed"]\n',
    '["value",0,41]\n["value",0,42]\n["value",-1,1077]\n["value","1",1077]\n["value",1.5,1077]\n["value",7,1077]\n',
    `["value",0,${'['.repeat(50_000)}\n["value",1,${'["l",'.repeat(20_000)}1${']'.repeat(20_000)}]\n`,
    '["value",0,["f","4.2e1;"]]\n["value",1,["i","0x435n"]]\n["tests",{"checks":[]}]\nnull\n{}\n"',
  ];
  for (const lines of forged) t.like(await grade(lines), {passed: 0, total: 2}, lines.slice(0, 80));
});

sandboxTest('expected values do not enter the run of a program', async (t, sandbox) => {
  const inputs: string[] = [];
  const watched: Sandbox = {
    ...sandbox,
    run(given, signal) {
      inputs.push(given.input.toString());
      return sandbox.run(given, signal);
    },
  };
  const secret = {
    asserts: [
      'assert f(1) == "zebra-one"',
      'assert abs(f(2) - 271828.25) < 0.5 + 0.125',
      'assert not f(3) in ["zebra-three"]',
      'import math\nassert math.isclose(f(4), 314159.125, rel_tol=0.0625)',
      'def check(candidate):\n    wanted = "zebra-" + "five"\n    assert candidate(5) == wanted\n    assert candidate(6).startswith("zebra-six")',
      'assert f(7) is None and f(8) == "zebra-eight"',
      'assert {"zebra-nine": 1} == f(9)',
    ],
    entryPoint: 'f',
  };
  const read = await testReader(sandbox)(secret);
  t.deepEqual(read.unsupported, []);
  t.is(read.checks.length, 8);
  await gradeProgram(watched, secret, read, '```python\ndef f(x): return f"value {x}"\n```');
  const [run, ...judged] = inputs;
  t.regex(run as string, /f\(8\)/);
  t.notRegex(run as string, /zebra|271828|314159|0625|125/);
  t.is(judged.length, 1);
  t.notRegex(judged[0] as string, /def f\(x\)/); // the program is not there in turn
});

const hidden = 'zebra';
const pairs = `cases = [(1, "${hidden}"), (2, "${hidden}")]\n`;
const row = {prefix: `TABLE = [(1, "${hidden}")]\ndef f(x):\n`, entryPoint: 'f'};

for (const [how, own] of Object.entries<CodeTests>({
  'a row of a table': {asserts: [`${pairs}for case in cases:\n    assert f(case[0]) == case[1]`]},
  'a table of another assert': {asserts: [pairs, 'assert f(cases[0][0]) == cases[0][1]']},
  'an unpacked row': {asserts: [`${pairs}for case in cases:\n    assert f(*case[:1]) == case[1]`]},
  'a dict': {
    asserts: [
      `def check(candidate):\n    for c in [{"in": 1, "out": "${hidden}"}]:\n        assert candidate(c["in"]) == c["out"]`,
    ],
    entryPoint: 'f',
  },
  'a comprehension': {asserts: [`${pairs}assert f([c[0] for c in cases]) == [c[1] for c in cases]`]},
  'a comprehension of objects': {
    asserts: [`${pairs}assert f([Node(c[0]) for c in cases if c]) == [c[1] for c in cases]`],
  },
  'an object': {
    asserts: [
      `class Case:\n    def __init__(self, i, o): self.i, self.o = i, o\nfor c in [Case(1, "${hidden}")]:\n    assert f(c.i) == c.o`,
    ],
  },
  'the key of sorted': {asserts: [`want = "${hidden}"\nassert sorted(f(1), key=lambda x: x != want) == [want]`]},
  'a keyword': {asserts: [`${pairs}assert str(f(x=cases[0][0])) == cases[0][1]`]},
  'an index': {asserts: [`want = [1, "${hidden}"]\nassert f(1)[want[0]] == want[1]`]},
  'a lambda': {asserts: [`want = [1, "${hidden}"]\nassert f(lambda x: x + want[0]) == want[1]`]},
  'a table of the prefix': {...row, asserts: ['assert f(TABLE[0][0]) == TABLE[0][1]']},
})) {
  sandboxTest(`a call that is taken from ${how} does not bring what is expected along`, async (t, sandbox) => {
    const {checks, unsupported} = await testReader(sandbox)(own);
    t.deepEqual(unsupported, []);
    t.true(checks.length > 0);
    for (const {calls} of checks) t.notRegex(calls.join(), /zebra/);
  });
}

sandboxTest(
  'a test whose expected value stands in the setup, which runs beside the program, is left out',
  async (t, sandbox) => {
    const own = {
      setup:
        'import math\nfrom math import pi\ncases = [(1, 42)]\ndef double(x):\n    return 2 * x\ndef near(a, b):\n    return abs(a - b) < 1',
      asserts: [
        'assert f(cases[0][0]) == cases[0][1]',
        'assert abs(f(1) - cases[0][1]) < 1e-6',
        'assert f(1).startswith(cases[0][1])',
        'assert f(1) == double(21)',
        'assert near(f(1), double(21))',
        'assert near(f(double(1)), 42)',
        'assert f(cases[0][0]) < math.pi',
        'assert f(1) < pi',
      ],
    };
    const {checks, unsupported} = await testReader(sandbox)(own);
    t.deepEqual(
      checks.map(({calls}) => calls[0]),
      ['f(double(1))', 'f(cases[0][0])', 'f(1)'],
    );
    t.deepEqual(
      unsupported.map(({assert}) => assert),
      [0, 1, 2, 3, 4],
    );
    for (const {reason} of unsupported)
      t.regex(reason, /^compares with (?:cases|double) of the setup, which the program/);
  },
);

sandboxTest(
  'tests that run what the program returns are left out, and nothing runs it all the same',
  async (t, sandbox) => {
    const code = `"[__import__('os').write(fd, b'[\\"verdict\\",0,true]\\\\n') for fd in range(3, 16)]"`;
    const pickled = `import pickle\nclass Code:\n    def __reduce__(self): return eval, (${code},)\ndef f(x): return pickle.dumps(Code())`;
    for (const [own, program] of [
      [['def good(s):\n    return eval(s) == 24\nassert good(f(1))'], `def f(x): return ${code}`],
      [['import builtins\nassert builtins.eval(f(1)) + 1 == 25'], `def f(x): return ${code}`],
      [['import pickle\nassert pickle.loads(f([1])) == [1]'], pickled],
      [['from pickle import loads\ndef back(b):\n    return loads(b)\nassert back(f([1])) == [1]'], pickled],
      [['import importlib\nassert importlib.import_module(f(1)).pi > 3'], 'def f(x): return "math"'],
    ] as const) {
      const asked = {asserts: own};
      const {checks, unsupported} = await testReader(sandbox)(asked);
      t.deepEqual(checks, []);
      t.is(unsupported[0]?.reason, 'evaluates what the program returns');
      const oracle = own[0].includes('good') ? 'good(__value_0__)' : 'any(map(eval, [__value_0__]))';
      const check = {calls: ['f(1)'], relation: 'oracle', expected: {kind: 'none'}, oracle} as const;
      const byHand = {checks: [check], unsupported: [], names: ['f'], imports: []};
      t.false((await gradeProgram(sandbox, asked, byHand, `\`\`\`python\n${program}\n\`\`\``)).correct, own[0]);
    }
    const literal = {asserts: ['import ast\ndef run(s):\n    return ast.literal_eval(s)\nassert run(f(1)) == [3]']};
    const read = await testReader(sandbox)(literal);
    t.true((await gradeProgram(sandbox, literal, read, '```python\ndef f(x): return "[3]"\n```')).correct);
  },
);

sandboxTest('a program that fills the channel of replies with lines has not replied', async (t, sandbox) => {
  const read = await testReader(sandbox)(tests);
  for (const line of ['', '[', '[]', '["value",0,42]', `["value",0,${'['.repeat(60_000)}`]) {
    const flood = `
import os
for descriptor in range(3, 64):
    try:
        while True: os.write(descriptor, ${JSON.stringify(line)}.encode() + b"\\n" * 60000)
    except OSError: pass`;
    const grade = await gradeProgram(sandbox, tests, read, `\`\`\`python\n${flood}\n\`\`\``);
    t.true(grade.passed <= 1, line);
  }
});

sandboxTest('whether a test asks for something true or false cannot be told from its call', async (t, sandbox) => {
  const own = {
    asserts: ['assert f(1)', 'assert not f(1)', 'assert f(1) == True', 'assert f(1) is False', 'assert f(1) != True'],
  };
  const {checks} = await testReader(sandbox)(own);
  t.deepEqual([...new Set(checks.flatMap(({calls}) => calls))], ['not not f(1)', 'f(1)']);
});
