import test from 'ava';
import {Random} from '../../../src/random.js';
import {Budget, TooComplex} from '../../../src/reward/math/budget.js';
import {clean} from '../../../src/reward/math/clean.js';
import {areEqual} from '../../../src/reward/math/compare.js';
import {NotMathematics} from '../../../src/reward/math/cursor.js';
import {gradeMath} from '../../../src/reward/math/grade.js';
import {parse} from '../../../src/reward/math/parse.js';

const correct = (gold: string, answer: string) => gradeMath(gold, `\\boxed{${answer}}`).correct;

function pick<T>(random: Random, items: readonly T[]): T {
  return items[random.below(items.length)] as T;
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  return items
    .map((item) => ({item, key: random.below(1 << 30)}))
    .sort((a, b) => a.key - b.key)
    .map(({item}) => item);
}

/** A fraction with the values it stands for. */
interface Value {
  readonly n: number;
  readonly d: number;
}

function value(random: Random): Value {
  return {n: random.below(15) - 7, d: 1 + random.below(5)};
}

const same = (a: Value, b: Value) => a.n * b.d === b.n * a.d;

function writtenValue(random: Random, {n, d}: Value): string {
  const factor = 1 + random.below(3);
  const forms = [`\\frac{${factor * n}}{${factor * d}}`, `${factor * n}/${factor * d}`, `\\dfrac{${n}}{${d}}`];
  if (n % d === 0) forms.push(`${n / d}`, `${n / d}.0`, `\\left(${n / d}\\right)`);
  if (d === 2 || d === 4 || d === 5) forms.push(`${n / d}`);
  return pick(random, forms);
}

/** An exact thing that an answer may be, ways to write it, and whether two of them are one. */
interface Kind<T> {
  draw(random: Random): T;
  written(random: Random, thing: T): string;
  isSame(a: T, b: T): boolean;
}

const numbers: Kind<Value> = {draw: value, written: writtenValue, isSame: same};

const points: Kind<readonly Value[]> = {
  draw: (random) => [value(random), value(random), value(random)].slice(0, 2 + random.below(2)),
  written(random, items) {
    const inside = items.map((item) => writtenValue(random, item)).join(pick(random, [',', ', ', ' ,\\ ']));
    return pick(random, [`(${inside})`, `\\left(${inside}\\right)`]);
  },
  isSame: (a, b) => a.length === b.length && a.every((item, i) => same(item, b[i] as Value)),
};

function distinct(items: readonly Value[]): Value[] {
  return items.filter((item, i) => items.findIndex((other) => same(item, other)) === i);
}

const sets: Kind<readonly Value[]> = {
  draw: (random) => distinct([value(random), value(random), value(random)].slice(0, 1 + random.below(3))),
  written(random, items) {
    const inside = shuffled(random, items)
      .map((item) => writtenValue(random, item))
      .join(', ');
    return pick(random, [`\\{${inside}\\}`, `\\left\\{${inside}\\right\\}`]);
  },
  isSame: (a, b) => a.length === b.length && a.every((item) => b.some((other) => same(item, other))),
};

interface Ends {
  readonly low: number;
  readonly high: number;
  readonly isLowIn: boolean;
  readonly isHighIn: boolean;
}

const intervals: Kind<Ends> = {
  draw(random) {
    const low = random.below(4);
    return {low, high: low + 1 + random.below(3), isLowIn: random.below(2) === 0, isHighIn: random.below(2) === 0};
  },
  written(random, {low, high, isLowIn, isHighIn}) {
    const bracket = `${isLowIn ? '[' : '('}${low}, ${high}${isHighIn ? ']' : ')'}`;
    const [left, right] = [isLowIn ? '\\le' : '<', isHighIn ? '\\leq' : '<'];
    return pick(random, [bracket, `${low} ${left} x ${right} ${high}`, `x \\in ${bracket}`]);
  },
  isSame: (a, b) => JSON.stringify(a) === JSON.stringify(b),
};

/** By its coefficients, the constant first. */
const polynomials: Kind<readonly number[]> = {
  draw: (random) => [random.below(7) - 3, random.below(7) - 3, 1 + random.below(3)],
  written(random, [c = 0, b = 0, a = 0]) {
    const terms = [`${a}x^2`, ...(b === 0 ? [] : [`${b}x`]), ...(c === 0 ? [] : [`${c}`])];
    const sum = shuffled(random, terms).join('+').replaceAll('+-', '-');
    // a(x + r)^2 + (b - 2ar)x + c - ar^2
    const r = 1 + random.below(3);
    const square = `${a}(x+${r})^{2}+(${b - 2 * a * r})x+(${c - a * r * r})`;
    return pick(random, [sum, square, `x(${a}x+(${b}))+(${c})`, `\\frac{${2 * a}x^2+(${2 * b})x+(${2 * c})}{2}`]);
  },
  isSame: (a, b) => a.every((item, i) => item === b[i]),
};

/** Multiples of one line are one line. */
const lines: Kind<readonly number[]> = {
  draw: (random) => [1 + random.below(3), 1 + random.below(3), random.below(5) - 2],
  written(random, [a = 0, b = 0, c = 0]) {
    const k = pick(random, [1, 2, -1, 3]);
    return pick(random, [
      `(${k * a})x+(${k * b})y=${k * c}`,
      `(${k * a})x=${k * c}-(${k * b})y`,
      `0=(${k * c})-(${k * a})x-(${k * b})y`,
    ]);
  },
  isSame: ([a = 0, b = 0, c = 0], [d = 0, e = 0, f = 0]) => a * e === b * d && b * f === c * e && a * f === c * d,
};

