import {readFile} from 'node:fs/promises';
import test from 'ava';
import {Random} from '../../../src/random.js';
import type {Node} from '../../../src/reward/math/ast.js';
import {Budget} from '../../../src/reward/math/budget.js';
import {clean} from '../../../src/reward/math/clean.js';
import {areEqual} from '../../../src/reward/math/compare.js';
import {NotMathematics} from '../../../src/reward/math/cursor.js';
import {gradeMath, isGradable, type MathGradeOptions} from '../../../src/reward/math/grade.js';
import {parse} from '../../../src/reward/math/parse.js';
import {sharedPath} from '../../helpers/shared.js';

type Pair = readonly [gold: string, answer: string];

const correct = (gold: string, answer: string, options?: MathGradeOptions) => gradeMath(gold, answer, options).correct;

/** By kind; each is equal on paper. */
const equal: Readonly<Record<string, readonly Pair[]>> = {
  'numbers and fractions': [
    ['0.5', '\\frac{1}{2}'],
    ['\\frac{1}{2}', '0.5'],
    ['1', '1.0'],
    ['1,234', '1234'],
    ['14{,}916', '14916'],
    ['11111111100', '11,\\! 111,\\! 111,\\! 100'],
    ['1000', '1 000'],
    ['1000.99', '1000,99'],
    ['3\\frac{1}{2}', '3.5'],
    ['3 1/2', '7/2'],
    ['\\frac{-1}{2}', '-\\frac12'],
    ['-\\frac{1}{2}', '\\frac{1}{-2}'],
    ['\\frac13', '\\dfrac{2}{6}'],
    ['0.\\overline{3}', '\\frac13'],
    ['0.1\\overline{6}', '1/6'],
    ['6.02\\times 10^{23}', '6.02e23'],
    ['1000000', '1 million'],
    ['12', 'twelve'],
    ['two hundred and five', '205'],
    ['0.75', 'three quarters'],
    ['\\gcd(12,18)', '6'],
    ['2.1818...', '\\frac{24}{11}'],
    ['5!', '120'],
    ['\\binom{5}{2}', '10'],
    ['2^{10}', '1024'],
    ['2+\\sqrt3', '\\sqrt{3}+2'],
    ['0', '-0'],
    ['10**3', '1000'],
    ['2^6\\cdot 3^5', '2^6 3^5'],
    ['\\frac{3}{8}', '⅜'],
    ['5', '$5}$'],
  ],
  'roundings to the gold’s decimals, and long decimals of fractions': [
    ['3.14', '\\pi'],
    ['0.33', '1/3'],
    ['1/3', '0.3333'],
    ['\\pi', '3.14159'],
    ['2.74', '2.7400'],
    ['33.3', '100/3'],
    ['3.83\\times 10^{35}', '3.8294e35'],
    ['3.83e35', '3.8294\\times 10^{35}'],
    ['40\\pi', '125.663'],
    ['\\frac{\\sqrt3}{3}', '\\frac{\\sqrt3}{3} \\approx 0.577'],
  ],
  'percent, money and units': [
    ['10\\%', '10%'],
    ['10\\%', '10'],
    ['10\\%', '0.1'],
    ['\\$5', '5 dollars'],
    ['12.50', '\\$12.50'],
    ['12', '12\\text{ cm}^2'],
    ['12', '12 cm^2'],
    ['100', '100 km/h'],
    ['90^\\circ', '90'],
    ['60^\\circ', '\\frac{\\pi}{3}'],
    ['\\frac{\\pi}{3}', '60 degrees'],
    ['5', '5 \\text{ m}'],
    ['5', 't = 5~\\mathrm{s}'],
    ['5\\text{ m}', '5'],
    ['144 \\mbox{ m}^3', '144'],
    ['9.8\\text{ m/s}^2', '9.8 m/s^2'],
    ['2\\text{ hours}', '120 minutes'],
    ['5', '\\text{The answer is } 5'],
    ['\\frac{5}{2} \\text{ hours}', '2.5 hours'],
  ],
  expressions: [
    ['x^2+2x+1', '(x+1)^2'],
    ['\\sqrt{8}', '2\\sqrt{2}'],
    ['\\frac{\\sqrt{3}}{3}', '\\frac{1}{\\sqrt{3}}'],
    ['(1+i)^2', '2i'],
    ['\\log_2 8', '3'],
    ['\\frac12\\ln 2', '\\ln\\sqrt2'],
    ['\\sin^2 x+\\cos^2 x', '1'],
    ['\\tan^2(y)+1', '\\sec^2(y)'],
    ['2^{n+1}', '2\\cdot 2^n'],
    ['\\sqrt[3]{2}', '2^{1/3}'],
    ['\\frac{x^2-1}{x-1}', 'x+1'],
    ['|x|', '\\sqrt{x^2}'],
    ['F_n = \\sum_{k=0}^{n-1} F_k F_{n-k-1}', 'F_n = \\sum_{k=0}^{n-1} F_{n-k-1} F_k'],
    ['np.arcsin(10/13)', '\\arcsin{(10/13)}'],
    ['\\frac{\\sqrt3}{2}', '\\sin 60^\\circ'],
    ['\\cos(x)', '\\sin(90^{\\circ}-x)'],
    ['(a+b)^2', 'a**2 + 2*a*b + b**2'],
  ],
  'pieces and systems': [
    [
      'f(x) = \\begin{cases} x & x<0 \\\\ 2x & x \\ge 0\\end{cases}',
      '\\begin{cases} 2x, & \\text{if } 0 \\le x, \\\\ x, & \\text{if } x<0.\\end{cases}',
    ],
    [
      '\\begin{cases} x+1 & \\text{if } x<0 \\\\ x^2 & \\text{otherwise}\\end{cases}',
      '\\begin{cases} 1+x & x<0 \\\\ x^2 & \\text{otherwise}\\end{cases}',
    ],
    ['\\begin{cases} x+y=3 \\\\ x-y=1\\end{cases}', 'x-y=1, 2x+2y=6'],
  ],
  'equations and inequalities': [
    ['5', 'x=5'],
    ['x = 5', '5'],
    ['x = 11', 'x = 5+5+1 = 7 = 11'],
    ['1/3', 'x = 1/3 \\approx 0.33'],
    ['y=2x+3', '2x+3'],
    ['y=2x+3', '2x-y+3=0'],
    ['3x-2y+5=0', '6x-4y=-10'],
    ['x>2', '2<x'],
    ['x<1', '-x>-1'],
    ['f(2) < f(1) < f(4)', 'f(4) > f(1) > f(2)'],
  ],
  'points, intervals and sets': [
    ['(1,2)', '(1, 2)'],
    ['\\left(\\frac12, 3\\right)', '(0.5,3)'],
    ['[0,1)', '\\left[0,1\\right)'],
    ['(-\\infty, 3)', 'x<3'],
    ['x \\le 3', '(-\\infty,3]'],
    ['-1<x<1', 'x\\in(-1,1)'],
    ['x\\neq 3', '(-\\infty,3)\\cup(3,\\infty)'],
    ['1\\leq|z|\\leq \\frac32', '\\left[-\\frac32,-1\\right]\\cup\\left[1,\\frac32\\right]'],
    ['\\{1,2,3\\}', '\\{3,2,1\\}'],
    ['1,2,3', '3, 1 and 2'],
    ['\\pm 2', '2, -2'],
    ['1 \\pm \\sqrt{19}', '1-\\sqrt{19}, 1+\\sqrt{19}'],
    ['x=4,y=5', 'y=5, x=4'],
    ['(0;0;6),(4;0;0)', '(4,0,0), (0,0,6)'],
    ['\\mathbb{R}', '(-\\infty,\\infty)'],
    ['\\emptyset', '\\varnothing'],
  ],
  'matrices, ratios, bases, times': [
    ['\\begin{pmatrix}1\\\\2\\end{pmatrix}', '\\begin{bmatrix}1\\\\2\\end{bmatrix}'],
    [
      '\\begin{pmatrix}6 & 8 \\\\ 10 & 12\\end{pmatrix}',
      '\\begin{pmatrix}1 & 2 \\\\ 3 & 4\\end{pmatrix}+\\begin{pmatrix}5 & 6 \\\\ 7 & 8\\end{pmatrix}',
    ],
    [
      '\\begin{pmatrix}7\\\\15\\end{pmatrix}',
      '\\begin{pmatrix}1 & 2 \\\\ 3 & 4\\end{pmatrix}\\begin{pmatrix}1\\\\3\\end{pmatrix}',
    ],
    ['2:1', '4:2'],
    ['204_5', '204_{5}'],
    ['10:30 \\text{ a.m.}', '10:30'],
    ['20:34', '8:34 p.m.'],
    ['20:34', '20:34:00'],
    ['9\\text{ a.m.}', '9:00 AM'],
  ],
  'choices and words': [
    ['\\text{(B)}', 'B'],
    ['B', 'B. 12 apples'],
    ['(B)', 'The answer is (B).'],
    ['A, C', 'A and C'],
    ['C. x = 42', 'C'],
    ['(D) Alina', 'D'],
    ['12', '\\boxed{\\textbf{(B)}\\ 12}'],
    ['\\textbf{(B)}\\ 12', '12'],
    ['\\text{Yes}', 'True'],
    ['\\text{Monday}', 'monday'],
    ['\\text{no solution}', 'No solution.'],
  ],
};

