import test from 'ava';
import {gradeMath} from '../../../src/reward/math/grade.js';

type Case = readonly [gold: string, right: readonly string[], wrong: readonly string[]];

/** Found by an examiner who had not seen the grader: each group has a cause of its own. */
const cases: Readonly<Record<string, readonly Case[]>> = {
  'digits behind the point, in other bases': [
    ['0.0101_2', ['0.0101_{2}'], ['0.101_2', '0.1010_2', '0.0101_3', '101_2']],
  ],
  'steps at whole numbers': [
    [
      '\\lfloor \\log_2 m\\rfloor + 1',
      ['1+\\lfloor\\log_2(m)\\rfloor', '\\lfloor \\log_2 m + 1\\rfloor', '\\lfloor \\log_2 (2m)\\rfloor'],
      ['\\lceil \\log_2 m\\rceil', '\\lfloor \\log_2 m\\rfloor'],
    ],
    ['\\lceil \\frac{x}{3}\\rceil', ['-\\lfloor -\\frac{x}{3}\\rfloor'], ['\\lfloor \\frac{x}{3}\\rfloor + 1']],
  ],
  'brackets of an interval around a list': [['2, 7', ['7, 2'], ['(2, 7]', '[2, 7)']]],
  'a logarithm without its base, beside base ten': [
    ['3-\\log_{10} 7', ['3-\\log 7', '\\log \\frac{1000}{7}'], ['3-\\ln 7', '3-\\log_2 7']],
    ['\\log_{10} x', ['\\log x'], ['\\ln x']],
    ['\\ln 5', ['\\log 5'], ['\\log_{10} 5']],
  ],
  'numbers of three digits in a list without blanks': [
    ['18, 54, 126, 162', ['18,54,126,162', '162,126,54,18'], ['18,54,126162', '18,54,126']],
    ['1,234', ['1234'], ['1, 23', '1.234']],
  ],
  'letters that touch below a slash': [
    ['\\frac{h c}{\\lambda k T}', ['hc/\\lambda kT'], ['\\frac{hc}{\\lambda} kT']],
    ['e^{-\\frac{x}{ab}}', ['e^{-x/ab}'], ['e^{-xb/a}']],
    ['\\frac{a}{b} c', ['a/b c'], ['a/bc']],
  ],
  'units of other kinds and powers': [
    ['10\\text{ cm}', ['10', '$10$ cm', '0.1 m', '100 mm'], ['$10$ m', '$10 cm^2$', '10 seconds', '10 square cm']],
    ['3\\text{ m}^2', ['3 square meters', '30000\\text{ cm}^2', '3 m²'], ['3 m', '3\\text{ cm}^2', '3\\text{ m}^3']],
    ['2 liters', ['2000\\text{ cm}^3', '2000 mL', '2 L'], ['2 mL', '2\\text{ m}^3', '2 kg']],
  ],
  'identities and the names of constants': [
    ['n(n+2)', ['n^2+2n = n(n+2)', 'k = n^2+2n = n(n+2)'], ['n^2+2n = n(n+1)', 'n^2 = n(n+2)']],
    ['\\frac{n(n+1)}{2}', ['1+2+\\dots+n = \\frac{n(n+1)}{2}'], ['1+2+\\dots+n = \\frac{n(n-1)}{2}']],
    ['x^4+C', ['x^4+c', 'x^4+K'], ['x^4', 'x^4+c+1', 'x^3+c', 'cx^4+c']],
  ],
  'words on both sides of a sign': [['LRAC=LRMC', ['LRMC = LRAC', '\\text{LRAC}=\\text{LRMC}'], ['LRAC=SRMC', 'LRAC']]],
  'choices in small letters': [['(c)', ['C', '(c)', '\\text{(C)}'], ['B', '(b)', 'd']]],
  'digits above nine set as text': [['4B2_{13}', ['4\\text{B}2_{13}'], ['4\\text{C}2_{13}', '4\\text{B}2_{12}']]],
  derivatives: [
    [
      '\\frac{d p}{d t}+k p=q',
      ['\\dot p+kp=q', '\\dot{p}=q-kp', '\\frac{d}{dt}p+kp=q'],
      ['\\frac{p}{t}+kp=q', '\\ddot p+kp=q', '\\dot k+kp=q'],
    ],
    [
      '\\frac{\\partial^2 u}{\\partial x^2}',
      ['\\frac{\\partial^2}{\\partial x^2}u'],
      ['\\frac{\\partial u}{\\partial x}', '\\frac{u}{x^2}'],
    ],
  ],
  durations: [
    [
      '3 \\text{ hours } 15 \\text{ minutes}',
      ['3 hours and 15 minutes', '195 minutes', '3.25 hours', '3 h 15 min'],
      ['15 hours 3 minutes', '3 hours', '3.15 hours'],
    ],
  ],
  'a list that may be one number': [
    ['40,130', ['40, 130', '130, 40', '40^\\circ, 130^\\circ', '40130'], ['40', '(40,130)', '40, 13']],
  ],
  'intervals with irrational ends': [
    ['(-\\sqrt{7},\\sqrt{7})', ['-\\sqrt7<y<\\sqrt7', '|y|<\\sqrt7'], ['-\\sqrt7\\le y\\le\\sqrt7', '|y|>\\sqrt7']],
  ],
  'braces, without which the signs are the same': [
    ['\\frac{1}{23}', ['\\frac1{23}', '\\frac{ 1 }{ 23 }'], ['\\frac{12}{3}', '\\frac{123}{}']],
    ['\\frac{ab}{c}', ['\\frac{ba}{c}'], ['\\frac{a}{bc}', 'abc']],
    ['\\sqrt{2}3', ['3\\sqrt2'], ['\\sqrt{23}']],
    ['\\frac{85}{2}\\sqrt{7}', ['\\frac{85\\sqrt7}{2}'], ['\\frac{85}{2\\sqrt7}', '\\frac{85}{2\\sqrt{7}}']],
    ['\\sqrt{a}', ['\\sqrta', '\\sqrt a'], ['a']],
    ['\\text{no real solution in }[0,1]', ['\\text{no real solution in }[0,1]'], ['\\text{no real solution in }[0,2]']],
  ],
  'units behind roots and π': [
    [
      '5\\sqrt{2}\\text{ cm}^2',
      ['5\\sqrt2', '5\\sqrt{2}\\text{ cm}^{2}'],
      ['5\\sqrt2\\text{ m}^2', '5\\sqrt{2}\\text{ cm}'],
    ],
    ['6\\pi\\text{ m}', ['6\\pi', '600\\pi\\text{ cm}'], ['6\\pi\\text{ cm}', '6\\pi\\text{ m}^2']],
  ],
};