const matrices: Kind<readonly number[]> = {
  draw: (random) => [0, 0, 0, 0].map(() => random.below(4)),
  written(random, [a, b, c, d]) {
    const name = pick(random, ['pmatrix', 'bmatrix']);
    return `\\begin{${name}} ${a} & ${b} \\\\ ${c} & ${d} \\end{${name}}`;
  },
  isSame: (a, b) => a.every((item, i) => item === b[i]),
};

const kinds: Readonly<Record<string, Kind<unknown>>> = {
  numbers: numbers as Kind<unknown>,
  points: points as Kind<unknown>,
  sets: sets as Kind<unknown>,
  intervals: intervals as Kind<unknown>,
  polynomials: polynomials as Kind<unknown>,
  lines: lines as Kind<unknown>,
  matrices: matrices as Kind<unknown>,
};

for (const [name, kind] of Object.entries(kinds)) {
  test(`${name}: however written, two are equal exactly where they are the same; equality is reflexive, symmetric and transitive`, (t) => {
    const random = new Random({seed: 23, purpose: 'share'});
    for (let round = 0; round < 120; round++) {
      const first = kind.draw(random);
      // Two ways to write one thing, and another thing.
      const things = [first, first, kind.draw(random)];
      const texts = things.map((thing) => kind.written(random, thing));
      const verdicts = texts.map((gold) => texts.map((answer) => correct(gold, answer)));
      for (const [i, gold] of texts.entries()) {
        t.is(verdicts[i]?.[i], true, `${gold} is itself`);
        for (const [j, answer] of texts.entries()) {
          t.is(verdicts[i]?.[j], kind.isSame(things[i], things[j]), `${gold} | ${answer}`);
          t.is(verdicts[i]?.[j], verdicts[j]?.[i], `${gold} | ${answer}`);
        }
      }
    }
  });
}

test('rounding goes one way: to a gold decimal of two places or more, never from one', (t) => {
  const random = new Random({seed: 29, purpose: 'share'});
  for (let round = 0; round < 300; round++) {
    const places = 2 + random.below(2);
    const exact = (1 + random.below(5_000_000)) / 1_000_000;
    const rounded = exact.toFixed(places);
    if (Number(rounded) === exact || !/[1-9].*\d/.test(rounded.replace('.', ''))) continue;
    const text = exact.toFixed(6);
    t.is(correct(rounded, text), true, `${rounded} | ${text}`);
    t.is(correct(text, rounded), false, `${text} | ${rounded}`);
    const off = (Number(rounded) + 10 ** -places).toFixed(places);
    t.is(correct(rounded, off), false, `${rounded} | ${off}`);
  }
});

const pieces = [
  ...'0123456789xyzabein+-*/^_=<>()[]{}|,;:!%$&\\. ',
  '\\frac',
  '\\sqrt',
  '\\boxed{',
  '\\left(',
  '\\right)',
  '\\pm',
  '\\cup',
  '\\infty',
  '\\begin{pmatrix}',
  '\\end{pmatrix}',
  '\\\\',
  '\\text{',
  '\\sin',
  '\\log_',
  '\\binom',
  '\\pi',
  '\\le',
  '\\{',
  '\\}',
  '\\lfloor',
  '\\cases',
  '10^{',
  '99999',
  '!',
  'and',
  '√',
  '²',
];

/** Whether a box around it holds it all. */
function fitsInBox(text: string): boolean {
  if (/\\$|boxed|\$|#/.test(text)) return false;
  let depth = 0;
  for (const character of text.replace(/\\[{}\\]/g, '')) {
    if (character === '{') depth++;
    if (character === '}' && --depth < 0) return false;
  }
  return depth === 0;
}

/** The most that one comparison may cost, and what reading an answer may. */
const steps = 25_000;

test('whatever is put together from pieces of LaTeX is judged within the budget of steps, itself included', (t) => {
  const random = new Random({seed: 31, purpose: 'share'});
  let judged = 0;
  for (let round = 0; round < 4000; round++) {
    const text = Array.from({length: 1 + random.below(12)}, () => pick(random, pieces)).join('');
    t.notThrows(() => gradeMath('17', text), text);
    t.notThrows(() => gradeMath(text, `\\boxed{${text}}`), text);
    if (fitsInBox(text))
      t.not(gradeMath(text, `\\boxed{${text}}`).correct, false, `${text} is itself, or cannot be graded`);
    // The same without its guards: nothing but the budget may end it.
    const budget = new Budget(steps);
    try {
      const node = parse(clean(text), budget);
      areEqual(node, node, {}, budget);
      judged++;
    } catch (error) {
      t.true(error instanceof NotMathematics || error instanceof TooComplex, `${text}: ${error}`);
    }
  }
  t.true(judged > 300, `${judged} were mathematics`);
});

test('a budget pays for each step and refuses the next', (t) => {
  const budget = new Budget(3);
  budget.spend();
  budget.spend(2);
  t.throws(() => budget.spend(), {instanceOf: TooComplex});
  t.throws(() => new Budget(10).spend(Number.NaN), {instanceOf: TooComplex});
});