/** Each differs on paper. */
const different: readonly Pair[] = [
  ['0.28', '28'],
  ['28/100', '28'],
  ['2', '\\frac{1+\\sqrt5}{2}'],
  ['2^{-99}', '2^{-98}'],
  ['1/2004!', '1/2006!'],
  ['10^{1000}', '10^{1001}'],
  ['10^{10}', '10^{10}+1'],
  ['9^{9^{9}}', '9^{9^{8}}'],
  ['0', '10^{-12}'],
  ['7', '7.3'],
  ['9', '9.8'],
  ['2.5', '2.48'],
  ['\\sqrt2', '1.41'],
  ['1/3', '0.33'],
  ['\\pi', '22/7'],
  ['4', '4\\sqrt2'],
  ['x^2', 'x'],
  ['|x|', 'x'],
  ['\\frac{a}{b}', '\\frac{b}{a}'],
  ['f(x)', 'f(y)'],
  ['y=2x', 'y=3x'],
  ['3x+4y+14=0', '0'],
  ['3x+4y+14=0', 'x=0'],
  ['1', 'x=1 or x=2'],
  ['x<3', 'x>3'],
  ['x\\ge 2', 'x>2'],
  ['(0,1)', '[0,1)'],
  ['D=(0,1)', 'D=(0,1.5)'],
  ['(1,2)', '(2,1)'],
  ['\\{1,2\\}', '\\{1,2,3\\}'],
  ['\\pm 2', '2'],
  ['x=1,y=2', 'x=2,y=1'],
  ['32349', '32, 349'],
  ['1, 2, 3', '1, 2, 3, ...'],
  ['\\infty', '-\\infty'],
  ['\\begin{pmatrix}1&2\\end{pmatrix}', '\\begin{pmatrix}2&1\\end{pmatrix}'],
  ['1:2', '2:1'],
  ['204_5', '204_6'],
  ['12:00', '1:00'],
  ['\\text{(A)}', 'C'],
  ['\\text{yes}', 'no'],
  ['2', 'AZYUK2A'],
  ['x=3', 'y=3'],
  ['\\text{red ball}', 'red cube'],
  ['one half', 'one third'],
  ['3\\text{ km}', '3\\text{ m}'],
  ['F=ma', 'F=mv'],
  ['\\{2n | n\\in\\mathbb{Z}\\}', '\\{2n+1 | n\\in\\mathbb{Z}\\}'],
  ['(1,5)', '\\{x\\in\\mathbb{Z} | 1<x<5\\}'],
  ['5\\text{ hours}', '5\\text{ minutes}'],
  ['60^\\circ', '\\frac{\\pi}{6}'],
  ['2^{100}-2', '2^{100}-2x'],
  ['e^{-1000}', 'e^{-1001}'],
  ['1/3000!', '1/3001!'],
  ['\\lfloor\\frac{2n-1}{5}\\rfloor', '\\lfloor\\frac{2n-2}{5}\\rfloor'],
  ['\\tan\\theta=2\\theta', '-\\tan\\theta=2\\theta'],
  ['(2,3)', 'x^2-5x+6<0'],
  ['\\{1,2\\}', '(x-1)(x-2)(x-3)=0'],
  ['I(0)e^{-t}', '-I(0)e^{-t}'],
  ['5:0', '6:0'],
  ['3\\mathrm{i}', '3'],
  ['x>3', 'y>3'],
  ['x\\in(1,2)', 'y\\in(1,2)'],
  ['12.5', '12.49'],
  ['3.83\\times 10^{35}', '3.84\\times 10^{35}'],
  ['\\sin 60', '\\sin 60^\\circ'],
  ['8:34 a.m.', '20:34'],
  ['C. x = 42', 'B'],
  ['(B) 12', '13'],
  ['\\begin{cases} x & x<0 \\\\ 2x & x \\ge 0\\end{cases}', '\\begin{cases} x & x \\le 0 \\\\ 2x & x > 0\\end{cases}'],
  ['5', ''],
  ['5', '\\boxed{}'],
];

