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

/** `twelve`, `forty-two`; undefined where the words are no whole number below a hundred. */
export function numberWord(words: string): number | undefined {
  const [first = '', second, more] = words.split(' ');
  if (more !== undefined) return undefined;
  const ten = tens.indexOf(first);
  if (ten >= 0) {
    const one = second === undefined ? 0 : ones.indexOf(second);
    return one < 0 || one > 9 ? undefined : 20 + 10 * ten + one;
  }
  const one = ones.indexOf(first);
  return one < 0 || second !== undefined ? undefined : one;
}

/** Other ways to say it, each as a pattern of plain words. */
const synonyms: readonly (readonly [pattern: RegExp, word: string])[] = [
  [/^true$/, 'yes'],
  [/^false$/, 'no'],
  [
    /^(?:there (?:is|are) )?no (?:real )?(?:solutions?|roots?)(?: exists?)?$|^(?:\\)?(?:emptyset|varnothing)$|^empty set$/,
    'no solution',
  ],
  [/^(?:it )?(?:does not|doesn't) exist$|^dne$/, 'does not exist'],
  [/^(?:all|every|any) (?:real numbers?|reals?)(?: [a-z])?$|^mathbbr$/, 'all real numbers'],
];

function meaningOf(text: string): string {
  const words = plainWords(text);
  return synonyms.find(([pattern]) => pattern.test(words))?.[1] ?? words;
}

/** Words are compared as words; signs are not, and digits only among words. */
export function areSameWords(gold: string, answer: string): boolean {
  const [g, a] = [meaningOf(gold), meaningOf(answer)];
  if (g !== a || !/\p{L}/u.test(g) || /[+*/=<>^]/.test(g)) return false;
  if (/\d/.test(g)) return /\p{L}{3}/u.test(g);
  return /\p{L}{2}/u.test(g) || gold.replace(/\\text|[{}]/g, '') === answer.replace(/\\text|[{}]/g, '');
}
