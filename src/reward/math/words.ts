import {type Node, numberOf, reciprocal} from './ast.js';

/** Words as they are compared: no markup, no articles, no case, no punctuation at either end. */
export function plainWords(text: string): string {
  return text
    .replace(/\\(?:text(?:bf|it|rm|normal|sf|tt)?|mathrm|mbox|emph|mathbf|hbox)(?![a-z])\s*/g, '')
    .replace(/[{}\\]/g, '')
    .toLowerCase()
    .replace(/^(?:the|a|an)\s+/, '')
    .replace(/\s+/g, ' ')
    .replace(/^[\s"'(]+|[\s"'.,;:!)]+$/g, '')
    .replace(/(?<=\p{L})[-_](?=\p{L})/gu, ' ')
    .trim();
}

const ones =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
    ' ',
  );
const tens = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');

const parts: Readonly<Record<string, number>> = {
  half: 2,
  third: 3,
  quarter: 4,
  fourth: 4,
  fifth: 5,
  sixth: 6,
  seventh: 7,
  eighth: 8,
  ninth: 9,
  tenth: 10,
  hundredth: 100,
};

/** `twelve`, `forty-two`, `two hundred and five`, `a dozen`; undefined where the words are no whole number of millions, thousands and less. */
export function numberWord(words: string): number | undefined {
  if (/^(?:one )?dozen$/.test(words)) return 12;
  let total = 0;
  let current: number | undefined;
  for (const word of words.split(' ')) {
    const [one, ten] = [ones.indexOf(word), tens.indexOf(word)];
    if (one >= 0) {
      // Below a ten stands one digit, and nothing below a number under twenty.
      if (current !== undefined && (current % 10 !== 0 || current % 100 === 10 || (current % 100 !== 0 && one > 9)))
        return undefined;
      if (current !== undefined && (one === 0 || current === 0)) return undefined;
      current = (current ?? 0) + one;
    } else if (ten >= 0) {
      if (current !== undefined && (current === 0 || current % 100 !== 0)) return undefined;
      current = (current ?? 0) + 20 + 10 * ten;
    } else if (word === 'hundred' && (current ?? 1) < 10) current = 100 * (current ?? 1);
    else if (word === 'million' && total === 0) [total, current] = [1e6 * (current ?? 1), undefined];
    else if (word === 'thousand' && total % 1e6 === 0) [total, current] = [total + 1000 * (current ?? 1), undefined];
    else if (word !== 'and' || (current ?? total) === 0) return undefined;
  }
  return current === undefined && total === 0 ? undefined : total + (current ?? 0);
}

/** `three quarters`, `one half`. */
function fractionWord(words: string): readonly [above: number, below: number] | undefined {
  const [count = '', part = '', more] = words
    .replace(/^half$/, 'one half')
    .replace('halves', 'half')
    .split(' ');
  const [above, below] = [numberWord(count), parts[part.replace(/s$/, '')]];
  return above === undefined || below === undefined || more !== undefined ? undefined : [above, below];
}

/** What words stand for: a number, no solution, all real numbers. */
export function nodeOfWords(text: string): Node | undefined {
  if (!/^[^\d=<>^_$&]+$/.test(text) || !/\p{L}{3}/u.test(text)) return undefined;
  const words = meaningOf(text);
  if (words === 'no solution') return {kind: 'set', items: []};
  if (words === 'all real numbers') return {kind: 'symbol', name: 'mathbb R'};
  const fraction = fractionWord(words);
  if (fraction) return {kind: 'product', items: [numberOf(fraction[0]), reciprocal(numberOf(fraction[1]))]};
  const whole = numberWord(words);
  return whole === undefined ? undefined : numberOf(whole);
}

/** Other ways to say it, each as a pattern of plain words. */
const synonyms: readonly (readonly [pattern: RegExp, word: string])[] = [
  [/^true$|^yes[,.;:!] .*$|\bis true$/, 'yes'],
  [/^false$|^no[,.;:!] .*$|\bis false$/, 'no'],
  [
    /^(?:there (?:is|are) )?no (?:real )?(?:solutions?|roots?)(?: exists?)?$|^(?:\\)?(?:emptyset|varnothing)$|^empty set$/,
    'no solution',
  ],
  [/^(?:it )?(?:does not|doesn't) exist$|^dne$/, 'does not exist'],
  [/^(?:all|every|any) (?:real numbers?|reals?)(?: [a-z])?$|^mathbbr$/, 'all real numbers'],
];

const ordinals = 'first second third fourth fifth sixth seventh eighth ninth tenth'.split(' ');

function meaningOf(text: string): string {
  const words = plainWords(text).replace(
    /^(\d{1,2})(?:st|nd|rd|th)$/,
    (whole, number) => ordinals[Number(number) - 1] ?? whole,
  );
  return synonyms.find(([pattern]) => pattern.test(words))?.[1] ?? words;
}

/** Of `SRMC = LRMC`, which means the same from right to left. */
function sidesOf(words: string): string | undefined {
  const sides = words.split('=').map((side) => side.trim());
  return sides.length === 2 && sides.every((side) => /^\p{L}{2}[\p{L} ]*$/u.test(side))
    ? sides.sort().join('=')
    : undefined;
}

/** A command that is not about words, and what stands above or below. */
const formula =
  /\\(?!(?:text(?:bf|it|rm|normal|sf|tt)?|mathrm|mbox|emph|mathbf|hbox|emptyset|varnothing|mathbb)(?![a-z]))[A-Za-z]|[_^]/;

/** Words are compared as words; signs are not, and digits only among words. */
export function areSameWords(gold: string, answer: string): boolean {
  // Without their braces, `\frac{1}{23}` and `\frac{12}{3}` are the same signs.
  if (formula.test(gold) || formula.test(answer)) return gold.replace(/\s/g, '') === answer.replace(/\s/g, '');
  const [g, a] = [meaningOf(gold), meaningOf(answer)];
  const [goldSides, answerSides] = [sidesOf(g), sidesOf(a)];
  if (goldSides && answerSides) return goldSides === answerSides;
  if (g !== a || !/\p{L}/u.test(g) || /[+*/=<>^]/.test(g)) return false;
  if (/\d/.test(g)) return /\p{L}{3}/u.test(g);
  return /\p{L}{2}/u.test(g) || gold.replace(/\\text|[{}]/g, '') === answer.replace(/\\text|[{}]/g, '');
}
