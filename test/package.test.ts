import {execFile} from 'node:child_process';
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {promisify} from 'node:util';
import test from 'ava';
import {packageRoot} from '../src/native/paths.js';

const root = packageRoot();
const readJson = (file: string) => JSON.parse(readFileSync(path.join(root, file), 'utf8'));

test('the published package holds what a set-up needs and nothing that npm would run', async (t) => {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts', '--offline'];
  const {stdout} = await promisify(execFile)('npm', args, {cwd: root});
  const names: string[] = JSON.parse(stdout)[0].files.map((file: {path: string}) => file.path);
  const needed = [
    'bin/ilr-native.js',
    'dist/src/cli/main.js',
    'dist/src/index.js',
    'dist/src/index.d.ts',
    'CMakeLists.txt',
    'native/core/types.h',
    'native/addon/addon.cpp',
    'native/loader/loader.c',
    'python/run_program.py',
    'recipes/tiny.yaml',
    'README.md',
    'LICENSE',
  ];
  t.deepEqual(
    needed.filter((name) => !names.includes(name)),
    [],
  );
  const unwanted = /^binding\.gyp$|^native\/(build|test)\/|\.map$|^dist\/test\/|^src\/|^node_modules\//;
  t.deepEqual(
    names.filter((name) => unwanted.test(name)),
    [],
  );
});

test('nothing runs when the package is installed', (t) => {
  const {scripts, gypfile} = readJson('package.json');
  const hooks = ['preinstall', 'install', 'postinstall', 'prepare', 'preprepare', 'postprepare'];
  t.deepEqual(
    hooks.filter((hook) => hook in scripts),
    [],
  );
  t.false(gypfile);
  const packages: Record<string, {hasInstallScript?: boolean}> = readJson('package-lock.json').packages;
  t.deepEqual(
    Object.keys(packages).filter((name) => packages[name]?.hasInstallScript),
    [],
  );
});

// npm leaves out of the lock file what its registry lacks, and `npm ci` then refuses the file on a clean clone.
test('the lock file has every optional package, and names no registry', (t) => {
  const packages: Record<string, {optionalDependencies?: object; resolved?: string}> =
    readJson('package-lock.json').packages;
  const optional = Object.values(packages).flatMap((one) => Object.keys(one.optionalDependencies ?? {}));
  t.true(optional.length > 0);
  t.deepEqual(
    optional.filter((name) => !(`node_modules/${name}` in packages)),
    [],
  );
  t.deepEqual(
    Object.keys(packages).filter((name) => packages[name]?.resolved),
    [],
  );
});
