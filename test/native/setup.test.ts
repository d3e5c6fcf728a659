import {readFileSync} from 'node:fs';
import {readdir, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {loadAddon, resolveDevice} from '../../src/native/addon.js';
import {parseBuildLine} from '../../src/native/build-addon.js';
import {withLock} from '../../src/native/lock.js';
import {buildFolder, cacheFolder, packageRoot} from '../../src/native/paths.js';
import {assertPlatform} from '../../src/native/platform.js';
import {setUp} from '../../src/native/setup.js';
import {findMismatch, readState, stateFile} from '../../src/native/state.js';
import {cmakeVersion, findCompiler, gccVersion} from '../../src/native/toolchain.js';
import {builtPackage} from '../helpers/built-package.js';
import {folderWith} from '../helpers/folder.js';
import {fakeLibtorch, fakeProgram, writeFiles} from '../helpers/libtorch.js';

test('a second set-up does nothing and says nothing', async (t) => {
  const folder = await folderWith(t);
  const {root, build, state} = await builtPackage(folder);
  const before = await readdir(build);
  const env = {PATH: '', HOME: folder};
  const result = await setUp({root, env, report: () => t.fail('nothing was to be done')});
  t.deepEqual(result, {changed: false, state});
  t.deepEqual(await readdir(build), before);
});

test('a changed source, --force and another LibTorch each lead to a new build', async (t) => {
  const folder = await folderWith(t);
  const {root} = await builtPackage(folder);
  const env = {PATH: '', HOME: folder}; // without a compiler, the new build ends where it asks for one
  const needsCompiler = {
    code: 'ILR_NOT_SET_UP',
    message: /g\+\+ 11 or later, but found none.*apt-get install g\+\+/,
  } as const;
  await t.throwsAsync(setUp({root, env, force: true}), needsCompiler);
  const libtorch = await fakeLibtorch(path.join(folder, 'other'), '2.14.0');
  await t.throwsAsync(setUp({root, env, libtorch}), needsCompiler);
  await t.throwsAsync(setUp({root, env: {...env, ILR_LIBTORCH: libtorch}}), needsCompiler);
  t.false((await setUp({root, env})).changed);
  await writeFile(path.join(root, 'native', 'core', 'a.cpp'), 'int a2;');
  await t.throwsAsync(setUp({root, env}), needsCompiler);
});

test('a set-up without Python says what to install', async (t) => {
  const folder = await folderWith(t);
  const {root, build} = await builtPackage(folder);
  await rm(build, {recursive: true});
  await t.throwsAsync(setUp({root, env: {PATH: '', HOME: folder}}), {
    code: 'ILR_NOT_SET_UP',
    message:
      /python3 with pip.*is not installed\. Install it .*apt-get install python3 python3-pip.*--libtorch <folder>/,
  });
  await fakeProgram(path.join(folder, 'bin'), 'python3', 'exit 1');
  await t.throwsAsync(setUp({root, env: {PATH: path.join(folder, 'bin'), HOME: folder}}), {
    message: /python3 is there, but not its pip.*apt-get install python3-pip/,
  });
});

test('other platforms are refused by name', (t) => {
  const refused = (platform: string, arch: string, glibc: string | undefined) =>
    t.throws(() => assertPlatform({platform, arch, glibc}), {code: 'ILR_UNSUPPORTED'})?.message ?? '';
  t.regex(refused('darwin', 'arm64', undefined), /this is darwin arm64/);
  t.regex(refused('linux', 'arm64', '2.36'), /this is linux arm64/);
  t.regex(refused('win32', 'x64', undefined), /this is win32 x64/);
  t.regex(refused('linux', 'x64', undefined), /another C library \(musl/);
  t.regex(refused('linux', 'x64', '2.17'), /this Linux has 2\.17/);
  t.notThrows(() => assertPlatform({platform: 'linux', arch: 'x64', glibc: '2.28'}));
});

test('an addon that is not the one that was proved is not loaded, and the command that mends it is named', async (t) => {
  const folder = await folderWith(t);
  const {root, build, state} = await builtPackage(folder);
  t.is(findMismatch(state, root), undefined);
  t.regex(
    findMismatch({...state, packageVersion: '1.2.2'}, root) ?? '',
    /built for ilr-native 1\.2\.2, this is 1\.2\.3/,
  );
  await fakeLibtorch(state.libtorch.folder, '2.14.0+cpu');
  t.regex(findMismatch(state, root) ?? '', /built on LibTorch 2\.13\.0\+cpu, but .* now holds 2\.14\.0\+cpu/);
  await rm(state.libtorch.folder, {recursive: true});
  t.regex(findMismatch(state, root) ?? '', /LibTorch 2\.13\.0\+cpu is gone/);
  await writeFile(state.addon.file, 'another');
  const command = /ilr\.node is not the file that was built and proved\. Run `npx ilr-native setup`/;
  t.throws(() => loadAddon({root, env: {}}), {code: 'ILR_NOT_SET_UP', message: command});
  await rm(build, {recursive: true});
  const missing = /is not built yet\. Run `npx ilr-native setup`/;
  t.throws(() => loadAddon({root, env: {}}), {code: 'ILR_NOT_SET_UP', message: missing});
});

test('a damaged record is an error to load from, and no record to a set-up', async (t) => {
  const folder = await folderWith(t);
  const {root, build} = await builtPackage(folder);
  const damages = ['{"format": 1', '{}', '[]', 'null', '{"format": 2}'];
  for (const text of damages) {
    await writeFile(stateFile(build), text);
    t.throws(
      () => readState(build),
      {code: 'ILR_NOT_SET_UP', message: /is damaged .*Run `npx ilr-native setup`/s},
      text,
    );
  }
  const said: string[] = [];
  const report = ({message}: {message: string}) => said.push(message);
  await t.throwsAsync(setUp({root, env: {PATH: '', HOME: folder}, report}), {message: /python3/});
  t.true(said.some((message) => message.includes('is damaged')));
});

test('a record comes back as it was written', async (t) => {
  const {build, state} = await builtPackage(await folderWith(t));
  t.deepEqual(readState(build), state);
  t.is(readState(path.join(build, 'nowhere')), undefined);
});

test('devices are checked by name, and auto is the CPU where LibTorch has no CUDA', async (t) => {
  const {root} = await builtPackage(await folderWith(t));
  t.deepEqual(
    ['cpu', 'cuda', 'cuda:3', 'auto'].map((device) => resolveDevice(device, {root, env: {}})),
    ['cpu', 'cuda', 'cuda:3', 'cpu'],
  );
  for (const device of ['gpu', 'cuda:', 'cuda:x', '']) {
    t.throws(() => resolveDevice(device, {root, env: {}}), {
      code: 'ILR_INVALID_ARGUMENT',
      message: /cpu, cuda, cuda:N or auto/,
    });
  }
});

test('the cache is where the user says', (t) => {
  t.is(cacheFolder({ILR_CACHE: '/a', XDG_CACHE_HOME: '/b', HOME: '/c'}), '/a');
  t.is(cacheFolder({XDG_CACHE_HOME: '/b', HOME: '/c'}), '/b/ilr-native');
  t.is(cacheFolder({HOME: '/c'}), '/c/.cache/ilr-native');
});

test('a package that cannot be written is built in the cache, each one in its own folder', async (t) => {
  const folder = await folderWith(t);
  const env = {ILR_CACHE: path.join(folder, 'cache')};
  await writeFiles(folder, {'a/native/x': ''});
  t.is(buildFolder(path.join(folder, 'a'), env), path.join(folder, 'a', 'native', 'build'));
  const [one, two] = ['/proc/one', '/proc/two'].map((root) => buildFolder(root, env)); // nobody can write there
  t.is(path.dirname(one ?? ''), path.join(folder, 'cache', 'builds'));
  t.not(one, two);
});

test('compilers are known by what they say, and an unsuitable CXX is an error', async (t) => {
  const free = 'Copyright (C) 2022 Free Software Foundation, Inc.\n';
  t.is(gccVersion(`g++ (Debian 12.2.0-14+deb12u1) 12.2.0\n${free}`), '12.2.0');
  t.is(gccVersion(`g++-13 (Ubuntu 13.2.0-23ubuntu4) 13.2.0\n${free}`), '13.2.0');
  t.is(gccVersion('clang version 19.1.7\nTarget: x86_64-pc-linux-gnu\n'), undefined);
  t.is(cmakeVersion('cmake version 3.25.1\n\nCMake suite maintained'), '3.25.1');
  const bin = path.join(await folderWith(t), 'bin');
  await fakeProgram(bin, 'g++', `echo "g++ (GCC) 9.3.0"; echo "${free.trim()}"`);
  await fakeProgram(bin, 'clang++', 'echo "clang version 19.1.7"');
  await fakeProgram(bin, 'g++-14', `echo "g++-14 (GCC) 14.2.0"; echo "${free.trim()}"`);
  await fakeProgram(bin, 'gcc-14', 'exit 0');
  const found = await findCompiler({PATH: bin});
  t.deepEqual(found, {cxx: path.join(bin, 'g++-14'), cc: path.join(bin, 'gcc-14'), version: '14.2.0'});
  await t.throwsAsync(findCompiler({PATH: bin, CXX: 'clang++'}), {
    code: 'ILR_NOT_SET_UP',
    message: /but found clang version 19/,
  });
  await t.throwsAsync(findCompiler({PATH: bin, CXX: 'nope'}), {message: /CXX is nope, which does not run/});
});

test('a line of ninja or make tells how far the build is', (t) => {
  const object = 'Building CXX object CMakeFiles/ilr_core.dir/native/core/score.cpp.o';
  t.deepEqual(parseBuildLine(`[3/14] ${object}`), {message: 'compiling score.cpp', done: 3, total: 14, unit: 'files'});
  t.like(parseBuildLine(`[ 21%] ${object}`), {message: 'compiling score.cpp', done: 21, total: 100});
  t.like(parseBuildLine('[14/14] Linking CXX shared module ilr.node'), {message: 'linking ilr.node', done: 14});
  t.like(parseBuildLine('[9/14] Linking CXX executable ilr_core_test'), {message: 'linking ilr_core_test'});
  t.like(parseBuildLine('[1/14] Building CXX object a/cmake_pch.hxx.gch'), {message: 'compiling cmake_pch.hxx'});
  t.is(parseBuildLine('-- Configuring done'), undefined);
  t.is(parseBuildLine('[0/2] Re-checking globbed directories...'), undefined);
});

test('work under one lock file is done one at a time, and a dead process holds no lock', async (t) => {
  const file = path.join(await folderWith(t), 'a', 'lock');
  let running = 0;
  const work = async () => {
    t.is(++running, 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    running--;
  };
  await Promise.all([1, 2, 3].map(() => withLock(file, () => {}, work)));
  await writeFile(file, '2147483646'); // no process has this number
  await withLock(file, () => t.fail('it waited for a dead process'), work);
  await t.throwsAsync(
    withLock(
      file,
      () => {},
      () => Promise.reject(new Error('broken')),
    ),
    {message: 'broken'},
  );
  await t.throwsAsync(async () => readFileSync(file), {code: 'ENOENT'});
});

test('the package finds its own folder', (t) => {
  t.is(JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')).name, 'ilr-native');
});
