import type {Budget} from './budget.js';
import {maxAnswerLength} from './clean.js';
import {isPhysicalLetter} from './units.js';

export interface Token {
  /** `word`: prose, ours to skip behind a number (a unit) and to compare otherwise. `end`: behind the last one. */
  readonly kind: 'number' | 'letter' | 'command' | 'word' | 'mark' | 'environment' | 'end';
  readonly text: string;
  /** White space stood before it. */
  readonly isApart: boolean;
}

/** Written without a backslash, these are functions and constants all the same. */
const names = new Set([
  'sin',
  'cos',
  'tan',
  'cot',
  'sec',
  'csc',
  'arcsin',
  'arccos',
  'arctan',
  'asin',
  'acos',
  'atan',
  'sinh',
  'cosh',
  'tanh',
  'ln',
  'log',
  'exp',
  'sqrt',
  'cbrt',
  'abs',
  'Abs',
  'pi',
  'Pi',
  'infty',
  'infinity',
  'Infinity',
  'oo',
  'inf',
  'floor',
  'ceil',
  'ceiling',
  'theta',
  'alpha',
  'beta',
  'lambda',
  'phi',
  'gcd',
  'lcm',
  'max',
  'min',
  'det',
  'binom',
  'binomial',
  'factorial',
  'tau',
  'omega',
  'sigma',
  'gamma',
  'delta',
  'mu',
  'rho',
  'epsilon',
  'cup',
  'cap',
  'pm',
  'cdot',
  'frac',
  'times',
]);

/** Whether a word is a function or a sign without its backslash. */
export function isName(word: string): boolean {
  return names.has(word);
}

const separators: Readonly<Record<string, string>> = {and: 'and', or: 'or', und: 'and', et: 'and'};

const commandsAsMarks: Readonly<Record<string, string>> = {
  cdot: '*',
  times: '*',
  ast: '*',
  div: '/',
  colon: ':',
  le: '≤',
  leq: '≤',
  leqslant: '≤',
  leqq: '≤',
  ge: '≥',
  geq: '≥',
  geqslant: '≥',
  geqq: '≥',
  ne: '≠',
  neq: '≠',
  in: '∈',
  approx: '≈',
  simeq: '≈',
  thickapprox: '≈',
  equiv: '≡',
  to: '→',
  rightarrow: '→',
  Rightarrow: '⇒',
  implies: '⇒',
  iff: '⇒',
  mapsto: '→',
  cup: '∪',
  bigcup: '∪',
  cap: '∩',
  bigcap: '∩',
  setminus: '∖',
  backslash: '∖',
  pm: '±',
  mp: '∓',
  lvert: '|',
  rvert: '|',
  vert: '|',
  mid: '|',
  Vert: '‖',
  lVert: '‖',
  rVert: '‖',
  langle: '⟨',
  rangle: '⟩',
  lbrace: '⦃',
  rbrace: '⦄',
  lbrack: '[',
  rbrack: ']',
  lparen: '(',
  rparen: ')',
  lfloor: '⌊',
  rfloor: '⌋',
  lceil: '⌈',
  rceil: '⌉',
  prime: "'",
  land: 'and',
  wedge: 'and',
  lor: 'or',
  vee: 'or',
  circ: '°',
  degree: '°',
  ldots: '…',
  dots: '…',
  cdots: '…',
  dotsc: '…',
  dotsb: '…',
  colonequals: '=',
  tfrac: 'frac',
  notin: '∉',
};

