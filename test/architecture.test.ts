import {readdir, readFile} from 'node:fs/promises';
import {dirname, join, relative} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';

/** The rules of who may know whom (docs/architecture.md). */

const root = fileURLToPath(new URL('../../', import.meta.url));
const stages = ['data', 'interact', 'learn', 'record', 'reward', 'text'];

async function sources(folder: string, endings: readonly string[]): Promise<{path: string; text: string}[]> {
  const entries = await readdir(join(root, folder), {recursive: true, withFileTypes: true});
  const files = entries.filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)));
  return Promise.all(
    files.map(async (file) => {
      const path = join(file.parentPath, file.name);
      return {path: relative(root, path), text: await readFile(path, 'utf8')};
    }),
  );
}

/** The folders or files below `src/` that a source imports. */
function importsOf({path, text}: {path: string; text: string}): string[] {
  const imports = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(([, to]) => to as string);
  return imports.map((to) => relative('src', join(dirname(path), to)));
}

for (const stage of stages) {
  test(`src/${stage} imports no other stage, and nothing native`, async (t) => {
    const files = await sources(`src/${stage}`, ['.ts']);
    t.true(files.length > 0);
    const forbidden = [...stages.filter((other) => other !== stage), 'native', 'cli', 'demo'];
    for (const file of files) {
      for (const to of importsOf(file)) {
        t.false(forbidden.includes(to.split('/')[0] as string), `${file.path} imports ${to}`);
        t.false(['train.js', 'evaluate.js'].includes(to), `${file.path} imports ${to}`);
      }
    }
  });
}

test('the loops know Policy, not NativePolicy', async (t) => {
  for (const path of ['src/train.ts', 'src/evaluate.ts', 'src/run.ts']) {
    const text = await readFile(join(root, path), 'utf8');
    t.false(
      importsOf({path, text}).some((to) => to.startsWith('native')),
      path,
    );
  }
});

test('evaluations compose the stages, and know neither the command line nor weights', async (t) => {
  for (const file of await sources('src/eval', ['.ts'])) {
    for (const to of importsOf(file)) {
      t.false(['native', 'cli', 'demo', 'train.js'].includes(to.split('/')[0] as string), `${file.path} imports ${to}`);
    }
  }
});

test('native/core has no Node, native/addon no arithmetic', async (t) => {
  const endings = ['.h', '.cpp', '.cc'];
  const core = await sources('native/core', endings);
  const addon = await sources('native/addon', endings);
  t.true(core.length > 0 && addon.length > 0);
  for (const {path, text} of core) t.notRegex(text, /#include\s*[<"](?:napi|node|uv|js_native)[^>"]*[>"]/, path);
  // set-up's proof that LibTorch computes, a sum of ten numbers, is the one exception
  const arithmetic = /#include\s*[<"]ATen\/(?:ops\/(?!arange\.h)[^>"]*|ATen\.h|Functions\.h|native\/[^>"]*)[>"]/;
  for (const {path, text} of addon) t.notRegex(text, arithmetic, path);
});
