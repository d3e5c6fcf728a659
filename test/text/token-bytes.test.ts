import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import test from 'ava';
import type {TokenBytes} from '../../src/policy.js';
import {Random} from '../../src/random.js';
import {tokenBytesOf} from '../../src/text/token-bytes.js';
import {Tokenizer, type TokenizerJson} from '../../src/text/tokenizer.js';
import {sharedPath} from '../helpers/shared.js';

const bytesOf = ({bytes, offsets}: TokenBytes, ids: readonly number[]) =>
  Buffer.concat(ids.map((id) => bytes.subarray(offsets[id], offsets[id + 1])));
const texts = (table: TokenBytes, count: number) =>
  Array.from({length: count}, (_, id) => bytesOf(table, [id]).toString());

test('a byte-level token writes the bytes that its characters stand for', (t) => {
  const tokens = ['Ġhello', 'Ċ', 'Ã', '©', '<|end|>', '<think>', '日', undefined, 'a b'];
  const table = tokenBytesOf(tokens, new Set([4]), {type: 'ByteLevel', add_prefix_space: true});
  t.deepEqual(texts(table, 9), [' hello', '\n', '\ufffd', '\ufffd', '', '<think>', '日', '', 'a b']);
  t.is(bytesOf(table, [2, 3]).toString(), 'é');
  t.is(table.offsets.length, 10);
});

test('a sentencepiece token writes a space for its mark, and a byte token its byte', (t) => {
  const tokens = ['▁hello', '<0xE6>', '<0x97>', '<0xA5>', 'x▁', '<0xZZ>'];
  const decoder = {
    type: 'Sequence',
    decoders: [
      {type: 'Replace', pattern: {String: '▁'}, content: ' '},
      {type: 'ByteFallback'},
      {type: 'Fuse'},
      {type: 'Strip', content: ' ', start: 1, stop: 0},
    ],
  };
  const table = tokenBytesOf(tokens, new Set(), decoder);
  t.is(bytesOf(table, [0, 1, 2, 3, 4, 5]).toString(), ' hello日x <0xZZ>');
  t.deepEqual(texts(tokenBytesOf(['▁a', 'b'], new Set(), {type: 'Metaspace', replacement: '▁'}), 2), [' a', 'b']);
});

test('a decoder that joins tokens by more than themselves is refused', (t) => {
  for (const decoder of [null, {type: 'WordPiece'}, {type: 'Sequence', decoders: [{type: 'Fuse'}, {type: 'CTC'}]}])
    t.throws(() => tokenBytesOf(['a'], new Set(), decoder), {code: 'ILR_UNSUPPORTED', message: /stop strings/});
});

for (const name of ['qwen2.5', 'qwen3', 'smollm2', 'gpt2']) {
  const file = sharedPath('tokenizers', name);
  (file ? test : test.skip)(`tokens of ${name} write what decoding them gives`, async (t) => {
    const json = JSON.parse(await readFile(join(file as string, 'tokenizer.json'), 'utf8')) as TokenizerJson;
    const tokenizer = await Tokenizer.create(json);
    const table = tokenizer.tokenBytes();
    t.is(table.offsets.length, tokenizer.vocabSize + 1);
    t.is(tokenizer.tokenBytes(), table);
    const random = new Random({seed: 3, purpose: 'init'});
    const sequences = Array.from({length: 300}, () => Array.from({length: 8}, () => random.below(tokenizer.vocabSize)));
    sequences.push(tokenizer.encode('Zürich: 5 ≠ 6, 日本語 😀\n\n  "Stop"\t'));
    for (const ids of sequences) t.is(bytesOf(table, ids).toString(), tokenizer.decode(ids));
  });
}
