import {rm} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {formatDiagnosis} from '../../src/cli/doctor.js';
import {diagnose, readMemory} from '../../src/native/diagnose.js';
import {builtPackage} from '../helpers/built-package.js';
import {folderWith} from '../helpers/folder.js';

const platform = {platform: 'linux', arch: 'x64', glibc: '2.36'};

test('what is missing is named with the command that mends it, and training cannot run', async (t) => {
  const folder = await folderWith(t);
  const {root, build} = await builtPackage(folder);
  await rm(build, {recursive: true});
  const diagnosis = await diagnose({root, env: {PATH: '', HOME: folder}, platform});
  t.false(diagnosis.canTrain);
  const mends = Object.fromEntries(diagnosis.findings.map(({name, status, mend}) => [name, [status, mend]]));
  t.like(mends, {
    Addon: ['missing', 'npx ilr-native setup'],
    LibTorch: ['missing', 'npx ilr-native setup (gets it by pip, about 530 MB)'],
    Compiler: ['missing', 'apt-get install g++ (Debian, Ubuntu) or dnf install gcc-c++ (Fedora)'],
    Platform: ['ok', undefined],
    Node: ['ok', undefined],
  });
  const text = formatDiagnosis(diagnosis);
  t.regex(text, /MISSING {2}Addon +not built yet\n +→ npx ilr-native setup\n/);
  t.regex(text, /Training cannot run yet/);
});

test('an addon that does not load is found out in a child process', async (t) => {
  const folder = await folderWith(t);
  const {root, state} = await builtPackage(folder); // its addon is a text file
  const diagnosis = await diagnose({root, env: {PATH: '', HOME: folder}, platform});
  t.false(diagnosis.canTrain);
  const selfTest = diagnosis.findings.find(({name}) => name === 'Self-test');
  t.is(selfTest?.status, 'missing');
  t.is(selfTest?.mend, 'npx ilr-native setup --force');
  t.deepEqual(diagnosis.libtorch, state.libtorch);
  t.is(diagnosis.findings.find(({name}) => name === 'Compiler')?.status, 'note'); // built already: none is needed
});

test('an ILR_LIBTORCH that will not do is missing, not passed over', async (t) => {
  const folder = await folderWith(t);
  const {root} = await builtPackage(folder);
  const env = {PATH: '', HOME: folder, ILR_LIBTORCH: path.join(folder, 'nowhere')};
  const libtorch = (await diagnose({root, env, platform})).findings.find(({name}) => name === 'LibTorch');
  t.is(libtorch?.status, 'missing');
  t.is(libtorch?.mend, 'correct or unset ILR_LIBTORCH');
});

test('the JSON holds what a program needs, and nothing else', async (t) => {
  const folder = await folderWith(t);
  const {root} = await builtPackage(folder);
  const diagnosis = JSON.parse(JSON.stringify(await diagnose({root, env: {PATH: '', HOME: folder}, platform})));
  const keys = ['addon', 'canTrain', 'devices', 'findings', 'libtorch', 'memory', 'node', 'package', 'platform'];
  t.deepEqual(Object.keys(diagnosis).sort(), keys);
  t.deepEqual(diagnosis.package, {version: '1.2.3', root, cache: path.join(folder, '.cache', 'ilr-native')});
  t.is(diagnosis.devices[0].kind, 'cpu');
  t.true(diagnosis.memory.freeBytes > 0);
});

test('free memory is at most all of it', (t) => {
  const {freeBytes, totalBytes} = readMemory();
  t.true(freeBytes > 0 && freeBytes <= totalBytes);
});