for (const [kind, pairs] of Object.entries(equal)) {
  test(`${kind}: what is equal on paper is correct`, (t) => {
    for (const [gold, answer] of pairs) t.is(correct(gold, answer), true, `${gold} | ${answer}`);
  });
}

test('what differs on paper is wrong', (t) => {
  for (const [gold, answer] of different) t.is(correct(gold, answer), false, `${gold} | ${answer}`);
});

test('percent strict: a percent sign means hundredths and nothing else', (t) => {
  t.deepEqual(
    ['28\\%', '0.28', '28'].map((answer) => correct('28\\%', answer, {percent: 'strict'})),
    [true, true, false],
  );
});

test('decimals: so many places are compared', (t) => {
  t.is(correct('\\frac13', '0.33', {decimals: 2}), true);
  t.is(correct('\\frac13', '0.34', {decimals: 2}), false);
  t.is(correct('3.14159', '3.14', {decimals: 4}), false);
});

test('rounding to the gold’s decimals goes one way', (t) => {
  t.deepEqual([correct('0.33', '1/3'), correct('1/3', '0.33')], [true, false]);
});

test('the answer is found where completions give it', (t) => {
  const found = (text: string, options?: MathGradeOptions) => gradeMath('0', text, options).extracted;
  t.is(found('first \\boxed{1}. Then \\boxed{\\frac{1}{2}} it is.'), '\\frac{1}{2}');
  t.is(found('\\boxed{1} and \\boxed{2}'), '1, 2');
  t.is(found('\\boxed{1} no no no no no \\boxed{2}'), '2');
  t.is(found('Final Answer: The final answer is $34$. I hope it is correct.'), '$34$');
  t.is(found('\\boxed{200} so far. Final Answer: The final answer is $10,455$. I hope it is correct.'), '$10,455$');
  t.is(found('work\n#### 18'), '18');
  t.is(found('The largest $n$ is what we want, so the answer is 34.'), '34');
  t.is(found('so we have 12 apples and 3 pears'), '3');
  t.is(found('Therefore $x \\geq 5$ is the solution.'), 'x \\geq 5');
  t.is(found('<think>\\boxed{1}</think> It is \\boxed{2}.'), '2');
  t.is(found('so we have 12 apples', {extract: ['boxed']}), undefined);
  t.is(correct('9', 'Answer $ \n 9 \n $'), false);
});

