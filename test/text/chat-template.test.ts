import test from 'ava';
import {createChatTemplate, plainTemplate, type Renderer} from '../../src/text/chat-template.js';
import type {Message} from '../../src/types.js';

/** Template text as it is, contents in brackets, ids as numbers. */
function show(renderer: Renderer, messages: readonly Message[], addGenerationPrompt = true): string {
  return renderer
    .render(messages, {addGenerationPrompt})
    .map((segment) => (segment.kind === 'template' ? segment.text : `[${segment.content.map(String).join('+')}]`))
    .join('');
}

const user = (...content: (string | Int32Array)[]): Message => ({role: 'user', content});
const assistant = (...content: (string | Int32Array)[]): Message => ({role: 'assistant', content});

const simple =
  '{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}';

test('a template is rendered around contents of text and ids', (t) => {
  const renderer = createChatTemplate(simple, {});
  t.is(
    show(renderer, [user('a {{ b }}'), assistant(Int32Array.of(5, 6), 'c'), user('d')]),
    '<user>[a {{ b }}]</><assistant>[5,6+c]</><user>[d]</><assistant>',
  );
  t.is(show(renderer, [user('a')], false), '<user>[a]</>');
  t.is(show(renderer, [user()]), '<user>[]</><assistant>');
});

test('a template may trim the white space around a content, and keeps it where it does not', (t) => {
  const trimming = createChatTemplate('{% for m in messages %}<{{ m.content | trim }}>{% endfor %}', {});
  t.is(show(trimming, [user('\n a b \n')]), '<[a b]>');
  t.is(show(trimming, [user(' \n ')]), '<[]>');
  t.is(
    show(createChatTemplate(simple, {}), [user('\n a\n', Int32Array.of(1), ' b ')], false),
    '<user>\n [a\n+1+ b] </>',
  );
});

test('arguments and special tokens reach the template', (t) => {
  const renderer = createChatTemplate(
    '{{ bos_token }}{{ messages[0].content }}{% if enable_thinking is defined and not enable_thinking %}<no>{% endif %}',
    {bos_token: '<s>', enable_thinking: false},
  );
  t.is(show(renderer, [user('a')]), '<s>[a]<no>');
});

test('a template that edits thinking leaves contents alone', (t) => {
  const renderer = createChatTemplate("{% for m in messages %}{{ m.content.split('</think>')[-1] }};{% endfor %}", {});
  t.is(show(renderer, [assistant('<think>x</think>y'), user('z')]), '[<think>x</think>y];[z];');
});

test('a content that a template drops, doubles or moves is an error that names it', (t) => {
  const dropping = "{% for m in messages %}{% if m.role != 'system' %}{{ m.content }}{% endif %}{% endfor %}";
  t.throws(() => createChatTemplate(dropping, {}).render([{role: 'system', content: ['s']}, user('u')]), {
    code: 'ILR_INVALID_MODEL',
    message: /none for message 0 \(system\).*template: plain/,
  });
  for (const wrong of ['{{ messages[0].content }}{{ messages[0].content }}', '{{ messages[0].content | length }}'])
    t.throws(() => createChatTemplate(wrong, {}).render([user('u')]), {code: 'ILR_INVALID_MODEL'});
  t.throws(
    () => createChatTemplate('{{ messages[1].content }}{{ messages[0].content }}', {}).render([user('u'), user('v')]),
    {
      message: /in the order 1, 0/,
    },
  );
});

test('a template’s own complaint comes through', (t) => {
  const renderer = createChatTemplate("{{ raise_exception('no system please') }}", {});
  t.throws(() => renderer.render([user('u')]), {code: 'ILR_INVALID_MODEL', message: /no system please/});
  t.throws(() => createChatTemplate('{% for %}', {}), {
    code: 'ILR_INVALID_MODEL',
    message: /expected a Jinja template/,
  });
});

test('a hostile template ends in an error', (t) => {
  const nested = '{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}';
  const doubling = `{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}`;
  // Without a bound on values, V8 would end the process here.
  const replacing = `{% set ns = namespace(x='a') %}{% for i in range(40) %}{% set ns.x = ns.x | replace('a', 'aaaaaaaaaa') %}{% endfor %}{{ ns.x }}`;
  const long = '{% for a in range(90000) %}0123456789abcdef{% endfor %}';
  for (const hostile of [
    nested,
    doubling,
    doubling.replaceAll("'a'", '[1]'),
    replacing,
    long,
    '{{ range(1000000000) }}',
    '{{ range(0, 5, 0) }}',
    '\ue000',
    ' '.repeat(300_000),
    // The library's reader takes quadratic time over white space.
    ' '.repeat(250_000),
  ])
    t.throws(() => createChatTemplate(hostile, {}).render([user('u')]), {code: 'ILR_INVALID_MODEL'});
});

test('the plain format joins contents by blank lines and names turns only in a dialogue', (t) => {
  t.is(show(plainTemplate, [user('q')]), '[q]\n\n');
  t.is(show(plainTemplate, [{role: 'system', content: ['s']}, user('q')]), '[s]\n\n[q]\n\n');
  t.is(
    show(plainTemplate, [user('q'), assistant('a'), user('r')]),
    'User:\n[q]\n\nAssistant:\n[a]\n\nUser:\n[r]\n\nAssistant:\n',
  );
});
