import test from 'ava';
import {matches} from '../../src/hub/glob.js';

// fnmatch.fnmatchcase of Python 3.11 gives the same.
for (const [pattern, text, expected] of [
  ['*.json', 'config.json', true],
  ['*.json', 'a/b/config.json', true],
  ['*.json', 'config.jsonl', false],
  ['config.json', 'xconfig.json', false],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['model-0000[12]-*', 'model-00002-of-00004.safetensors', true],
  ['model-0000[12]-*', 'model-00003-of-00004.safetensors', false],
  ['[a-c]x', 'bx', true],
  ['[!a-c]x', 'bx', false],
  ['[!a-c]x', 'dx', true],
  ['[]a]', ']', true],
  ['[a', '[a', true],
  ['a.b', 'axb', false],
  ['**/x', 'a/b/x', true],
  ['*a*b*c', 'xxaxxbxxc', true],
  ['*a*b*c', 'xxaxxcxxb', false],
  ['', '', true],
  ['*', '', true],
  ['?', '\u{1f600}', true],
] as const)
  test(`${JSON.stringify(pattern)} ${expected ? 'matches' : 'does not match'} ${JSON.stringify(text)}`, (t) => {
    t.is(matches(pattern, text), expected);
  });

test('a slash at the end means all below, as in huggingface_hub', (t) => {
  t.true(matches('main/', 'main/a/b.parquet'));
  t.false(matches('main/', 'other/main'));
});

test('a pattern that makes regular expressions run long does not', (t) => {
  t.false(matches('*a'.repeat(50), `${'a'.repeat(5000)}b`));
});
