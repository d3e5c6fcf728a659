import {IlrError} from '../errors.js';
import {visible} from './visible.js';

/** Markup that may stand in a page. Only `html` makes it, and `Html.trusted` of what we wrote ourselves. */
export class Html {
  private constructor(readonly markup: string) {}

  /** Of our own source text alone, never of a value. */
  static trusted(markup: string): Html {
    return new Html(markup);
  }
}

/** What a template takes: text is escaped, markup stands as it is, lists one behind the other, nothing for undefined. */
export type Shown = string | number | Html | undefined | readonly Shown[];

/**
A template of markup. Values may stand in the text of an element and in a quoted attribute; elsewhere (a tag, an unquoted attribute, an
attribute that holds a link, a style or code) the template itself is refused.

@throws IlrError `ILR_INVALID_ARGUMENT` on such a template, or on markup in an attribute.
*/
export function html(strings: TemplateStringsArray, ...values: readonly Shown[]): Html {
  const places = placesOf(strings);
  const shown = values.map((value, i) => (places[i] === 'text' ? inText(value) : inAttribute(value)));
  return Html.trusted(strings.map((string, i) => string + (shown[i] ?? '')).join(''));
}

export function escapeHtml(text: string): string {
  return visible(text).replaceAll(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function inText(value: Shown): string {
  if (value instanceof Html) return value.markup;
  return Array.isArray(value) ? value.map(inText).join('') : plain(value as Exclude<Shown, readonly Shown[] | Html>);
}

function inAttribute(value: Shown): string {
  if (value instanceof Html || Array.isArray(value)) throw refused('expected text in an attribute, got markup');
  return plain(value as Exclude<Shown, readonly Shown[] | Html>);
}

function plain(value: string | number | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value));
  throw refused(`expected text or markup, got ${typeof value}`);
}

type Place = 'text' | 'attribute';

const known = new WeakMap<TemplateStringsArray, readonly Place[]>();

function placesOf(strings: TemplateStringsArray): readonly Place[] {
  const places = known.get(strings) ?? findPlaces(strings);
  known.set(strings, places);
  return places;
}

/** Attributes that are read as more than text. */
const dangerous = /^(?:on.*|style|src.*|.*href|action|formaction|data|ping|poster|background|http-equiv|content)$/i;
/** What is not read as elements and text. */
const raw =
  /^(?:[!?]|(?:script|style|template|iframe|object|embed|textarea|xmp|plaintext|noscript|noembed|noframes)\b)/i;

function findPlaces(strings: TemplateStringsArray): Place[] {
  const places: Place[] = [];
  const scanner = new Scanner();
  for (const [i, string] of strings.entries()) {
    for (const character of string) scanner.read(character);
    if (i === strings.length - 1) break;
    const {state, tag, attribute} = scanner;
    if (state === 'tag') throw refused(`got a value within the tag <${tag}`);
    const isLocalLink = attribute === 'href' && /"#[\w-]*$/.test(string);
    if (state === 'attribute' && dangerous.test(attribute) && !isLocalLink)
      throw refused(`got a value in ${attribute}`);
    places.push(state);
  }
  if (scanner.state !== 'text') throw refused('got a tag that does not end');
  return places;
}

/** Where a template is after each character of its own. */
class Scanner {
  state: Place | 'tag' = 'text';
  tag = '';
  attribute = '';

  read(character: string): void {
    if (this.state === 'text') {
      if (character !== '<') return;
      this.state = 'tag';
      this.tag = '';
    } else if (this.state === 'attribute') {
      if (character === '"') this.state = 'tag';
    } else this.readTag(character);
  }

  private readTag(character: string): void {
    if (character === '"') {
      this.state = 'attribute';
      this.attribute = /([^\s"=]*)=$/.exec(this.tag)?.[1] ?? '';
    } else if (character === '>') {
      if (raw.test(this.tag)) throw refused(`got <${this.tag}>`);
      this.state = 'text';
    } else if (character === "'" || character === '<') throw refused(`got ${character} in the tag <${this.tag}`);
    this.tag += character;
  }
}

function refused(what: string): IlrError {
  return new IlrError(
    'ILR_INVALID_ARGUMENT',
    `Expected values in a template’s text and quoted attributes alone: ${what}.`,
  );
}
