/** Where an answer may stand in a text; looked for in this order, but of a box and a final answer the later one counts. */
export const extractors = ['boxed', 'final-answer', 'hashes', 'answer', 'math', 'number'] as const;
export type Extractor = (typeof extractors)[number];

export interface Extracted {
  readonly text: string;
  /** The last of several boxes that were read as one list. */
  readonly last?: string;
  readonly by: Extractor | 'whole';
}

/** What a completion ends with; an answer stands near its end. */
const maxText = 40_000;
const maxBoxes = 64;
const maxBox = 4000;

interface Found {
  readonly text: string;
  readonly at: number;
  readonly last?: string;
}

/** The answer that a completion gives; undefined where it gives none. */
export function extractAnswer(completion: string, wanted: readonly Extractor[] = extractors): Extracted | undefined {
  const said = behindThinking(completion);
  const tag = tagged(said);
  const text = tag ?? said;
  const has = (extractor: Extractor) => wanted.includes(extractor);
  const boxed = has('boxed') ? lastBoxes(text) : undefined;
  const final = has('final-answer') ? finalAnswer(text) : undefined;
  // Behind a box, prose about the final answer is no other one.
  if (final && (!boxed || (final.at > boxed.at && /[\d\\$]/.test(final.text))))
    return {text: final.text, by: 'final-answer'};
  if (boxed) return {text: boxed.text, last: boxed.last, by: 'boxed'};
  const hashes = has('hashes') ? lastMatch(text, /####[ \t]*([^\n]+)/g) : undefined;
  if (hashes) return {text: hashes.text, by: 'hashes'};
  const answer = has('answer') ? (answerSentence(text) ?? (tag && inner(tag.trim(), 0)) ?? lastBold(text)) : undefined;
  if (answer) return {text: answer.text, by: 'answer'};
  const math = has('math') ? lastFormula(text) : undefined;
  const number = has('number') ? lastNumber(text) : undefined;
  if (math && (!number || number.at < math.end)) return {text: math.text, by: 'math'};
  return number && {text: number.text, by: 'number'};
}

/** What follows the thoughts of a completion, without the calculations that GSM8K puts in `<<…>>`. */
export function behindThinking(completion: string): string {
  const text = completion.slice(-maxText).replace(/<<[^<>\n]{0,100}>>/g, '');
  const rest = /<\/think(?:ing)?>(?!.*<\/think(?:ing)?>)(.*)$/s.exec(text)?.[1] ?? '';
  return rest.trim() === '' ? text : rest;
}

/** What stands in the last `<answer>`. */
function tagged(text: string): string | undefined {
  const [open, close] = [text.lastIndexOf('<answer>'), text.lastIndexOf('</answer>')];
  return open >= 0 && close > open ? text.slice(open + 8, close) : undefined;
}

/** The last `\boxed{…}`, and those right before it: `\boxed{1} and \boxed{2}` is a list. */
function lastBoxes(text: string): Found | undefined {
  const boxes: {readonly content: string; readonly start: number; readonly end: number}[] = [];
  for (const match of [...text.matchAll(/\\(?:boxed|fbox)\s*(\{|\S)/g)].slice(-maxBoxes)) {
    const start = match.index;
    const open = start + match[0].length;
    if (match[1] !== '{') {
      // `\boxed 5`
      const bare = /^\\(?:boxed|fbox)\s+([^\s{}$\\]+)/.exec(text.slice(start, start + 200));
      if (bare) boxes.push({content: bare[1] as string, start, end: start + bare[0].length});
      continue;
    }
    const end = closingBrace(text, open);
    if (boxes.length > 0 && start < (boxes.at(-1)?.end as number)) continue;
    if (end !== undefined) boxes.push({content: text.slice(open, end), start, end: end + 1});
    else boxes.push({content: unclosed(text.slice(open)), start, end: text.length});
  }
  // An empty box says nothing.
  while (boxes.length > 1 && boxes.at(-1)?.content.trim() === '') boxes.pop();
  const last = boxes.at(-1);
  if (last === undefined) return undefined;
  const contents = [last.content];
  let first = last;
  for (let i = boxes.length - 2; i >= 0; i--) {
    const before = boxes[i] as typeof last;
    if (!joins(text.slice(before.end, first.start))) break;
    contents.unshift(before.content);
    first = before;
  }
  return {
    text: [...new Set(contents)].join(', '),
    at: last.start,
    last: contents.length > 1 ? last.content : undefined,
  };
}

/** What stands between two boxes of one answer. */
function joins(between: string): boolean {
  if (between.length > 60 || /[.!?]\s|\n\s*\n/.test(between)) return false;
  const words = between.replace(/\\(?:text|mathrm|q?quad|mbox|left|right|\W)/g, ' ').match(/[A-Za-z]+/g) ?? [];
  return words.length === 0 || (words.length <= 6 && words.some((word) => word === 'and' || word === 'or'));
}

/** Of a box that was never closed: its line, without the end of the formula. */
function unclosed(text: string): string {
  return (/^[^\n]*/.exec(text) as RegExpExecArray)[0].replace(/\s*(?:\$+|\\\]|\\\)).*$/, '').slice(0, 500);
}

