import {readdir, readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {IlrError, ilrErrorCodes, messageOf} from '../src/errors.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** Variables of the environment and of the build, not codes. */
const notCodes = /^ILR_(CPU|LIBTORCH|CACHE|GOLDEN_DIR|CORPUS_DIR)$/;

/** Codes between quotes in the sources below some folders. */
async function codesIn(folders: readonly string[], ending: RegExp, skip: RegExp): Promise<Set<string>> {
  const codes = new Set<string>();
  for (const folder of folders) {
    const entries = await readdir(join(root, folder), {recursive: true, withFileTypes: true});
    for (const entry of entries.filter(({name}) => ending.test(name) && !skip.test(name))) {
      const text = await readFile(join(entry.parentPath, entry.name), 'utf8');
      for (const [, code] of text.matchAll(/["'](ILR_[A-Z_]+)["']/g)) codes.add(code as string);
    }
  }
  return new Set([...codes].filter((code) => !notCodes.test(code)));
}

test('docs/errors.md, src/errors.ts and what the sources throw are one set of codes', async (t) => {
  const rows = [
    ...(await readFile(join(root, 'docs/errors.md'), 'utf8')).matchAll(/^\| `(ILR_\w+)` .*\| ([^|]+) \|$/gm),
  ];
  const documented = (by: RegExp) =>
    rows
      .filter(([, , who]) => by.test(who as string))
      .map(([, code]) => code)
      .sort();
  t.deepEqual(documented(/./), [...ilrErrorCodes].sort());
  const native = await codesIn(['native/core', 'native/addon', 'native/loader'], /\.(cpp|h|c|cu|cuh)$/, /^$/);
  t.deepEqual(documented(/C\+\+/), [...native].sort());
  const typescript = await codesIn(['src'], /\.ts$/, /^errors\.ts$/);
  t.deepEqual(
    [...typescript].filter((code) => !(ilrErrorCodes as readonly string[]).includes(code)),
    [],
    'of no such code',
  );
  for (const code of documented(/TypeScript/))
    t.true(typescript.has(code as string), `${code} is thrown nowhere in src`);
});

test('an IlrError is known by its marker, and what cannot be read is none', (t) => {
  const hostile = new Proxy(
    {},
    {
      has: () => {
        throw new Error('no');
      },
      get: () => {
        throw new Error('no');
      },
    },
  );
  t.true(IlrError.is(new IlrError('ILR_IO', 'a disk')));
  for (const value of [undefined, null, 5, new Error('plain'), hostile]) t.false(IlrError.is(value));
  t.is(messageOf(hostile), 'something that cannot be read');
  t.is(messageOf(Symbol('s')), 'Symbol(s)');
});
