import type {CodeTests} from '../../types.js';

export interface ProgramQuery {
  /** Functions that the tests call. */
  readonly names: readonly string[];
  readonly prefix?: CodeTests['prefix'];
  /** The text ends where it was cut off, not where its writer ended it. */
  readonly isCutOff?: boolean;
}

/**
The program in a completion: the last fenced Python block, of several the last that defines a function asked for; else the last fenced block that is not in
another language; else, where there is a `prefix`, what goes on from it, as HumanEval asks a base model; else text that begins as Python does.
A block that defines none of the functions goes on from the prefix too. undefined: there is none.
*/
export function findProgram(completion: string, query: ProgramQuery): string | undefined {
  const text = completion.replace(/\r\n?/g, '\n');
  const block = chooseBlock(fencedBlocks(text, query.isCutOff === true), query.names);
  if (block !== undefined) return withPrefix(block, query);
  if (/^ {0,3}(?:```|~~~)/m.test(text)) return undefined; // a fence that holds no program
  if (query.prefix !== undefined && !defines(text, query.names)) {
    const body = continuation(text, query.isCutOff === true);
    return body.trim() === '' ? undefined : joined(query.prefix, body);
  }
  return bareProgram(text, query);
}

interface Block {
  readonly language: string;
  readonly code: string;
}

const python = /^(?:python|py|python3|python2|ipython|pycon)?$/i;

/** An open block at the end counts where the text was not cut off. */
function fencedBlocks(text: string, isCutOff: boolean): readonly Block[] {
  const blocks: Block[] = [];
  let open:
    | {readonly fence: string; readonly language: string; readonly indent: string; readonly lines: string[]}
    | undefined;
  for (const line of text.split('\n')) {
    if (open !== undefined) {
      const [, fence, rest = ''] = /^[ \t]*(`{3,}|~{3,})(.*)$/.exec(line) ?? [];
      const isEnd = fence?.startsWith(open.fence) && !/^\w/.test(rest); // ```python within a block opens nothing and ends nothing
      if (!isEnd) open.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
      else {
        blocks.push({language: open.language, code: open.lines.join('\n')});
        open = undefined;
      }
      continue;
    }
    // behind other words only with Python's name, for three marks stand in prose too
    const [whole, behind] = [/^([ \t]*)(`{3,}|~{3,})(.*)$/.exec(line), /()(`{3,})((?:python|py)3?)\s*$/i];
    const [, indent = '', fence, info = ''] =
      whole?.[3]?.includes('`') === false ? whole : (behind.exec(line.slice(-40)) ?? []);
    const language =
      info
        .trim()
        .split(/[\s,:{}]+/)
        .find(Boolean) ?? '';
    if (fence) open = {fence, language, indent, lines: []};
  }
  if (open !== undefined && !isCutOff) blocks.push({language: open.language, code: open.lines.join('\n')});
  return blocks.filter(({code}) => code.trim() !== '');
}

function chooseBlock(blocks: readonly Block[], names: readonly string[]): string | undefined {
  const named = blocks.filter(({language}) => language !== '' && python.test(language));
  const plain = blocks.filter(({language}) => language === '');
  for (const group of [named, plain]) {
    const codes = group.map(({code}) => (defines(code, names) ? code : dedent(code)));
    const chosen = codes.findLast((code) => defines(code, names)) ?? group.at(-1)?.code;
    if (chosen !== undefined) return chosen;
  }
  return undefined;
}

/** Without the blanks that every line begins with. */
function dedent(code: string): string {
  const lines = code.split('\n').filter((line) => line.trim() !== '');
  let indent = /^[ \t]*/.exec(lines[0] ?? '')?.[0] ?? '';
  for (const line of lines) {
    const end = [...indent].findIndex((blank, i) => line[i] !== blank);
    if (end >= 0) indent = indent.slice(0, end);
  }
  const strip = (line: string) => (line.startsWith(indent) ? line.slice(indent.length) : line);
  return indent === '' ? code : code.split('\n').map(strip).join('\n');
}

function withPrefix(code: string, {names, prefix}: ProgramQuery): string {
  return prefix === undefined || names.length === 0 || defines(code, names) ? code : joined(prefix, code);
}

function joined(prefix: string, body: string): string {
  return prefix.endsWith('\n') || body.startsWith('\n') ? prefix + body : `${prefix}\n${body}`;
}

function defines(code: string, names: readonly string[]): boolean {
  return names.some((name) => {
    const escaped = name.replace(/[^\w]/g, '\\$&');
    return new RegExp(
      `^(?:(?:async +)?def|class) +${escaped}\\b|^${escaped}[ \\t]*(?::[^=\\n]*)?=(?!=)|^from [\\w.]+ import [^\\n]*\\b${escaped}\\b`,
      'm',
    ).test(code);
  });
}

/**
The body that a base model writes on with, and the functions after it; from the first other statement at the margin on (a call, a print, prose) it is
no longer the answer. Cut off, the last of several functions is not whole.
*/
function continuation(text: string, isCutOff: boolean): string {
  const lines = text.split('\n');
  const end = lines.findIndex(
    (line, i) => i > 0 && /^\S/.test(line) && !/^(?:(?:async +)?def |class |import |from |@|[)\]}])/.test(line),
  );
  const kept = end < 0 ? lines : lines.slice(0, end);
  const last = kept.findLastIndex((line, i) => i > 0 && /^(?:@|(?:async +)?def |class )/.test(line));
  return (isCutOff && end < 0 && last > 0 ? kept.slice(0, last) : kept).join('\n');
}

/** Text without a fence that is Python from some line on, up to where it no longer looks so. */
function bareProgram(text: string, {names}: ProgramQuery): string | undefined {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => beginning.test(line));
  const rest = start < 0 ? [] : lines.slice(start);
  const hasDefinition = rest.some((line) => definition.test(line)) || defines(text, names);
  return hasDefinition ? rest.slice(0, codeLength(rest)).join('\n') : undefined;
}

const definition = /^(?:import \w|from [\w.]+ import |(?:async +)?def \w+ *\(|class \w+ *[(:])/;
const beginning = new RegExp(`${definition.source}|^@\\w|^[A-Za-z_]\\w* *=[^=]`);
const keyword =
  /^(?:async|def|class|import|from|if|elif|else|for|while|try|except|finally|with|return|raise|assert|del|global|pass)\b/;

/** Lines from the first one on that are indented, blank, within a long string, or begin as statements do. */
function codeLength(lines: readonly string[]): number {
  let quote: string | undefined;
  for (const [i, line] of lines.entries()) {
    const isStatement = keyword.test(line) || /^[\w.]+(?:\[[^\]]*\])?\s*(?:[-+*/%|&^]?=|\(|:)/.test(line);
    if (quote === undefined && !isStatement && !/^(?:$|[\s#@)\]}"'])/.test(line)) return i;
    quote = quoteAfter(line, quote);
  }
  return lines.length;
}

/** The long string's mark that is open behind a line. */
function quoteAfter(line: string, open: string | undefined): string | undefined {
  let quote = open;
  for (const [mark] of line.matchAll(/"""|'''/g)) {
    if (quote === undefined) quote = mark;
    else if (quote === mark) quote = undefined;
  }
  return quote;
}