for (const [title, group] of Object.entries(cases))
  test(`judges ${title}`, (t) => {
    for (const [gold, right, wrong] of group) {
      for (const answer of right) t.is(gradeMath(gold, `\\boxed{${answer}}`).correct, true, `${gold}: ${answer}`);
      for (const answer of wrong) t.is(gradeMath(gold, `\\boxed{${answer}}`).correct, false, `${gold}: ${answer}`);
    }
  });

/** Whole completions, with what they answer. */
const completions: readonly (readonly [completion: string, right: string, wrong: string])[] = [
  ['The tank holds **48π** litres.', '48\\pi', '48'],
  ['So they need **17 buses** for the trip.', '17', '16'],
  ['She saved **350** (not 400).', '350', '400'],
  ['Hence only $g(x)=3x+2$ for all $x\\in\\mathbb{R}$.', 'g(x)=3x+2', '\\mathbb{R}'],
  ['The answer is $k=7$ where $m=2$.', '7', '2'],
  ['The lines cross at the point (4, −9).', '(4,-9)', '-9'],
  ['The function is\n$$h(n)=3n-8\\quad\\text{for all integers } n.$$', 'h(n)=3n-8', '3n+8'],
  ['Option (B) is false, so I would choose option (A).', 'A', 'B'],
  ['The ferry leaves at 7:30 PM local time.', '7:30\\text{ p.m.}', '30'],
  ['Red to blue is 4:9 in all.', '4:9', '9'],
  ['Its zeros are 1, 6 and -5.', '-5, 1, 6', '-5'],
  ['There were 12 pens and 9 caps.', '9', '12'],
  ['τ ≈ 3.4 × 10^{-6} s', '3.4e-6', '3.4e6'],
  ['$\\boxed{MPK = \\frac{Y+2}{K}}$', '\\frac{Y+2}{K}', '\\frac{Y}{K}'],
  ['\\boxed{\\pi}', '3.1415926', '3.1415946'],
  ['Choice C is correct, D is not.', 'C', 'D'],
  ['The plant was **6 inches** high at the end of 2 weeks.', '6', '2'],
  ['The second estimate is unbiased: option (d).', '(d)', '(b)'],
  ['It has a mass of \\(4 \\times 10^{7}\\ M_\\odot\\).', '4e7', '4e6'],
];

test('finds what whole completions answer', (t) => {
  for (const [completion, right, wrong] of completions) {
    t.is(gradeMath(right, completion).correct, true, completion);
    t.is(gradeMath(wrong, completion).correct, false, completion);
  }
});
