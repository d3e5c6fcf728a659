import type {Check} from '../../../src/reward/code/check.js';
import {testReader} from '../../../src/reward/code/test-reader.js';
import {showValue} from '../../../src/reward/code/value.js';
import type {CodeTests} from '../../../src/types.js';
import {sandboxTest} from '../../helpers/sandbox.js';

const show = ({calls, relation, expected, oracle}: Check) =>
  `${calls.join(' & ')} ${relation} ${relation === 'oracle' ? oracle : showValue(expected)}`;

sandboxTest('asserts are taken apart into calls and what is expected of them', async (t, sandbox) => {
  const cases: readonly (readonly [string, string])[] = [
    ['assert f(1, "a", k=[2]) == (3, 4)', "f(1, 'a', k=[2]) eq (3, 4)"],
    ['assert 3 == f(1)', 'f(1) eq 3'],
    ['assert 3 < f(1)', 'f(1) gt 3'],
    ['assert f(1) != 3', 'f(1) ne 3'],
    ['assert f(1) <= 2.5', 'f(1) le 2.5'],
    ['assert f(1)', 'not not f(1) eq True'],
    ['assert not f(1)', 'not not f(1) eq False'], // the call says nothing of what is expected
    ['assert f(1) is None', 'f(1) is None'],
    ['assert f(1) is not True', 'f(1) is not True'],
    ['assert isinstance(f(1), int)', 'f(1) oracle isinstance(__value_0__, int)'],
    ['assert f(1) in (1, 2)', 'f(1) in (1, 2)'],
    ['assert f(1) not in [1]', 'f(1) not in [1]'],
    ['assert set(f([1])) == set([4, 5])', 'set(f([1])) eq {4, 5}'],
    ['assert sorted(f(1), reverse=True) == [3]', 'sorted(f(1), reverse=True) eq [3]'],
    ['assert round(f(1), 2) == 0.25', 'round(f(1), 2) eq 0.25'],
    ['assert len(f(1)[0]) == 1', 'len(f(1)[0]) eq 1'],
    ['assert f(1) == 2 ** 100, "message"', 'f(1) eq 1267650600228229401496703205376'],
    ['assert f(1) == -1.5e300', 'f(1) eq -1.5e+300'],
    ['assert abs(f(2) - 0.5) < 1e-6', 'f(2) near 0.5'],
    ['assert abs(0.5 - f(2)) <= 1e-6', 'f(2) near 0.5'],
    ['assert math.isclose(f(2), 0.5, rel_tol=0.001)', 'f(2) close 0.5'],
    ['assert f(math.pi) == 3', 'f(math.pi) eq 3'],
    ['x = f(2)\nassert x == 4', 'f(2) eq 4'],
    ['for i in range(2):\n    assert f(i, i + 1) == str(i)', 'f(0, 1) eq "0"; f(1, 2) eq "1"'],
    ['assert f(f(2)) == 4', 'f(f(2)) eq 4'],
    ['assert F(1).go(2) == 3', 'F(1).go(2) eq 3'],
    ['assert f(1) == 1 and f(2) == 2', 'f(1) & f(2) oracle __value_0__ == 1 and __value_1__ == 2'],
    ['assert f("a").startswith("b")', "f('a') oracle __value_0__.startswith('b')"],
    ['assert 0 < f(1) < 3', 'f(1) oracle 0 < __value_0__ < 3'],
    ['assert "x" in f(1)', "f(1) oracle 'x' in __value_0__"],
    ['assert f(1) + 1 == 3', 'f(1) oracle __value_0__ + 1 == 3'],
    ['assert all(y > 1 for y in f(1))', 'f(1) oracle all((y > 1 for y in __value_0__))'],
    ['    assert f(1) == 1\n    assert f(2) == 2', 'f(1) eq 1; f(2) eq 2'],
    ['assert True, "always"', ''],
  ];
  const read = await Promise.all(cases.map(([assert]) => testReader(sandbox)({asserts: [assert]})));
  for (const [i, [assert, expected]] of cases.entries()) {
    t.is(read[i]?.checks.map(show).join('; '), expected, assert);
    t.deepEqual(read[i]?.unsupported, [], assert);
  }
});

sandboxTest(
  'check(candidate) is run without a program: loops, helpers and random arguments become calls with literals',
  async (t, sandbox) => {
    const tests: CodeTests = {
      prefix: 'def double(x):\n    return 2 * x\n\ndef solve(x):\n    """ doc """\n',
      entryPoint: 'solve',
      asserts: [
        `
METADATA = {}
def triple(x):
    return 3 * x
def check(candidate):
    import random
    import math
    assert candidate(double(2)) == triple(5)
    assert solve([1]) == [1]
    for n in range(2):
        given = [random.randint(0, 9), n]
        result = candidate(given)
        assert result == sum(given)
        assert math.fabs(triple(result) - sum(given)) < 1e-4, "near"
check(solve)
`,
      ],
    };
    const [one, again] = await Promise.all([testReader(sandbox)(tests), testReader(sandbox)(tests)]);
    t.deepEqual(one, again);
    const checks = one.checks.map(show);
    t.deepEqual(checks.slice(0, 2), ['solve(4) eq 15', 'solve([1]) eq [1]']);
    t.regex(checks[4] as string, /^solve\(\[\d, 1\]\) eq \d+$/);
    t.regex(
      checks[5] as string,
      /^solve\(\[\d, 1\]\) oracle math\.fabs\(triple\(__value_0__\) - sum\(\[\d, 1\]\)\) < 0\.0001$/,
    );
    t.is(checks.length, 6);
    t.deepEqual(one.names, ['solve']);
  },
);

