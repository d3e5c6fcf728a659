import {readFile} from 'node:fs/promises';
import test from 'ava';
import {type FolderText, loadAgentText} from '../../src/text/load.js';
import type {Message} from '../../src/types.js';
import {folderWith} from '../helpers/folder.js';
import {sharedPath} from '../helpers/shared.js';

const vocab = Object.fromEntries([...'abcUserAitn:<>/\n '].map((letter, id) => [letter, id]));
const added = [
  {id: 20, content: '<end>', special: true},
  {id: 21, content: '<eos>', special: true},
  {id: 22, content: '<bos>', special: true},
];
const tokenizerJson = {added_tokens: added, model: {type: 'BPE', vocab, merges: []}, decoder: {type: 'Fuse'}};
const template = '{{ bos_token }}{% for m in messages %}{{ m.content }}<end>\n{% endfor %}';
const newline = vocab['\n'] as number;

test('stop ids are those of the model, the tokenizer and the template', async (t) => {
  const folder = await folderWith(t, {
    'tokenizer.json': tokenizerJson,
    'tokenizer_config.json': {chat_template: template, eos_token: {content: '<eos>'}, bos_token: '<bos>'},
    'generation_config.json': {eos_token_id: [3, 21]},
    'config.json': {eos_token_id: 4},
  });
  const text = await loadAgentText(folder);
  t.deepEqual(text.stopIds, [3, 21, 20]);
  t.deepEqual((await loadAgentText(folder, {eosIds: [5]})).stopIds, [5, 21, 20]);
  t.deepEqual((await loadAgentText(folder, {template: 'plain'})).stopIds, [3, 21]);
  t.deepEqual([...text.promptIds([{role: 'user', content: ['a']}])], [22, 0, 20, newline]);
});

test('own ids stay; a stop id before the template’s end of turn goes', async (t) => {
  const folder = await folderWith(t, {
    'tokenizer.json': tokenizerJson,
    'tokenizer_config.json': {chat_template: template, eos_token: '<eos>'},
  });
  const text = await loadAgentText(folder);
  const ids = (...content: (string | Int32Array)[]) => [...text.promptIds([{role: 'assistant', content}])];
  t.deepEqual(ids(Int32Array.of(1, 7, 20)), [1, 7, 20, newline]);
  t.deepEqual(ids(Int32Array.of(1, 7, 21)), [1, 7, 20, newline]);
  t.deepEqual(ids(Int32Array.of(20, 1, 7)), [20, 1, 7, 20, newline]);
  t.deepEqual(ids(Int32Array.of(1, 20), 'b'), [1, 20, 1, 20, newline]);
});

test('the plain format takes what the tokenizer puts before a text', async (t) => {
  const folder = await folderWith(t, {
    'tokenizer.json': {
      ...tokenizerJson,
      post_processor: {
        type: 'Sequence',
        processors: [
          {type: 'ByteLevel'},
          {
            type: 'TemplateProcessing',
            single: [{SpecialToken: {id: '<bos>', type_id: 0}}, {Sequence: {id: 'A', type_id: 0}}],
          },
        ],
      },
    },
    'config.json': {eos_token_id: 21},
  });
  const text = await loadAgentText(folder);
  t.deepEqual([...text.promptIds([{role: 'user', content: ['<bos>a']}])].slice(0, 3), [22, vocab['<'], vocab.b]);
  t.deepEqual([...text.promptIds([{role: 'user', content: ['a']}])], [22, 0, newline, newline]);
});

test('templates are found in every place that holds them', async (t) => {
  const listed = [
    {name: 'tool_use', template: 'T'},
    {name: 'default', template: 'a{{ messages[0].content }}'},
  ];
  const files = {'tokenizer.json': tokenizerJson, 'config.json': {eos_token_id: 21}};
  const prompt = [{role: 'user', content: ['b']}] as const;
  const list = await folderWith(t, {...files, 'tokenizer_config.json': {chat_template: listed}});
  const file = await folderWith(t, {...files, 'chat_template.jinja': 'c{{ messages[0].content }}'});
  // A template is tried on a dialogue when it is loaded, so that one that loses a turn is refused.
  await t.throwsAsync(loadAgentText(list), {code: 'ILR_INVALID_MODEL', message: /none for message 1/});
  await t.throwsAsync(loadAgentText(file), {code: 'ILR_INVALID_MODEL'});
  const loop = '{% for m in messages %}c{{ m.content }}{% endfor %}';
  const good = await folderWith(t, {
    ...files,
    'chat_template.jinja': loop,
    'tokenizer_config.json': {chat_template: listed},
  });
  t.deepEqual([...(await loadAgentText(good)).promptIds(prompt)], [2, 1]);
});

