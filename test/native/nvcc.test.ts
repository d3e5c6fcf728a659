import path from 'node:path';
import test from 'ava';
import {findNvcc, nvccVersion} from '../../src/native/nvcc.js';
import {folderWith} from '../helpers/folder.js';
import {fakeProgram} from '../helpers/libtorch.js';

const says = (version: string): string => `echo "Cuda compilation tools, release ${version}, V${version}.88"`;

test('the version of nvcc is read from what it prints', (t) => {
  t.is(nvccVersion('Cuda compilation tools, release 13.0, V13.0.88\nBuild cuda_13.0.r13.0'), '13.0');
  t.is(nvccVersion('nvcc: command not found'), undefined);
});

test('an nvcc of another major version is passed over; the one in the cache serves', async (t) => {
  const folder = await folderWith(t);
  await fakeProgram(path.join(folder, 'bin'), 'nvcc', says('12.6'));
  const env = {PATH: `${path.join(folder, 'bin')}:/usr/bin:/bin`, ILR_CACHE: path.join(folder, 'cache')};
  const cached = path.join(folder, 'cache', 'cuda', '13.0.3', 'nvidia', 'cu13', 'bin');
  const file = await fakeProgram(cached, 'nvcc', says('13.0'));
  const found = await findNvcc(env);
  // A machine with its own CUDA 13 in /usr/local/cuda takes that.
  t.true(found?.file === file || found?.file === '/usr/local/cuda/bin/nvcc');
  t.is((await findNvcc(env, 12))?.version, '12.6');
});

test('ILR_NVCC that does not run is an error, never passed over', async (t) => {
  const folder = await folderWith(t);
  const env = {ILR_NVCC: path.join(folder, 'none'), PATH: '/usr/bin:/bin', ILR_CACHE: folder};
  await t.throwsAsync(findNvcc(env), {code: 'ILR_INVALID_ARGUMENT', message: /ILR_NVCC must name a file nvcc/});
});
