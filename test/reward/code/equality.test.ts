import test from 'ava';
import {type Check, holds} from '../../../src/reward/code/check.js';
import {areEqual} from '../../../src/reward/code/equality.js';
import {runScript} from '../../../src/reward/code/python.js';
import type {Sandbox} from '../../../src/reward/code/sandbox.js';
import {decodeValue, encodeValue, type PyValue, showValue} from '../../../src/reward/code/value.js';
import {sandboxTest} from '../../helpers/sandbox.js';

const expressions = [
  ...[
    'None',
    'True',
    'False',
    '0',
    '1',
    '-1',
    '2',
    '1.0',
    '-0.0',
    '0.1',
    '0.1 + 0.2',
    '0.3',
    '1e16',
    '10 ** 16',
    '1e-320',
  ],
  ...[
    '2 ** 53',
    '2.0 ** 53',
    '2 ** 53 + 1',
    '10 ** 30',
    '1e30',
    '-(10 ** 400)',
    '1e308 * 10',
    '-1e308 * 10',
    'float("nan")',
    '1j',
    '1 + 0j',
    '2 + 1j',
  ],
  ...[
    '""',
    '"a"',
    '"A"',
    '"None"',
    '"é\\u2028😀"',
    '"e\\u0301"',
    '"\\ud83d"',
    '"\\ud83d\\ude00"',
    '"\\x00"',
    'b""',
    'b"a"',
    'bytearray(b"a")',
  ],
  ...[
    '[]',
    '[1]',
    '[True]',
    '[1.0, 2]',
    '(1,)',
    '()',
    '(1, 2)',
    '[[1], (2,)]',
    '[(1,), [2]]',
    '[None]',
    '[float("nan")]',
    '["a", ["b", ("c",)]]',
  ],
  ...[
    'set()',
    '{1, 2}',
    '{2.0, True}',
    'frozenset({1, 2})',
    '{(1, "a")}',
    '{frozenset({1})}',
    '{1, "1"}',
    '{None}',
    '{0.5, 1j}',
  ],
  ...[
    '{}',
    '{1: 2}',
    '{True: 2.0}',
    '{"a": [1], "b": {2}}',
    '{"b": {2}, "a": [1]}',
    '{"a": [1]}',
    '{(1, 2): {"x": None}}',
    '{1.5: 1}',
  ],
  ...[
    'range(0)',
    'range(5, 5, 2)',
    'range(3)',
    'range(0, 3, 1)',
    'range(0, 4, 3)',
    'range(0, 6, 3)',
    'range(1)',
    'range(0, 2, 2)',
    '[0, 1, 2]',
  ],
  ...[
    'collections.OrderedDict(a=1, b=2)',
    'collections.OrderedDict(b=2, a=1)',
    'dict(a=1, b=2)',
    'collections.Counter("abb")',
    '{"b": 2, "a": 1}',
  ],
  ...['collections.defaultdict(int, {1: 2})', 'collections.deque([1])', 'collections.deque([1], 5)'],
];

async function evaluate(
  sandbox: Sandbox,
  calls: readonly string[],
  program = 'import collections',
): Promise<readonly PyValue[]> {
  const job = {prelude: '', program, setup: '', imports: [], calls};
  const {lines} = await runScript(sandbox, 'run_program.py', job, {lines: calls.length + 1});
  return calls.map((call, i) => {
    const reply = lines.find(([kind, index]) => kind === 'value' && index === i);
    if (!reply) throw new Error(`no value of ${call}: ${JSON.stringify(lines.slice(0, 3))}`);
    return decodeValue(reply[2]);
  });
}

sandboxTest('values compare as they do in Python', async (t, sandbox) => {
  const values = await evaluate(sandbox, expressions);
  const program = `import collections\nVALUES = [${expressions.join(', ')}]\nOTHERS = [${expressions.join(', ')}]`;
  const [table] = await evaluate(sandbox, ['["".join("01"[a == b] for b in OTHERS) for a in VALUES]'], program);
  const rows = table as {readonly items: readonly {readonly value: string}[]};
  let equalPairs = 0;
  for (const [i, a] of values.entries()) {
    const row = rows.items[i]?.value ?? '';
    for (const [j, b] of values.entries()) {
      const isEqual = row[j] === '1';
      if (isEqual) equalPairs++;
      t.is(
        areEqual(a, b, () => false),
        isEqual,
        `${expressions[i]} == ${expressions[j]}`,
      );
    }
  }
  t.true(equalPairs > expressions.length); // not only each with itself
});

sandboxTest('values survive both ways', async (t, sandbox) => {
  const values = await evaluate(sandbox, expressions);
  for (const value of values) t.deepEqual(decodeValue(JSON.parse(JSON.stringify(encodeValue(value)))), value);
});