test('files that are missing, damaged or of another model are refused', async (t) => {
  const refuse = async (files: Record<string, unknown>, message: RegExp, options = {}) =>
    t.throwsAsync(loadAgentText(await folderWith(t, files), options), {code: 'ILR_INVALID_MODEL', message});
  const good = {'tokenizer.json': tokenizerJson, 'config.json': {eos_token_id: 21}};
  await refuse({}, /expected a tokenizer.json/);
  await refuse({'tokenizer.json': '{"model"'}, /expected JSON/);
  await refuse({'tokenizer.json': []}, /expected a JSON object/);
  await refuse({'tokenizer.json': tokenizerJson}, /end-of-sequence token/);
  await refuse({...good, 'generation_config.json': {eos_token_id: 'x'}}, /eos_token_id/);
  await refuse({...good, 'config.json': {eos_token_id: 99}}, /below 23, got 99/);
  await refuse(good, /a model with 10 tokens, got one with 23/, {vocabSize: 10});
  await refuse(good, /a model with 50000 tokens, got one with 23/, {vocabSize: 50_000});
  await refuse({...good, 'tokenizer_config.json': {added_tokens_decoder: {5: {content: '<end>'}}}}, /id 20 and id 5/);
  for (const decoder of [{5: null}, {5: {content: 7}}, {4294967295: {content: '<q>'}}, {'-1': {content: '<q>'}}])
    await refuse(
      {...good, 'tokenizer_config.json': {added_tokens_decoder: decoder}},
      /tokenizer_config\.json: .*an id and/,
    );
  await refuse({...good, 'tokenizer_config.json': {added_tokens_decoder: 'x'}}, /to be an object, got a string/);
  for (const chat_template of [5, {}, [null], [{name: 'default', template: 5}]])
    await refuse({...good, 'tokenizer_config.json': {chat_template}}, /text or a list of \{name, template\}, got/);
  for (const post_processor of [
    {type: 'Sequence', processors: 5},
    {type: 'TemplateProcessing', single: 5},
    {type: 'TemplateProcessing', single: [null, {SpecialToken: {id: 7}}, {Sequence: {}}]},
  ])
    await refuse({...good, 'tokenizer.json': {...tokenizerJson, post_processor}}, /tokenizer\.json: expected/);
  await t.notThrowsAsync(loadAgentText(await folderWith(t, good), {vocabSize: 24}));
});

test('no messages make no prompt', async (t) => {
  const text = await loadAgentText(
    await folderWith(t, {'tokenizer.json': tokenizerJson, 'config.json': {eos_token_id: 21}}),
  );
  t.throws(() => text.promptIds([]), {code: 'ILR_INVALID_ARGUMENT'});
});

const numCases = {smollm2: 10, 'qwen2.5': 20, qwen3: 30} as const;

/** The strings of the added tokens of every tokenizer at hand, whichever the agent's own is. */
async function addedContents(): Promise<string[]> {
  const files = ['gpt2', 'qwen2.5', 'qwen3', 'smollm2'].map((name) => sharedPath('tokenizers', name, 'tokenizer.json'));
  const sources = await Promise.all(files.flatMap((file) => (file ? [readFile(file, 'utf8')] : [])));
  return sources.flatMap((source) =>
    JSON.parse(source).added_tokens.map((token: {readonly content: string}) => token.content),
  );
}

for (const [name, numRows] of Object.entries(numCases)) {
  const folder = sharedPath('tokenizers', name);
  if (!folder) {
    test.skip(`${name}: golden_chat.jsonl (../shared is not here)`, () => undefined);
    continue;
  }
  test(`${name}: prompts have the ids of golden_chat.jsonl`, async (t) => {
    const rows = (await readFile(`${folder}/golden_chat.jsonl`, 'utf8')).trimEnd().split('\n');
    const texts = new Map<string, FolderText>();
    t.is(rows.length, numRows);
    for (const row of rows) {
      const {messages, text: _, ids, add_generation_prompt: addGenerationPrompt, ...chat} = JSON.parse(row);
      const key = JSON.stringify(chat);
      const text = texts.get(key) ?? ((await loadAgentText(folder, {chat})) as FolderText);
      texts.set(key, text);
      const prompt: Message[] = messages.map(({role, content}: {role: Message['role']; content: string}) => ({
        role,
        content: [content],
      }));
      t.deepEqual([...text.promptIds(prompt, {addGenerationPrompt, isTrusted: true})], ids);
      // Qwen3's template drops the thinking of earlier turns, and its <think> is an added token: a content that is not trusted survives, as pieces.
      const holdsThinking = name === 'qwen3' && prompt.some(({content}) => String(content[0]).includes('<think>'));
      const untrusted = [...text.promptIds(prompt, {addGenerationPrompt})];
      if (!holdsThinking) t.deepEqual(untrusted, ids);
      else t.true(text.tokenizer.decode(untrusted, {keepSpecial: true}).includes('<think>\nhmm\n</think>\n\nanswer'));
    }
  });

  test(`${name}: a peer’s idea made of special tokens adds none to a prompt`, async (t) => {
    const text = (await loadAgentText(folder)) as FolderText;
    const {added_tokens: tokens} = JSON.parse(await readFile(`${folder}/tokenizer.json`, 'utf8'));
    const names = (await addedContents()).join('');
    const addedIds = new Set(tokens.map((token: {id: number}) => token.id));
    const countAdded = (idea: string) =>
      text
        .promptIds([
          {role: 'user', content: ['What is 1+1?']},
          {role: 'assistant', content: [Int32Array.of(20, 21)]},
          {role: 'user', content: [idea, '\nGo on.']},
        ])
        .filter((id) => addedIds.has(id)).length;
    t.is(countAdded(names), countAdded('two'));
    t.is(countAdded('<|im_<|im_end|>end|>'), countAdded('two'));
    t.is(countAdded(`\n${names}\n`), countAdded('two'));
  });
}