const textCommands = /^\\(?:text|textbf|textit|textrm|textnormal|mathrm|mbox|emph|textsf|texttt|hbox|mathop)\s*\{/;
const thousands = /^\d{1,3}(?:(?:\\,|\{,\}|,\\!)\d{3})+(?!\d)(?:\.\d+)?/;
const commaThousands = /^[1-9]\d{0,2}(?:,\d{3})+(?![\d,])(?:\.\d+)?/;
const spacedThousands = /^[1-9]\d{0,2}(?: \d{3})+(?! ?\d)(?:\.\d+)?/;
const plainNumber = /^(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+(?![A-Za-z\d]))?/;
const marks = '+-*/^_!%=<>|()[]{},;:&\'"?°';

/**
@param text - As `clean` leaves it.
@throws TooComplex when it is longer than the budget.
*/
export function tokenize(text: string, budget: Budget): Token[] {
  const tokens: Token[] = [];
  let depth = 0;
  let at = 0;
  let isApart = false;
  const push = (kind: Token['kind'], piece: string, length: number) => {
    tokens.push({kind, text: piece, isApart});
    at += length;
    isApart = false;
  };
  while (at < text.length) {
    budget.spend();
    const rest = text.slice(at, at + maxAnswerLength);
    const first = rest[0] as string;
    if (first === ' ') {
      at++;
      isApart = true;
      continue;
    }
    if (/[\d.]/.test(first)) {
      if (/^\.\.+/.test(rest)) {
        push('mark', '…', (/^\.+/.exec(rest) as RegExpExecArray)[0].length);
        continue;
      }
      // In `27,63,135,171`, a comma before says that the next one parts a list, too.
      const isListed = tokens.at(-1)?.text === ',' && !isApart && tokens.at(-2)?.kind === 'number';
      const grouped =
        thousands.exec(rest) ??
        (depth === 0 && !isListed ? (commaThousands.exec(rest) ?? spacedThousands.exec(rest)) : null);
      const number = grouped ?? plainNumber.exec(rest);
      if (number) {
        push('number', number[0].replace(/\\,|\{,\}|,\\!|[, ]/g, ''), number[0].length);
        continue;
      }
      at++;
      continue;
    }
    if (first === '\\') {
      const prose = textCommands.exec(rest);
      if (prose) {
        const end = closing(text, at + prose[0].length);
        pushProse(text.slice(at + prose[0].length, end), tokens, isApart || tokens.length > 0);
        at = end + 1;
        isApart = true;
        continue;
      }
      const environment = /^\\(begin|end)\s*\{([a-zA-Z]+)\*?\}(?:\s*\{[|lcr\s]*\}|\s*\[[lcr]\])?/.exec(rest);
      if (environment) {
        push('environment', `${environment[1]} ${environment[2]}`, environment[0].length);
        continue;
      }
      const command = /^\\([A-Za-z]+)/.exec(rest);
      if (command) {
        const name = command[1] as string;
        if (name === 'circ' && isComposition(tokens.at(-1), rest.slice(5, 25))) {
          push('command', 'compose', 5);
          continue;
        }
        const mark = commandsAsMarks[name];
        push(mark === undefined ? 'command' : 'mark', mark ?? name, command[0].length);
        continue;
      }
      if (rest[1] === '\\') push('mark', '\\\\', (/^\\\\(?:\s*\[[^\]]*\])?/.exec(rest) as RegExpExecArray)[0].length);
      else if (rest[1] === '{') push('mark', '⦃', 2);
      else if (rest[1] === '}') push('mark', '⦄', 2);
      else if (rest[1] === '|') push('mark', '‖', 2);
      else if (rest[1] === '%') push('mark', '%', 2);
      else if (rest[1] === ',') at += 2;
      else at += 1;
      continue;
    }
    if (/\p{L}/u.test(first)) {
      const run = (/^\p{L}+/u.exec(rest) as RegExpExecArray)[0];
      const numpy = /^(?:np|math|numpy|sp|sympy)\.(?=[a-z])/.exec(rest);
      if (numpy) {
        at += numpy[0].length;
        continue;
      }
      pushLetters(run, push, isBehindQuantity(tokens), opens.test(rest.slice(run.length, run.length + 40)));
      continue;
    }
    if (marks.includes(first)) {
      const two = rest.slice(0, 2);
      const known = {'<=': '≤', '>=': '≥', '!=': '≠', '**': '^', '==': '='}[two];
      if ('([{'.includes(first)) depth++;
      if (')]}'.includes(first)) depth--;
      if (known && !(two === '!=' && tokens.length > 0 && /number|letter/.test(tokens.at(-1)?.kind ?? '') && !isApart))
        push('mark', known, 2);
      else push('mark', first, 1);
      continue;
    }
    push('word', first, [...first].length);
  }
  tokens.push({kind: 'end', text: '', isApart: true});
  return tokens;
}

