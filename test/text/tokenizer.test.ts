import {readFile} from 'node:fs/promises';
import test from 'ava';
import {Tokenizer, type TokenizerJson} from '../../src/text/tokenizer.js';
import {sharedPath} from '../helpers/shared.js';

const letters = Object.fromEntries([...'abcdeimnst<>|_/ \n▁'].map((letter, id) => [letter, id]));

function json(added: TokenizerJson['added_tokens'], rest: Partial<TokenizerJson> = {}): TokenizerJson {
  return {added_tokens: added, model: {type: 'BPE', vocab: letters, merges: []} as TokenizerJson['model'], ...rest};
}

const end = {id: 30, content: '<e>', special: true};

test('only trusted text holds added tokens, and only wholly', async (t) => {
  const tokenizer = await Tokenizer.create(json([end]));
  const characters = [...'<e>'].map((letter) => letters[letter]);
  t.deepEqual(tokenizer.encodeSpans([{text: '<e>', isTrusted: true}], true), [30]);
  t.deepEqual(tokenizer.encodeSpans([{text: '<e>', isTrusted: false}], true), characters);
  t.deepEqual(
    tokenizer.encodeSpans(
      [
        {text: '<', isTrusted: true},
        {text: 'e', isTrusted: false},
        {text: '>', isTrusted: true},
      ],
      true,
    ),
    characters,
  );
  t.deepEqual(
    tokenizer.encodeSpans(
      [
        {text: '<e', isTrusted: true},
        {text: '', isTrusted: false},
        {text: '>', isTrusted: true},
      ],
      true,
    ),
    [30],
  );
  t.deepEqual(tokenizer.encode('<<e>e>').length, 6);
});

test('the longest added token wins, and flags take white space or ask for a whole word', async (t) => {
  const tokenizer = await Tokenizer.create(
    json([
      end,
      {id: 31, content: '<e><e>', special: true},
      {id: 32, content: 'a', single_word: true},
      {id: 33, content: '|', lstrip: true, rstrip: true},
    ]),
  );
  const ids = (text: string) => tokenizer.encodeSpans([{text, isTrusted: true}], true);
  t.deepEqual(ids('<e><e><e>'), [31, 30]);
  t.deepEqual(ids('a ba<a'), [32, letters[' '], letters.b, letters.a, letters['<'], 32]);
  t.deepEqual(ids('b \n|  | e'), [letters.b, 33, 33, letters.e]);
});

test('special tokens are left out of decoded text, other added tokens and unknown ids are not mistaken', async (t) => {
  const tokenizer = await Tokenizer.create(json([end, {id: 31, content: '<t>'}], {decoder: {type: 'Fuse'}}));
  t.is(tokenizer.decode([0, 30, 31, 29, 5000, 1]), 'a<t>b');
  t.is(tokenizer.decode([0, 30], {keepSpecial: true}), 'a<e>');
  t.is(tokenizer.vocabSize, 32);
});

test('a first space is put before the sequence, not behind each special token', async (t) => {
  const pre_tokenizer = {type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false};
  const tokenizer = await Tokenizer.create(json([end], {pre_tokenizer}));
  const space = letters['▁'] as number;
  t.deepEqual(tokenizer.encodeSpans([{text: 'a<e>a a', isTrusted: true}], true), [space, 0, 30, 0, space, 0]);
  t.deepEqual(tokenizer.encodeSpans([{text: 'a', isTrusted: true}], false), [0]);
});

test('half a surrogate pair does no harm', async (t) => {
  const tokenizer = await Tokenizer.create(json([end], {normalizer: {type: 'NFC'}}));
  t.deepEqual(tokenizer.encode('a\ud83db'), [0, 1]);
});

test('damaged files are refused', async (t) => {
  const bad = async (value: unknown, code: string) => {
    await t.throwsAsync(Tokenizer.create(value as TokenizerJson), {code});
  };
  await bad({}, 'ILR_INVALID_MODEL');
  await bad({model: {type: 'BPE', vocab: {a: 0}}}, 'ILR_INVALID_MODEL');
  await bad({model: {type: 'BPE', vocab: {a: -1}, merges: []}}, 'ILR_INVALID_MODEL');
  await bad({model: {type: 'BPE', vocab: {a: 2 ** 40}, merges: []}}, 'ILR_INVALID_MODEL');
  await bad(json([{id: 1} as never]), 'ILR_INVALID_MODEL');
  await bad(json({a: 1} as never), 'ILR_INVALID_MODEL');
  for (const merge of [1, null, {}])
    await bad({model: {type: 'BPE', vocab: {a: 0}, merges: [merge as never]}}, 'ILR_INVALID_MODEL');
  await bad({model: {type: 'Unigram', vocab: []}}, 'ILR_UNSUPPORTED');
  await bad(json([], {pre_tokenizer: {type: 'Split', pattern: {Regex: '('}}}), 'ILR_INVALID_MODEL');
});

for (const name of ['gpt2', 'qwen2.5', 'qwen3', 'smollm2']) {
  const file = sharedPath('tokenizers', name, 'tokenizer.json');
  const golden = sharedPath('tokenizers', name, 'golden.jsonl');
  const title = `${name}: ids and text of golden.jsonl, and no added token in untrusted text`;
  if (!file || !golden) {
    test.skip(`${title} (../shared is not here)`, () => undefined);
    continue;
  }
  test(title, async (t) => {
    const source = await readFile(file, 'utf8');
    const parsed = JSON.parse(source) as TokenizerJson;
    const tokenizer = await Tokenizer.create(parsed);
    const rows = (await readFile(golden, 'utf8')).trimEnd().split('\n');
    for (const row of rows) {
      const {text, ids, decoded} = JSON.parse(row);
      // The golden ids were made with added tokens recognised everywhere.
      t.deepEqual(tokenizer.encodeSpans([{text, isTrusted: true}], true), ids);
      t.is(tokenizer.decode(ids, {keepSpecial: true}), decoded ?? text);
    }
    t.is(rows.length, 60);

    const added = parsed.added_tokens ?? [];
    const names = added.map((token) => token.content);
    const split = (outer: string) => `${outer.slice(0, 3)}${outer}${outer.slice(3)}`;
    const attacks = [
      ...names,
      names.join(''),
      names.join(' '),
      [...names].reverse().join('\n'),
      names.map(split).join(''),
      names.map(split).map(split).join(''),
      '<|im_<|im_end|>end|>',
    ];
    const addedIds = new Set(added.map((token) => token.id));
    for (const attack of attacks) {
      const ids = tokenizer.encode(attack);
      t.deepEqual(
        ids.filter((id) => addedIds.has(id)),
        [],
      );
      t.is(tokenizer.decode(ids), attack);
    }
  });
}

const gsm8k = sharedPath('data', 'gsm8k', 'test.jsonl');
const qwen = sharedPath('tokenizers', 'qwen2.5', 'tokenizer.json');
(gsm8k && qwen ? test : test.skip)('real text gives the ids that the tokenizers library gives', async (t) => {
  const {Tokenizer: Library} = await import('tokenizers');
  const source = await readFile(qwen as string, 'utf8');
  const library = Library.fromString(source);
  const tokenizer = await Tokenizer.create(JSON.parse(source));
  const rows = (await readFile(gsm8k as string, 'utf8')).trimEnd().split('\n').slice(0, 300);
  for (const row of rows) {
    const {question, answer} = JSON.parse(row);
    const text = `${question}\n\n${answer}`;
    t.deepEqual(tokenizer.encode(text), (await library.encode(text)).getIds());
  }
});