sandboxTest('nothing but built-in types comes out, and no method of theirs is called', async (t, sandbox) => {
  const program = `
import enum, collections, fractions
class Liar(int):
    def __eq__(self, other): return True
    def __repr__(self): raise SystemExit
    __str__ = __hash__ = __index__ = __iter__ = __repr__
class Meta(type):
    def __getattribute__(self, name): raise SystemExit
class Odd(metaclass=Meta): pass
class Words(str): pass
class Items(dict):
    def items(self): return [("a", 1)]
Point = collections.namedtuple("Point", "x y")
class Colour(enum.IntEnum): RED = 3`;
  const calls = [
    'Liar(3)',
    '[Liar(3)]',
    'Odd()',
    'Words("a")',
    'Items()',
    'Point(1, 2)',
    'Colour.RED',
    'fractions.Fraction(3)',
    'Liar',
    '(x for x in [1])',
    '{1: 2}.keys()',
  ];
  const shown = (await evaluate(sandbox, calls, program)).map((value) => showValue(value));
  t.deepEqual(shown, [
    'a Liar',
    '[a Liar]',
    'a Odd',
    'a Words',
    'a Items',
    'a Point',
    'a Colour',
    'a Fraction',
    'a type',
    'a generator',
    'a dict_keys',
  ]);
});

test('replies that are no values are refused, however deep', (t) => {
  const bad = [
    {},
    [],
    ['y'],
    ['i', '12'],
    ['i', '0xg'],
    ['i', 5],
    ['f', '1e5x'],
    ['f', ''],
    ['f', '0x10'],
    ['b', 1],
    ['d', 1],
    1.5,
    2 ** 60,
    undefined,
  ];
  for (const data of bad) t.throws(() => decodeValue(data), {instanceOf: SyntaxError}, JSON.stringify(data));
  const deep = JSON.parse(`${'["l",'.repeat(5000)}1${']'.repeat(5000)}`);
  t.throws(() => decodeValue(deep), {instanceOf: SyntaxError});
});

const float = (value: number): PyValue => ({kind: 'float', value});
const int = (value: number | bigint): PyValue => ({kind: 'int', value: BigInt(value)});
const eq = (expected: PyValue, got: PyValue) => holds({calls: [], relation: 'eq', expected}, got);

test('an expected float allows for rounding: neither more than a millionth of it nor more than 1e-6', (t) => {
  t.true(eq(float(0.3), float(0.1 + 0.2)));
  t.true(eq(float(1 / 3), float(0.3333333)));
  t.false(eq(float(1 / 3), float(0.33333)));
  t.true(eq(float(0), float(1e-13)));
  t.false(eq(float(0), float(1e-9)));
  t.false(eq(float(6.6e-34), float(0)));
  t.false(eq(float(1e-9), float(0))); // six absolute places would take it
  t.false(eq(float(1e9), float(1e9 + 1))); // six digits would take it
  t.true(eq(float(1e9), int(1e9)));
  t.false(eq(int(3), float(3.0000000001))); // a whole number is exact, as in Python
  t.true(eq({kind: 'list', items: [float(0.3)]}, {kind: 'list', items: [float(0.1 + 0.2)]}));
  t.false(eq(float(Number.NaN), float(Number.NaN)));
  t.true(eq(float(Number.POSITIVE_INFINITY), float(Number.POSITIVE_INFINITY)));
  t.false(eq(float(1e308), float(Number.POSITIVE_INFINITY)));
});

test('other relations are Python’s, without allowance', (t) => {
  const relate = (relation: Check['relation'], got: PyValue, expected: PyValue, options: Partial<Check> = {}) =>
    holds({calls: [], relation, expected, ...options}, got);
  const list: PyValue = {kind: 'list', items: [int(1), float(0.3)]};
  t.true(relate('ne', float(0.1 + 0.2), float(0.3)));
  t.false(relate('ne', float(1), int(1)));
  t.true(relate('lt', int(2n ** 70n), float(1.3e21)));
  t.false(relate('lt', {kind: 'str', value: '1'}, int(2)));
  t.true(relate('ge', {kind: 'bool', value: true}, int(1)));
  t.true(relate('in', float(1), list));
  t.false(relate('in', int(2), list));
  t.true(relate('not in', int(2), list));
  t.true(relate('is', {kind: 'bool', value: true}, {kind: 'bool', value: true}));
  t.false(relate('is', int(1), {kind: 'bool', value: true}));
  t.true(relate('is not', {kind: 'other', name: 'Match'}, {kind: 'none'}));
  t.true(relate('near', float(0.35), float(0.3), {absolute: 0.1, isStrict: true}));
  t.false(relate('near', int(2), int(1), {absolute: 1, isStrict: true}));
  t.true(relate('near', int(2), int(1), {absolute: 1, isStrict: false}));
  t.false(relate('near', {kind: 'none'}, int(0), {absolute: 1}));
  t.true(relate('close', float(1000.9), float(1000), {relative: 0.001, absolute: 0}));
  t.false(relate('close', float(Number.POSITIVE_INFINITY), float(1000), {relative: 0.001, absolute: 0}));
});