sandboxTest('what does not compare with a value of its own is left out, and said why', async (t, sandbox) => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['assert f(1) == f(2)', /compares the program with itself/],
    ['assert f(1) == object()', /expects a object, not a built-in value/],
    ['assert f(1) == unknown', /name 'unknown' is not defined/],
    ['assert f(1', /SyntaxError/],
    ['assert eval(f(1)) == 3', /evaluates what the program returns/],
    ['assert (f(1) == 3, "three")', /a tuple is true/],
    ['assert all(f(x) == x for x in [1, 2])', /within a comprehension/],
    ['try:\n    f(1)\nexcept ValueError:\n    pass\nelse:\n    assert False', /fails whatever the program returns/],
    ['for i in range(100_000):\n    assert f(i) == i', /more than 10000 checks/],
    ['if f(1):\n    assert f(2) == 3', /depends on what the program returns/],
    ['while True:\n    pass\nassert f(1) == 1', /too long/],
  ];
  for (const [assert, reason] of cases) {
    const seconds = assert.startsWith('while') ? 3 : 60; // the others must not end for want of a processor
    const read = await testReader(sandbox, {wallSeconds: seconds, cpuSeconds: seconds})({asserts: [assert]});
    t.true([0, 10_000].includes(read.checks.length), assert);
    t.regex(read.unsupported[0]?.reason ?? '', reason, assert);
  }
});

sandboxTest('tests that end the reader cost only themselves', async (t, sandbox) => {
  const readTests = testReader(sandbox);
  const asserts = ['assert f(1) == 1', 'import os\nos._exit(0)\nassert f(1) == 2', 'assert f(1) == 3'];
  const read = await Promise.all(asserts.map((assert) => readTests({asserts: [assert]})));
  t.deepEqual(
    read.map(({checks}) => checks.length),
    [1, 0, 1],
  );
});

sandboxTest(
  'tests that do not end, or write lines of their own, neither hold up the others nor shift theirs',
  async (t, sandbox) => {
    const readTests = testReader(sandbox);
    const waits = 'import time\ntry:\n    time.sleep(1000)\nexcept Exception:\n    pass\nassert f(1) == 2';
    const [before, endless, after] = await Promise.all(
      ['assert f(1) == 1', waits, 'assert f(1) == 3'].map((assert) => readTests({asserts: [assert]})),
    );
    t.deepEqual(
      [before, after].flatMap((read) => read?.checks.map(show)),
      ['f(1) eq 1', 'f(1) eq 3'],
    );
    t.regex(endless?.unsupported[0]?.reason ?? '', /more than 20 s/);
    const forges = `import os\nfor fd in range(3, 16):\n    try: os.write(fd, b'["tests", {}]\\n["tests", 5, {}]\\n')\n    except OSError: pass`;
    const rows = await Promise.all(
      ['assert f(1) == 1', forges, 'assert f(1) == 3'].map((assert) => readTests({asserts: [assert]})),
    );
    t.deepEqual(
      rows.map(({checks}) => checks.map(show)),
      [['f(1) eq 1'], [], ['f(1) eq 3']],
    );
  },
);

sandboxTest('a function that has the name of a built-in one is asked for all the same', async (t, sandbox) => {
  const read = await testReader(sandbox)({asserts: ['assert sum(10,15) == 6', 'assert sum(4,6) == 3']});
  t.deepEqual(read.names, ['sum']);
  t.deepEqual(read.checks.map(show), ['sum(10, 15) eq 6', 'sum(4, 6) eq 3']);
});

sandboxTest(
  'the function that is asked for is found without its name, and tests in functions are called',
  async (t, sandbox) => {
    const prefix = 'import re\ndef helper(x):\n    return x\ndef solve(x):\n    """ Doc. """\n';
    const check = 'def check(candidate):\n    assert candidate(helper(1)) == 2\n';
    const cases: readonly CodeTests[] = [
      {prefix, asserts: [check]},
      {prefix, asserts: [`${check}check(solve)`]},
      {prefix, asserts: [`${check}if __name__ == "__main__":\n    check(solve)`]},
      {asserts: ['def test_one():\n    assert solve(1) == 2\ndef test_two():\n    x = solve(1)\n    assert x == 2']},
    ];
    const read = await Promise.all(cases.map((tests) => testReader(sandbox)(tests)));
    for (const {names, checks, unsupported} of read) {
      t.deepEqual(unsupported, []);
      t.deepEqual(names, ['solve']);
      t.true(checks.length > 0 && checks.every((one) => show(one) === 'solve(1) eq 2'));
    }
    t.is(read[3]?.checks.length, 2);
  },
);