test('the answer is found in tags, in JSON, in other languages, and behind the last of several hints', (t) => {
  const found = (text: string) => gradeMath('0', text).extracted;
  t.is(found('<think>\\boxed{1}</think><answer> 42 </answer>'), '42');
  t.is(correct('42', '{"answer": "42"}'), true);
  t.is(found('The answer is 3. Wait, the answer is 4.'), '4');
  t.is(found('\\boxed{5} and then \\boxed{}'), '5');
  t.is(found('答案：每份应该是 (\\frac{2}{5}) 吨。'), '\\frac{2}{5}');
  t.is(found('How many $? Just about 1$'), '1');
});

test('the letter that prose settles on', (t) => {
  const letters: readonly Pair[] = [
    ['D', 'The answer is for sure D, it can’t be A or B'],
    ['B', 'It’s not A because that makes no sense, so I think it’s B'],
    ['A', 'The answer is A because (B) and (C) are wrong.'],
    ['D', 'The answer is A. Wait, actually the answer is D.'],
    ['C', 'not (A), rather (C)'],
    ['C', 'the answer is c'],
    ['C', 'We weigh the options.\n\nC.'],
    ['B', 'B不是 A'],
  ];
  for (const [gold, answer] of letters) {
    t.is(correct(gold, answer), true, answer);
    for (const other of 'ABCD'.replace(gold, '')) t.is(correct(other, answer), false, `${other} | ${answer}`);
  }
  for (const answer of ['C+1', '-C', '2C', '\\boxed{C+1}', '\\boxed{C = 5}', '\\boxed{BC}'])
    t.is(correct('C', answer), false, answer);
  t.is(correct('C', '\\boxed{The answer is (C).}'), true);
  t.is(correct('A', 'A train leaves. I do not know the answer.'), false);
  t.is(correct('A', 'The answer is A, but \\boxed{B}'), false);
});

