import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import test from 'ava';
import {loadAgentText} from '../../src/text/load.js';
import {unknownPiece, writeTinyTokenizer} from '../../src/text/tiny-tokenizer.js';
import {folderWith} from '../helpers/folder.js';

const specials = {user: '<|user|>', assistant: '<|assistant|>', end: '<|end|>'};
const pieces = [...'0123456789+-=?{} \n\\.*', '\\boxed{', 'Peer', 'Peer: '];

test('text is cut into the longest pieces, one unknown piece for each other character', async (t) => {
  const folder = await folderWith(t);
  const {vocab, vocabSize} = await writeTinyTokenizer(folder, {pieces, specials});
  const text = await loadAgentText(folder, {vocabSize});
  const ids = text.encode('Peer: 4*\\boxed{23}\nzé😀');
  const expected = ['Peer: ', '4', '*', '\\boxed{', '2', '3', '}', '\n', unknownPiece, unknownPiece, unknownPiece];
  t.deepEqual(
    [...ids],
    expected.map((piece) => vocab.get(piece)),
  );
  t.is(text.decode(ids), 'Peer: 4*\\boxed{23}\n\ufffd\ufffd\ufffd');
  t.is(text.vocabSize, pieces.length + 4);
});

test('the chat template writes turns without newlines and keeps own ids', async (t) => {
  const folder = await folderWith(t);
  const {ids, vocab} = await writeTinyTokenizer(folder, {pieces, specials});
  const text = await loadAgentText(folder);
  const own = Int32Array.of(vocab.get('2') as number, vocab.get('3') as number, ids.end);
  const prompt = text.promptIds([
    {role: 'user', content: ['4+1=?']},
    {role: 'assistant', content: [own]},
    {role: 'user', content: ['\nPeer']},
  ]);
  const at = (piece: string) => vocab.get(piece) as number;
  t.deepEqual(
    [...prompt],
    [ids.user, at('4'), at('+'), at('1'), at('='), at('?'), ids.end, ids.assistant]
      .concat([at('2'), at('3'), ids.end])
      .concat([ids.user, at('\n'), at('Peer'), ids.end, ids.assistant]),
  );
  t.deepEqual(text.stopIds, [ids.end]);
});

test('the tokenizers library reads the same ids from the files', async (t) => {
  const {Tokenizer} = await import('tokenizers');
  const folder = await folderWith(t);
  const {vocab} = await writeTinyTokenizer(folder, {pieces, specials});
  const library = Tokenizer.fromFile(join(folder, 'tokenizer.json'));
  const encoding = await library.encode('<|user|>Peer: 4.*z\n<|end|>');
  const expected = ['<|user|>', 'Peer: ', '4', '.', '*', unknownPiece, '\n', '<|end|>'];
  t.deepEqual(
    encoding.getIds(),
    expected.map((piece) => vocab.get(piece)),
  );
});

test('the same options give the same bytes', async (t) => {
  const [a, b] = [await folderWith(t), await folderWith(t)];
  for (const folder of [a, b]) await writeTinyTokenizer(folder, {pieces, specials});
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'])
    t.deepEqual(await readFile(join(a, name)), await readFile(join(b, name)));
});

test('an empty or repeated piece is refused', async (t) => {
  const folder = await folderWith(t);
  for (const wrong of [['a', ''], ['a', 'a'], ['<|end|>'], [unknownPiece]])
    await t.throwsAsync(writeTinyTokenizer(folder, {pieces: wrong, specials}), {code: 'ILR_INVALID_ARGUMENT'});
});
