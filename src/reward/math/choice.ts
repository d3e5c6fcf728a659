const styled = /\\(?:text|textbf|textit|mathbf|mathrm|mbox|textrm|boldsymbol|mathcal)\s*\{([^{}]*)\}/g;

function withoutStyle(text: string): string {
  return text
    .replace(styled, '$1')
    .replace(/[$*~]|\\[ ,;!]|\\q?quad/g, ' ')
    .trim();
}

/** The letter of a gold answer that is one, alone or before its option's text: `B`, `(B)`, `\text{(B)} 12`, `B. twelve`. */
export function goldChoice(text: string): string | undefined {
  const bare = withoutStyle(text).replace(/\s/g, '');
  return (
    /^\(?([A-J])\)?\.?$/.exec(bare)?.[1] ?? /^\(([a-j])\)\.?$/.exec(bare)?.[1]?.toUpperCase() ?? optionOf(text)?.letter
  );
}

/** The letter that an answer is, or begins with. */
export function choiceOf(text: string): string | undefined {
  const answer = withoutStyle(text).replace(/^(?:option|choice|answer)\s*:?\s+/i, '');
  const small = /^\(([a-j])\)$/.exec(answer)?.[1];
  if (small !== undefined) return small.toUpperCase();
  const match =
    /^\(?([A-J])\)?(?:\s*(?:[.:。，：]|\)(?=\s|$))(.*)|\s*)$/s.exec(answer) ??
    /^\(([A-J])\)(?:\s+([^+*/=^<>-].*)|[,;].*)$/s.exec(answer) ??
    /^([A-J])(\s*\p{Script=Han}.*)$/su.exec(answer);
  // A sentence about one option may choose another.
  if (/^\W*(?:is|was|fails|cannot)\b|\([A-J]\)|\b(?:option|choice|answer)\b/i.test(match?.[2] ?? '')) return undefined;
  // `A) and C)` are two.
  return match && !/^[\s.,;:&()]*(?:(?:and|or)\s+)?\(?[A-J](?![\p{L}\p{N}'’])/u.test(match[2] ?? '')
    ? match[1]
    : undefined;
}

/** `(B) 12`, `B. 12`, `\textbf{(B)}\ 12`: a letter and the text of its option. */
export function optionOf(text: string): {readonly letter: string; readonly text: string} | undefined {
  const match = /^(?:\(([A-J])\)\s*|([A-J])[.:)]\s+|([A-HJ])\s+(?=\p{Lu}\p{Ll}))(\S.*)$/su.exec(withoutStyle(text));
  return match ? {letter: (match[1] ?? match[2] ?? match[3]) as string, text: match[4] as string} : undefined;
}

const settled =
  /(?:answer|choice|option|réponse|respuesta|antwort|答案)\W{0,6}(?:(?:is|est|es|ist|(?:should|must|would) be|:|：|-|是|为)\W{0,6})((?:(?!not\b|neither\b|no\b|either\b)[\p{L}']+\s+){0,3}?)["'(*\s$]*([A-J])(?![\p{L}\p{N}'’^_]|\s*[+*/=<>](?!\*)|\s*-\s*[\d\\])/giu;
const denied =
  /(?:\b(?:not|never|nor|neither|no|non|cannot|or|than)|n't|不是)\s*(?:an?\s+|the\s+|be\s+|option\s+)?\(?$/i;

const deniedBehind =
  /^\W{0,4}(?:(?:is|are|was|does|do|can|would|must)\s*)?(?:not\b|n't|wrong\b|incorrect\b|false\b|fails?\b)/i;

/** The letter that prose settles on: the last "answer is …", else of its last line the last one in brackets or alone. */
export function proseChoice(text: string): string | undefined {
  const said = [...text.matchAll(settled)].filter((match) => {
    const behind = text.slice(match.index + match[0].length);
    return match[2] === match[2]?.toUpperCase() ? !isWord(match[2] as string, behind, match[1]) : /^\W*$/.test(behind);
  });
  const last = said.at(-1);
  if (last) return isOneOf(text, last) ? undefined : last[2]?.toUpperCase();
  const line = text.trimEnd().split('\n').at(-1)?.slice(-300) ?? '';
  for (const pattern of [
    /\(([A-J])\)/g,
    /(?<![\p{L}\p{N}\\_^{'’$]|[-+*/=<>]\s*)([A-J])(?!\s*[-+*/=<>^_$(]|[\p{L}\p{N}'’])/gu,
  ]) {
    const letters = [...line.matchAll(pattern)].filter(
      (match) =>
        !denied.test(line.slice(0, match.index)) &&
        !deniedBehind.test(line.slice(match.index + match[0].length)) &&
        !isWord(match[1] as string, line.slice(match.index + match[0].length)),
    );
    const found = letters.at(-1);
    if (found) return isOneOf(line, found) ? undefined : found[1];
  }
  return undefined;
}

/** `A or B`: who names two has not settled. */
function isOneOf(text: string, match: RegExpExecArray): boolean {
  const [before, behind] = [text.slice(0, match.index), text.slice(match.index + match[0].length)];
  return (
    /(?<![\p{L}'’])[A-J]\)?\s*(?:,|&|\/|and\b|or\b)\s*(?:and|or)?\s*\(?$/u.test(before) ||
    /^\)?\s*(?:,|&|\/|and\b|or\b)\s*(?:and\s+|or\s+)?\(?[A-J](?![\p{L}'’])/u.test(behind)
  );
}

/** "A train", "I think": an article or a pronoun. */
function isWord(letter: string, behind: string, before = ''): boolean {
  return (
    (letter === 'I' || (letter === 'A' && before === '')) &&
    /^\s+(?!because|since|as\b|and\b|or\b|is\b|was\b|fits\b|must\b)\p{Ll}/u.test(behind)
  );
}

/** `AC`, `A, C` and `A and C`: several choices, in any order. */
export function sameChoices(gold: string, answer: string): boolean {
  const lettersOf = (text: string) => {
    const letters = withoutStyle(text.slice(0, 200));
    if (!/^\(?[A-J]\)?(?:(?:\s*(?:,|and)\s*|\s*)\(?[A-J]\)?)+$/.test(letters)) return undefined;
    return [...new Set(letters.match(/[A-J]/g))].sort().join('');
  };
  const letters = lettersOf(gold);
  return letters !== undefined && letters.length > 1 && letters === lettersOf(answer);
}
