/**
Reads a page as a browser would, apart from src/page: elements, quoted attributes and text, and nothing else. What the grammar of our pages does
not know (comments, unquoted attributes, a raw element besides the one style) is an error.
*/

export interface Element {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  /** Decoded, in the order of the page. */
  readonly children: (Element | string)[];
}

const empty = ['meta', 'br'];

export function readMarkup(page: string): Element {
  const root: Element = {name: '#root', attributes: new Map(), children: []};
  const open: Element[] = [root];
  const top = () => open.at(-1) as Element;
  let at = 0;
  const take = (form: RegExp): RegExpExecArray | null => {
    const sticky = new RegExp(form.source, 'sy');
    sticky.lastIndex = at;
    const found = sticky.exec(page);
    if (found) at = sticky.lastIndex;
    return found;
  };
  const fail = (what: string): never => {
    throw new Error(`${what} at ${at}: ${JSON.stringify(page.slice(at, at + 80))}`);
  };
  if (!take(/<!doctype html>\n/)) fail('no doctype');
  while (at < page.length) {
    const text = take(/[^<]+/);
    if (text) {
      top().children.push(decode(text[0]));
      continue;
    }
    const closing = take(/<\/([a-z][a-z0-9]*)>/);
    if (closing) {
      if (open.pop()?.name !== closing[1]) fail(`unexpected </${closing[1]}>`);
      continue;
    }
    const opening = take(/<([a-z][a-z0-9]*)/) ?? fail('neither text nor a tag');
    const name = opening[1] as string;
    const attributes = new Map<string, string>();
    for (let one = take(/ ([a-zA-Z][\w-]*)(?:="([^"]*)")?/); one; one = take(/ ([a-zA-Z][\w-]*)(?:="([^"]*)")?/)) {
      if (attributes.has(one[1] as string)) fail('an attribute twice');
      attributes.set(one[1] as string, decode(one[2] ?? ''));
    }
    const end = take(/\/?>/) ?? fail('a tag that does not end');
    const element: Element = {name, attributes, children: []};
    top().children.push(element);
    if (end[0] === '/>' || empty.includes(name)) continue;
    if (name === 'style') {
      element.children.push((take(/[^<]*(?=<\/style>)/) ?? fail('a style that does not end'))[0]);
    }
    open.push(element);
  }
  if (open.length !== 1) fail(`<${top().name}> is not closed`);
  return root;
}

function decode(text: string): string {
  if (/&(?!#\d+;)/.test(text)) throw new Error(`an ampersand that is not escaped: ${text.slice(0, 80)}`);
  return text.replaceAll(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)));
}

export function elementsOf(element: Element): Element[] {
  return element.children.flatMap((child) => (typeof child === 'string' ? [] : [child, ...elementsOf(child)]));
}

export function textOf(element: Element): string {
  return element.children.map((child) => (typeof child === 'string' ? child : textOf(child))).join('');
}

/** What models, files and servers may send to a page. */
export const hostileTexts: readonly string[] = [
  '<script>alert(1)</script>',
  '</pre></details></body><script src="//evil.example/x.js"></script>',
  '</style><style>*{display:none}</style>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '` onload=`alert(1)`',
  '<a href="javascript:alert(1)">javascript:alert(1)</a>',
  '<!-- <!--> --!> <![CDATA[ ]]> <?php ?>',
  '&lt;script&gt; &#60;script&#62; &amp;#x3c;',
  '</title><svg/onload=alert(1)>',
  '$\u007balert(1)} {{constructor}} <%= 7 %> $& $1',
  'safe \u202Eevil\u202C \u2066x\u2069 \u200B\u2060\uFEFF \u200E\u061C',
  '\u001b[31mred\u001b[0m \u001b]8;;http://evil.example\u0007link\u001b]8;;\u0007 \u009b31m \b\b\r',
  'nul \u0000 \u007f \u0085 \u2028 \u2029 \ufff9',
  'half \ud800 and \udc00 and \ud83d',
  'tags \u{E0041}\u{E007F}',
  'x'.repeat(1 << 20),
  '<'.repeat(5000),
  '\u202E'.repeat(5000),
];
