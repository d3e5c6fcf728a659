import test from 'ava';
import {createBpe} from '../../src/text/bpe.js';

const vocab = {a: 0, b: 1, c: 2, ab: 3, bc: 4, abc: 5, aa: 6, aaaa: 7, '<x>': 8};
const merges = ['b c', 'a b', 'ab c', 'a a', 'aa aa'];
const model = {type: 'BPE', vocab, merges} as const;
const none = new Set<number>();

test('the earliest merge goes first, the leftmost among equals', (t) => {
  const encode = createBpe(model, none);
  t.deepEqual(encode('abc'), [0, 4]); // "b c" comes before "a b"
  t.deepEqual(encode('ab'), [3]);
  t.deepEqual(encode('aaa'), [6, 0]);
  t.deepEqual(encode('aaaaa'), [7, 0]);
  t.deepEqual(encode(''), []);
});

test('merges may be pairs', (t) => {
  t.deepEqual(createBpe({...model, merges: [['a', 'b']]}, none)('cab'), [2, 3]);
});

test('a merge that gives a banned id is left out, as is the whole word', (t) => {
  t.deepEqual(createBpe(model, new Set([4]))('abc'), [5]);
  t.deepEqual(createBpe({...model, ignore_merges: true}, none)('<x>'), [8]);
  t.deepEqual(createBpe({...model, ignore_merges: true}, new Set([8]))('<x>'), []);
});

test('unknown characters become bytes, the unknown token, or nothing', (t) => {
  const bytes = {...vocab, '<0xC3>': 9, '<0xA9>': 10, '?': 11};
  t.deepEqual(createBpe({...model, vocab: bytes, byte_fallback: true}, none)('aé'), [0, 9, 10]);
  t.deepEqual(createBpe({...model, vocab: bytes, unk_token: '?'}, none)('zzaz'), [11, 11, 0, 11]);
  t.deepEqual(createBpe({...model, vocab: bytes, unk_token: '?', fuse_unk: true}, none)('zzaz'), [11, 0, 11]);
  t.deepEqual(createBpe(model, none)('zaz'), [0]);
});

test('a long word gives the same ids as its merges one by one', (t) => {
  const encode = createBpe(model, none);
  t.deepEqual(encode('a'.repeat(4001)), [...Array(1000).fill(7), 0]);
});

test('a merge of unknown tokens is refused by its number', (t) => {
  t.throws(() => createBpe({...model, merges: ['a b', 'a z']}, none), {code: 'ILR_INVALID_MODEL', message: /merge 1 /});
  t.throws(() => createBpe({...model, end_of_word_suffix: '</w>'}, none), {code: 'ILR_UNSUPPORTED'});
});