function closingBrace(text: string, from: number): number | undefined {
  let depth = 1;
  for (let at = from; at < Math.min(text.length, from + maxBox); at++) {
    const character = text[at];
    if (character === '\\') at++;
    else if (character === '{') depth++;
    else if (character === '}' && --depth === 0) return at;
  }
  return undefined;
}

const answerLine = /^(?:\\text\s*\{|[^\p{L}\n]){0,8}answer["'*]{0,4}\s*:[\s*}]*/gimu;

/** `The final answer is …`, up to the end of its sentence. */
function finalAnswer(text: string): Found | undefined {
  const found = lastBehind(text, /final\s+answer\W{0,8}(?:\s*(?:is|:|=)\s*|\s+)/gi);
  if (!found) return undefined;
  // Under a heading `Final Answer`, a line `Answer: …` is what it says.
  const under = lastBehind(text.slice(found.at + 'final answer'.length), answerLine);
  if (under) return inner(firstSentence(under.text), found.at);
  const sentence = firstSentence(found.text.replace(/^\W{0,4}(?:the\s+)?final\s+answer\s+(?:is|:)\s*/i, ''));
  return inner(sentence, found.at);
}

function answerSentence(text: string): Found | undefined {
  const found = lastBehind(
    text,
    /(?:\banswer["'*]*\s*(?:is|:|=|：)|\*\*answer\*\*|答案\s*(?:是|为|:|：)|réponse\s*(?:est|:)|respuesta\s*(?:es|:)|antwort\s*(?:ist|:)|ответ\s*:)[\s:*]*/gi,
  );
  return found && inner(firstSentence(found.text), found.at);
}

/** The last formula or number of a sentence in a box: `\\boxed{\\text{There are 17 of them}}`. */
export function saidIn(box: string): string | undefined {
  const sentence = box.replace(/\\(?:text|textbf|mathrm|mbox)\s*\{([^{}]*)\}/g, ' $1 ');
  if ((sentence.replace(latex, ' ').match(/[A-Za-z]{2,}/g) ?? []).length < 3) return undefined;
  return inner(sentence.trim(), 0)?.text;
}

const latex = /\\(?:begin|end|text|mathrm|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+/g;

/** `So it is **42**`, or `**42** apples (not 40)`, at the end. */
function lastBold(text: string): Found | undefined {
  const end = text.slice(-400);
  const match =
    /\*\*([^*\n]+)\*\*(?:[ \t]*\([^()\n]*\))?[\s.!]*$/.exec(end) ??
    /\*\*([^*\n]*\d[^*\n]*(?<!:))\*\*(?:[ ,]+(?!(?:is|are|was|were|gets?|gives?|equals?|so|then)\b)(?:\d{1,6}|[\p{L}'’-]+)){1,10}[\s.!]*$/u.exec(
      end,
    );
  return match ? inner(match[1] as string, match.index) : undefined;
}

/** In a sentence of prose, its last formula or number is what it says. */
function inner(sentence: string, at: number): Found | undefined {
  const bare = sentence
    .replace(/^\W*(?:is|:)\s+/, '')
    .replace(/^[}\s]+/, '')
    // What follows are grounds.
    .replace(/(?<=[\d$)}].*)\s(?:because|since|where|which)\b.*$/s, '')
    .trim();
  if (bare === '') return undefined;
  const box = lastBoxes(bare);
  if (box) return {text: box.text, at};
  const formulas = formulasOf(bare).filter((formula) => !isProse(formula.text));
  while (formulas.length > 1 && isCondition(bare.slice(formulas.at(-2)?.end, formulas.at(-1)?.start))) formulas.pop();
  const outside = formulas.reduce((rest, formula) => rest.replace(formula.whole, ' '), bare);
  const words = outside.replace(latex, ' ').match(/[A-Za-z]{2,}/g) ?? [];
  const isList = words.every((word) => ['and', 'or'].includes(word.toLowerCase()));
  if (formulas.length > 0 && !isList) {
    const last = formulas.at(-1) as Formula;
    const number = lastNumber(bare);
    if (number && number.at >= last.end) return {text: number.text, at};
    return {text: `${last.text}${percentBehind(bare, last.end)}`, at};
  }
  if (formulas.length === 0 && (words.length >= 3 || /\p{Script=Han}/u.test(outside))) {
    const number = lastNumber(bare);
    if (number) return {text: number.text, at};
  }
  return {text: bare, at};
}

/** Up to a full stop that is no decimal point, or a displayed formula over several lines. */
function firstSentence(text: string): string {
  const start = text.replace(/^\s+/, '');
  const display = /^(?:\\\[[ \t]*\n[\s\S]*?\\\]|\$\$[ \t]*\n[\s\S]*?\$\$)/.exec(start);
  if (display) return display[0];
  const end = /\.(?=\s|$)|(?<=\S\$)\.|\n|\s*<\|/.exec(start);
  return end ? start.slice(0, end.index) : start;
}

interface Formula {
  readonly text: string;
  readonly whole: string;
  readonly start: number;
  readonly end: number;
}

const delimiters: readonly (readonly [open: string, close: string])[] = [
  ['$$', '$$'],
  ['\\[', '\\]'],
  ['$', '$'],
  ['\\(', '\\)'],
];

/** Formulas in their delimiters; one inside a line does not cross it. */
function formulasOf(text: string): Formula[] {
  const formulas: Formula[] = [];
  const missing = new Set<string>();
  for (let at = 0; at < text.length; ) {
    const [open, close] = delimiters.find(([mark]) => text.startsWith(mark, at) && !missing.has(mark)) ?? [];
    if (open === undefined || close === undefined || text[at - 1] === '\\') {
      at++;
      continue;
    }
    let end = text.indexOf(close, at + open.length);
    while (close === '$' && end > 0 && text[end - 1] === '\\') end = text.indexOf(close, end + 1);
    if (end < 0) {
      missing.add(open);
      continue;
    }
    const inside = text.slice(at + open.length, end);
    const isBroken = (open === '$' || open === '\\(') && inside.includes('\n');
    // `$9 * 2 = $18`: money.
    const isMoney = open === '$' && /[=+*/<>,-]\s*$/.test(inside) && /^\s?[\d.,]/.test(text.slice(end + 1));
    if (inside === '' || isBroken || isMoney) {
      at += open.length;
      continue;
    }
    const whole = text.slice(at, end + close.length);
    formulas.push({text: inside.trim(), whole, start: at, end: end + close.length});
    at = end + close.length;
  }
  return formulas;
}

function lastFormula(text: string): {readonly text: string; readonly end: number} | undefined {
  const formulas = formulasOf(text).filter(
    (formula) => formula.text !== '' && !/^[A-Za-z.,]$/.test(formula.text) && !isProse(formula.text),
  );
  while (formulas.length > 1 && isCondition(text.slice(formulas.at(-2)?.end, formulas.at(-1)?.start))) formulas.pop();
  const last = formulas.at(-1);
  if (!last) return undefined;
  // `$1$ and $2$`
  let joined = last.text;
  for (let i = formulas.length - 2; i >= 0; i--) {
    const [before, after] = [formulas[i] as Formula, formulas[i + 1] as Formula];
    if (!/^\s*(?:,|and|or|,\s*(?:and|or))\s*$/.test(text.slice(before.end, after.start))) break;
    joined = `${before.text}, ${joined}`;
  }
  return {text: `${joined}${percentBehind(text, last.end)}`, end: last.end};
}

/** Between two formulas, that the second only says when the first holds: `$f(x) = x$ for all $x > 0$`. */
function isCondition(between: string): boolean {
  return /^[\s,.]*(?:\\q?quad\s*)?(?:for (?:all|every|each|any|some)|where|whenever)(?:\s+[a-z]+){0,3}\s*$/i.test(
    between,
  );
}

/** Between two dollars that are money. */
function isProse(formula: string): boolean {
  return /[A-Za-z]{3,} +[A-Za-z]{3,}/.test(formula.replace(/\\[A-Za-z]+(?:\s*\{[^{}]*\})?/g, ''));
}

function percentBehind(text: string, at: number): string {
  return /^\s*(?:\\?%|percent|pct)/.test(text.slice(at, at + 12)) ? '\\%' : '';
}

const numberPattern =
  /(?<![\w.^_{/\\])(?:[-−+]\s?)?[$€£]?(?:(?:\d{1,3}(?:(?:,|\{,\}|,\\!|\\,| )\d{3})+(?!\d)|\d+)(?:[.,]\d+)?|\.\d+)(?:\s*\/\s*\d+(?:\.\d+)?)?(?:\s\d+\/\d+)?(?:\s*(?:\\?%|percent\b|pct\b))?/g;
/** `not 5`, `x > 5`, `5 and a half` */
const deniedBefore = /(?:[<>≤≥≠]|\\(?:[lg]eq?|[lg]t|neq?)|\bnot|n't|\bbut)\s*$/;
const moreBehind = /^\s*(?:\+|\.\.|…|\\[lc]?dots|and a half)/;
const barePattern =
  /(?<![\w\\^_{])[-−]?\d{0,12}\s?\\(?:[dt]?frac\s*\{[^{}]{1,60}\}\s*\{[^{}]{1,60}\}|sqrt\s*\{[^{}]{1,60}\})(?:\s?\\pi(?![a-z]))?/g;
const bareNumber = '[-−+]?(?:\\d{1,3}(?:,\\d{3}){1,4}(?!\\d)|\\d{1,15})(?:\\.\\d{1,12}|\\/\\d{1,12})?';
/** What the last number may be the end of: a point, a time of the day, a ratio, a list. */
const wholes: readonly RegExp[] = [
  new RegExp(`(?<![\\w)])\\([ \\t]?${bareNumber}(?:,[ \\t]?${bareNumber}){1,8}[ \\t]?\\)`, 'g'),
  /(?<![\d:.])\d{1,2}(?::\d{2}){0,2}[ \t]?[ap]\.?[ \t]?m\b\.?/gi,
  /(?<![\d:.])\d{1,9}(?:\.\d{1,9})?(?:[ \t]?:[ \t]?\d{1,9}(?:\.\d{1,9})?){1,4}(?![\d:])/g,
  new RegExp(
    `(?<![\\w.,^_{/\\\\$])${bareNumber}(?:,[ \\t]+${bareNumber}){0,12},?[ \\t]+(?:and|or)[ \\t]+${bareNumber}(?![\\w/]|\\.\\d)`,
    'g',
  ),
];
const unitBehind = /^(?:[cmk]?m|kg|g|s|h|ft|in|l|L)(?:[²³]|\^?\{?[23]\}?)?(?![A-Za-z\d_])/;

function lastNumber(text: string): Found | undefined {
  // What stands in a formula that its line cuts is no number of the prose.
  const prose = text.replace(/\$\s*\n[^$]*\$|\\\(\s*\n(?:[^\\]|\\(?!\)))*\\\)/g, (formula) =>
    formula.startsWith('$$') ? formula : ' '.repeat(formula.length),
  );
  let last: Found | undefined;
  for (const match of prose.matchAll(numberPattern)) {
    if (!/\d/.test(match[0])) continue;
    const behind = prose.slice(match.index + match[0].length, match.index + match[0].length + 12);
    if (/^[A-Za-z_]/.test(behind) && !unitBehind.test(behind)) continue;
    const isOther =
      deniedBefore.test(prose.slice(Math.max(0, match.index - 20), match.index)) || moreBehind.test(behind);
    last = isOther ? undefined : {text: match[0].trim(), at: match.index};
  }
  // LaTeX without its dollars.
  for (const match of prose.matchAll(barePattern))
    if (match.index >= (last?.at ?? -1)) last = {text: match[0].trim(), at: match.index};
  // The last coordinate of a point is not the answer.
  const {at = -1} = last ?? {};
  for (const pattern of last ? wholes : [])
    for (const match of prose.matchAll(pattern))
      if (match.index <= at && match.index + match[0].length > at) return {text: match[0], at: match.index};
  return last;
}

/** What follows the last of the marks that anything follows, up to an empty line. */
function lastBehind(text: string, mark: RegExp): Found | undefined {
  for (const match of [...text.matchAll(mark)].reverse().slice(0, 8)) {
    const behind = text.slice(match.index + match[0].length, match.index + match[0].length + 600);
    const paragraph = (/^(?:[^\n]|\n(?!\n))*/.exec(behind) as RegExpExecArray)[0].trim();
    if (paragraph !== '') return {text: paragraph, at: match.index};
  }
  return undefined;
}

function lastMatch(text: string, pattern: RegExp): Found | undefined {
  let last: Found | undefined;
  for (const match of text.matchAll(pattern)) last = {text: (match[1] as string).trim(), at: match.index};
  return last;
}
