import test from 'ava';
import {HeldText} from '../../src/cli/held-text.js';

function write(stopStrings: readonly string[], pieces: readonly string[], whole?: string): string[] {
  const given: string[] = [];
  const held = new HeldText((text) => given.push(text), stopStrings);
  for (const piece of pieces) held.push(piece);
  held.end(whole);
  return given;
}

test('without stop strings text passes as it comes', (t) => {
  t.deepEqual(write([], ['a', '', 'bc']), ['a', 'bc']);
});

test('what may become a stop string is kept back until it is clear', (t) => {
  t.deepEqual(write(['END'], ['abc', 'E', 'x']), ['a', 'b', 'c', 'Ex']);
  t.is(write(['END'], ['abcE', 'ND of it'], 'abc').join(''), 'abc');
  t.is(write(['END', '\n\n'], ['ab\n', '\nEND'], 'ab').join(''), 'ab');
  t.is(write(['END'], ['ENDx'], '').join(''), '');
});