test('of several boxes the list or the last one counts', (t) => {
  t.is(correct('1,-2', 'The integers are \\boxed{-2} and \\boxed{1}.'), true);
  t.is(correct('1', 'The roots are \\boxed{-2}, \\boxed{1}.'), true);
  t.is(correct('-2', 'The roots are \\boxed{-2}, \\boxed{1}.'), false);
});

test('a gold answer that cannot be graded is null, never wrong', (t) => {
  for (const gold of ['', '  ', `${'1+'.repeat(5000)}1`]) {
    t.is(correct(gold, '1'), null);
    t.false(isGradable(gold));
  }
  t.true(isGradable('\\frac{1}{2}'));
});

/** Inputs made to run long; each was measured against the budget of steps, not against a clock. */
const hostile = [
  '9^{9^{9^{9}}}',
  '\\sum_{k=1}^{10^9}k',
  '(10^6)!',
  '('.repeat(20_000),
  `${'('.repeat(1000)}1${')'.repeat(1000)}`,
  `${'x^'.repeat(1400)}2`,
  '1'.repeat(3000),
  '\\frac'.repeat(590),
  `${'\\sqrt{'.repeat(300)}2${'}'.repeat(300)}`,
  `${'1/'.repeat(1400)}3`,
  '|'.repeat(2500),
  `${'\\pm1'.repeat(500)}`,
  '((((1+2)^{99})^{99})^{99})',
  '\\boxed{'.repeat(30_000),
  '$'.repeat(100_000),
  '1 '.repeat(90_000),
  'final answer is '.repeat(10_000),
  `\\begin{pmatrix}${'1&'.repeat(600)}1\\end{pmatrix}`,
  `2500!${'\\cdot 2500!'.repeat(100)}`,
  '\\binom{10000}{5000}'.repeat(60),
  '12 34/5 '.repeat(20_000),
  '\\('.repeat(60_000),
  '\\['.repeat(60_000),
  `{${'1,{'.repeat(900)}`,
  '(1.00000001)^{100000000}',
  `1.${'3'.repeat(2990)}`,
  '\u0000\ud800\\',
];

test('hostile answers end, and are not correct', (t) => {
  for (const text of hostile) {
    for (const answer of [text, `\\boxed{${text}}`]) t.not(correct('17', answer), true, text.slice(0, 40));
    t.notThrows(() => gradeMath(text, '17'));
    t.notThrows(() => gradeMath(text, `${text} `));
  }
});

test('the budget of steps is what ends them: one more product than it pays for is no longer judged', (t) => {
  t.is(gradeMath('1', `\\boxed{${'\\binom{10000}{5000}'.repeat(60)}}`).reason, 'the answer asks for too much work');
  t.is(gradeMath('\\binom{10000}{5000}'.repeat(60), '1').correct, null);
});

/** A number, written in a way drawn from the seed. */
function written(random: Random, numerator: number, denominator: number): string {
  const factor = 1 + random.below(4);
  const [n, d] = [numerator * factor, denominator * factor];
  const forms = [
    `\\frac{${n}}{${d}}`,
    `${n}/${d}`,
    `(${n})\\div ${d}`,
    `\\dfrac{${2 * n}}{${2 * d}}`,
    `${n}\\cdot\\frac{1}{${d}}`,
  ];
  if (denominator === 1) forms.push(`${numerator}`, `${numerator}.0`, `x=${numerator}`);
  return forms[random.below(forms.length)] as string;
}

