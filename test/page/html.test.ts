import {readdir, readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {toDocument} from '../../src/page/document.js';
import {Html, html, type Shown} from '../../src/page/html.js';
import {elementsOf, hostileTexts, readMarkup, textOf} from '../helpers/markup.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

test('values are text: in an element and in a quoted attribute', (t) => {
  const evil = `<b a='"&\`>`;
  t.is(
    html`<p class="${evil}">${evil}</p>`.markup,
    '<p class="&#60;b a=&#39;&#34;&#38;&#96;&#62;">&#60;b a=&#39;&#34;&#38;&#96;&#62;</p>',
  );
});

test('markup of a template stands in another, lists and numbers too, and nothing for undefined', (t) => {
  const items = ['<', 2].map((one) => html`<li>${one}</li>`);
  t.is(html`<ul>${items}${undefined}</ul>${[['a'], 1.5]}`.markup, '<ul><li>&#60;</li><li>2</li></ul>a1.5');
});

test('a template that would put a value where it is more than text is refused', (t) => {
  const value = 'x';
  const refused: readonly (() => unknown)[] = [
    () => html`<p ${value}></p>`,
    () => html`<p class=${value}></p>`,
    () => html`<p class='${value}'></p>`,
    () => html`<${value}></p>`,
    () => html`<p onclick="${value}"></p>`,
    () => html`<p style="color: ${value}"></p>`,
    () => html`<a href="${value}">x</a>`,
    () => html`<a href="https://x/${value}">x</a>`,
    () => html`<a xlink:href="${value}">x</a>`,
    () => html`<img src="${value}">`,
    () => html`<form action="${value}"></form>`,
    () => html`<meta content="${value}">`,
    () => html`<script>${value}</script>`,
    () => html`<style>${value}</style>`,
    () => html`<iframe></iframe>`,
    () => html`<!-- ${value} -->`,
    () => html`<p>${value}</p`,
  ];
  for (const template of refused) {
    t.throws(
      template,
      {code: 'ILR_INVALID_ARGUMENT', message: /Expected values in a template’s text/},
      String(template),
    );
  }
  t.is(html`<a href="#b${1}">x</a>`.markup, '<a href="#b1">x</a>');
});

test('what is no text is refused, and markup in an attribute', (t) => {
  for (const value of [null, true, {markup: '<b>'}, Symbol('x')]) t.throws(() => html`<p>${value as never}</p>`);
  t.throws(() => html`<p class="${html`<b></b>`}"></p>`, {message: /got markup/});
  t.throws(() => html`<p class="${['a'] as Shown}"></p>`, {message: /got markup/});
});

test('hostile text comes out as what can be seen, in one piece of text', (t) => {
  for (const hostile of hostileTexts) {
    const page = toDocument({title: hostile, body: html`<p class="${hostile}">${hostile}</p>`});
    const elements = elementsOf(readMarkup(page));
    const names = elements.map(({name}) => name).join(' ');
    t.is(names, 'html head meta meta meta meta meta style title body p');
    const paragraph = elements.at(-1);
    const shown = textOf(paragraph as NonNullable<typeof paragraph>);
    t.is(paragraph?.attributes.get('class'), shown);
    t.notRegex(shown, /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/u);
    // what can be seen is there as it was
    const seen = hostile.replaceAll(/[^\x20-\x7e]/gu, '');
    t.is(shown.replaceAll(/\[U\+[0-9A-F]{4,6}\]/g, '').replaceAll(/[^\x20-\x7e]/gu, ''), seen);
  }
});

test('line breaks, tabs, joiners, accents and other scripts stay', (t) => {
  const text = 'a\tb\nc é ½ 漢字 مرحبا नि क्\u200dष 👩\u200d🔬';
  t.is(html`${text}`.markup, text);
});

test('only the document says Html.trusted', async (t) => {
  const folders = ['src/page', 'src/eval', 'src/cli'];
  for (const folder of folders) {
    for (const name of await readdir(join(root, folder))) {
      const isAllowed = ['html.ts', 'document.ts'].includes(name) && folder === 'src/page';
      const text = await readFile(join(root, folder, name), 'utf8');
      if (!isAllowed) t.notRegex(text, /\.trusted\(|new Html\(/, `${folder}/${name}`);
    }
  }
  t.true(Html.trusted('<b></b>') instanceof Html);
});