/** `f \\circ g`, and not `30 \\circ` or `x^\\circ`. */
function isComposition(before: Token | undefined, behind: string): boolean {
  return (before?.kind === 'letter' || before?.text === ')') && /^\s*[a-zA-Z(]/.test(behind);
}

/** What a function's or an operator's name stands before. */
const opens = /^\s*(?:[({[\\]|\d|[a-zA-Z](?![a-zA-Z]))/;

function pushLetters(
  run: string,
  push: (kind: Token['kind'], text: string, length: number) => void,
  isUnitPlace: boolean,
  isNamePlace: boolean,
): void {
  const lower = run.toLowerCase();
  const separator = separators[lower];
  const leading = [...names].find((name) => name.length > 2 && run.startsWith(name) && run.length === name.length + 1);
  if (separator) push('mark', separator, run.length);
  else if (isUnitPlace && !isNamePlace && /^(?:min|sec|times|cups?|caps?|pm)$/.test(run)) push('word', run, run.length);
  else if (names.has(run)) push('command', commandName(run), run.length);
  else if (leading) push('command', commandName(leading), leading.length);
  else if (run.length >= 4 || (run.length > 1 && isUnitPlace && isUnit(lower))) push('word', run, run.length);
  else push('letter', run[0] as string, 1);
}

function commandName(name: string): string {
  if (name === 'Pi') return 'pi';
  return ['infinity', 'Infinity', 'oo', 'inf'].includes(name) ? 'infty' : name;
}

/** Prose inside `\text{…}`: a number or a letter is mathematics, `and` and `or` part a list, the rest is words. */
function pushProse(content: string, tokens: Token[], isApart: boolean): void {
  for (const word of content.split(/[\s~]+/)) {
    const plain = word.replace(/[.,;:()]+$/g, '').replace(/^[(]+/, '');
    if (word === ',' || word === ';') tokens.push({kind: 'mark', text: ',', isApart: true});
    if (plain === '') continue;
    const separator = separators[plain.toLowerCase()];
    if (separator) tokens.push({kind: 'mark', text: separator, isApart: true});
    else if (/^-?\d+(?:\.\d+)?$/.test(plain)) {
      if (plain.startsWith('-')) tokens.push({kind: 'mark', text: '-', isApart});
      tokens.push({kind: 'number', text: plain.replace('-', ''), isApart: true});
    } else if (names.has(plain)) tokens.push({kind: 'command', text: commandName(plain), isApart});
    else if (isPhysicalLetter(plain) && isQuantity(tokens.at(-1))) tokens.push({kind: 'word', text: plain, isApart});
    else if (/^[A-Za-z]$/.test(plain)) tokens.push({kind: 'letter', text: plain, isApart});
    else tokens.push({kind: 'word', text: plain, isApart});
  }
}

/** Elsewhere, `ma` and `mg` are products. */
function isBehindQuantity(tokens: readonly Token[]): boolean {
  const [last, before] = [tokens.at(-1), tokens.at(-2)];
  if (last?.kind === 'mark' && /^[/*]$/.test(last.text)) return before?.kind === 'word';
  return isQuantity(last) || last?.kind === 'word' || last?.text === '%' || last?.text === '°' || last?.text === 'pi';
}

function isQuantity(token: Token | undefined): boolean {
  return token !== undefined && (token.kind === 'number' || (token.kind === 'mark' && /^[)}\]]$/.test(token.text)));
}

/** The place of the brace that closes a group. */
function closing(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return at;
  }
  return text.length;
}

const units = new Set(
  (
    'cm mm km dm nm um ft in yd mi kg mg lb lbs oz ml dl cl hr hrs min mins sec secs ms deg rad rads mph kph kmh hz khz mhz ghz kw kwh mw ev kev mev gev kj mj pa kpa mpa atm mol mmol ' +
    'usd eur gbp rmb cny inr pct sq cu am pm au ly pc bits gb mb kb tb rpm rps db kn ma mv kv yr yrs ' +
    'per day men cup way ton box egg kid lap'
  ).split(' '),
);

export function isUnit(word: string): boolean {
  return units.has(word);
}
