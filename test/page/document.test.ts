import {createHash} from 'node:crypto';
import test from 'ava';
import {toDocument} from '../../src/page/document.js';
import {html} from '../../src/page/html.js';
import {style} from '../../src/page/style.js';
import {elementsOf, readMarkup, textOf} from '../helpers/markup.js';

test('the policy lets nothing in but the one style, by its hash', (t) => {
  const elements = elementsOf(readMarkup(toDocument({title: 't', body: html`<p>x</p>`})));
  const styles = elements.filter(({name}) => name === 'style');
  t.is(styles.length, 1);
  const hash = createHash('sha256')
    .update(textOf(styles[0] as NonNullable<(typeof styles)[0]>))
    .digest('base64');
  const policies = elements.filter(({attributes}) => attributes.get('http-equiv') === 'Content-Security-Policy');
  t.deepEqual(
    policies.map(({attributes}) => attributes.get('content')),
    [`default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`],
  );
  const places = ['meta', 'style'].map((name) => elements.findIndex((element) => element.name === name));
  t.true(elements.indexOf(policies[0] as NonNullable<(typeof policies)[0]>) < (places[1] as number));
});

test('the style loads nothing and ends nowhere but at its end', (t) => {
  t.notRegex(style, /<|url\(|@import|expression|javascript:/i);
  t.is((style.match(/\{/g) ?? []).length, (style.match(/\}/g) ?? []).length);
});