test('on exact numbers, equality is reflexive, symmetric and transitive, and it is the equality of fractions', (t) => {
  const random = new Random({seed: 5, purpose: 'share'});
  for (let i = 0; i < 400; i++) {
    const values = [0, 1, 2].map(() => [random.below(7) - 3, 1 + random.below(4)] as const);
    const texts = values.map(([n, d]) => written(random, n, d));
    for (const [a, left] of texts.entries()) {
      t.is(correct(left, left), true);
      for (const [b, right] of texts.entries()) {
        const [[n, d], [m, e]] = [values[a] as readonly [number, number], values[b] as readonly [number, number]];
        t.is(correct(left, right), n * e === m * d, `${left} | ${right}`);
      }
    }
  }
});

const sets: readonly (readonly [file: string, gold: (row: Record<string, unknown>) => string[], solution: string])[] = [
  ['math/train.jsonl', (row) => [String(row.answer)], 'solution'],
  ['math/test.jsonl', (row) => [String(row.answer)], 'solution'],
  ['gsm8k/train.jsonl', (row) => [String(row.answer).split('####')[1] as string], 'answer'],
  ['gsm8k/test.jsonl', (row) => [String(row.answer).split('####')[1] as string], 'answer'],
  ['minerva_math/test.jsonl', (row) => [String(row.answer)], 'solution'],
  ['olympiadbench/test.jsonl', (row) => row.final_answer as string[], ''],
  ['aime24/test.jsonl', (row) => [String(row.answer)], 'solution'],
  ['aime25/test.jsonl', (row) => [String(row.answer)], ''],
  ['amc23/test.jsonl', (row) => [String(row.answer)], ''],
];

function readingOf(gold: string): Node | undefined {
  try {
    return parse(clean(gold), new Budget(25_000));
  } catch (error) {
    if (error instanceof NotMathematics) return undefined;
    throw error;
  }
}

test('a gold answer that cannot be read is not graded, whatever the answer', (t) => {
  const broken = [
    '\\frac{',
    '((',
    '\\begin{cases}',
    '\\frac{1}{',
    '2^{',
    '3+',
    '(1,2',
    '|x',
    '[3,',
    '\\{1,2',
    ')(',
    '3 +* 4',
    '-',
    '?',
  ];
  for (const gold of [...broken, '\\text{for all x} \\frac{', '\\begin{cases} x & \\text{if } x>0'])
    for (const answer of [gold, `\\boxed{${gold}}`, '5']) t.is(correct(gold, answer), null, gold);
  for (const gold of broken) t.false(isGradable(gold), gold);
  for (const gold of [
    'B',
    'SRAC=LRAC',
    '\\text{Monday}',
    '\\text{A,D}',
    '[0,1)',
    ']0,1[',
    'Not (always)',
    '\\emptyset',
    'B) 12',
    "f'(x) is odd",
  ])
    t.true(isGradable(gold), gold);
});

for (const [file, goldsOf, solutionField] of sets) {
  const found = sharedPath('data', ...file.split('/'));
  (found ? test : test.skip)(
    `${file}: every gold answer equals itself and its solution’s box (skipped where ../shared is not here)`,
    async (t) => {
      const rows = (await readFile(found as string, 'utf8')).trimEnd().split('\n');
      let empty = 0;
      let read = 0;
      for (const row of rows.map((line) => JSON.parse(line) as Record<string, unknown>)) {
        const solution = String(row[solutionField] ?? '');
        for (const gold of goldsOf(row)) {
          if (gold.trim() === '') {
            t.is(correct(gold, '1'), null);
            empty++;
            continue;
          }
          t.is(correct(gold, `so it is \\boxed{${gold}}.`), true, gold);
          const reading = readingOf(gold);
          if (reading) {
            read++;
            t.true(areEqual(reading, readingOf(gold) as Node, {}, new Budget(25_000)), gold);
          }
          if (/\\boxed|####/.test(solution)) t.is(correct(gold, solution), true, gold);
        }
      }
      t.true(empty <= 2);
      t.true(read >= 0.97 * rows.length, `${read} of ${rows.length} are read as mathematics`);
    },
  );
}
