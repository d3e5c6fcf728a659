import {readFile} from 'node:fs/promises';
import test from 'ava';
import {configDocs} from '../src/config-docs.js';

test('docs/config.md is what the schema says; else run node scripts/config-docs.mjs', async (t) => {
  const page = await readFile(new URL('../../docs/config.md', import.meta.url), 'utf8');
  t.is(page, configDocs());
  t.regex(page, /\| `optimizer\.learningRate` \| number above 0 \| `0\.000001` \|/);
  t.regex(page, /\| `agents\.\*\.model` \| text \| required \|/);
});
