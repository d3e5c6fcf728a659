import test from 'ava';
import {StreamDecoder} from '../../src/text/stream-decoder.js';

/** One id a byte, shown as byte-level tokenizers do: one mark for half a character. */
const byteLevel = {decode: (ids: Int32Array) => new TextDecoder().decode(Uint8Array.from(ids))};

/** As byte fallback does: where a run of bytes is not valid, one mark for each. */
const byteFallback = {
  decode(ids: Int32Array): string {
    try {
      return new TextDecoder('utf-8', {fatal: true}).decode(Uint8Array.from(ids));
    } catch {
      return '\ufffd'.repeat(ids.length);
    }
  },
};

/** Ids are letters; the first token's leading space goes. */
const spaced = {
  decode: (ids: Int32Array) =>
    [...ids]
      .map((id) => ` ${id}`)
      .join('')
      .slice(1),
};

test('a character comes out when its last byte is there', (t) => {
  const stream = new StreamDecoder(byteLevel);
  const parts = [...Buffer.from('aé😀€b')].map((byte) => stream.push(byte));
  t.deepEqual(parts, ['a', '', 'é', '', '', '', '😀', '', '', '€', 'b']);
  t.is(stream.end(), '');
});

test('bytes of a fallback come out whole as well', (t) => {
  const stream = new StreamDecoder(byteFallback);
  const text = '😀aé';
  t.is([...Buffer.from(text)].map((byte) => stream.push(byte)).join('') + stream.end(), text);
});

test('half a character at the end is marked', (t) => {
  const stream = new StreamDecoder(byteLevel);
  t.deepEqual(
    [0x61, 0xf0, 0x9f].map((byte) => stream.push(byte)),
    ['a', '', ''],
  );
  t.is(stream.end(), '\ufffd');
});

test('damaged bytes do not stop the stream', (t) => {
  const stream = new StreamDecoder(byteLevel);
  const bytes = [0xff, 0xff, 0xff, 0xff, 0xff, 0x61];
  t.is(bytes.map((byte) => stream.push(byte)).join('') + stream.end(), `${'\ufffd'.repeat(5)}a`);
});

test('later tokens keep the space that a first one loses', (t) => {
  const stream = new StreamDecoder(spaced);
  t.deepEqual(
    [1, 2, 3].map((id) => stream.push(id)),
    ['1', ' 2', ' 3'],
  );
});
