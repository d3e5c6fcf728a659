import {existsSync} from 'node:fs';
import {mkdir, readFile, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {acquireCudaLibtorch} from '../../src/native/acquire-cuda-libtorch.js';
import {cudaMajor, findDriverProblem} from '../../src/native/driver.js';
import {hashFile} from '../../src/native/hash.js';
import {setUp} from '../../src/native/setup.js';
import {findMismatch} from '../../src/native/state.js';
import {builtPackage} from '../helpers/built-package.js';
import {folderWith} from '../helpers/folder.js';
import {fakeLibtorch, fakeProgram} from '../helpers/libtorch.js';

/** A machine whose nvidia-smi says this driver; none: it has no nvidia-smi. */
async function machine(t: ExecutionContext, driver?: string) {
  const folder = await folderWith(t);
  const bin = path.join(folder, 'bin');
  await mkdir(bin);
  if (driver !== undefined) await fakeProgram(bin, 'nvidia-smi', `echo '${driver}'`);
  return {folder, bin, env: {PATH: bin, HOME: folder, ILR_CACHE: path.join(folder, 'cache')}};
}

test("a set-up for a GPU says what is wrong with NVIDIA's driver before any work", async (t) => {
  const none = await machine(t);
  const {root} = await builtPackage(none.folder);
  await t.throwsAsync(setUp({root, env: none.env, device: 'cuda'}), {
    code: 'ILR_UNSUPPORTED',
    message: /asked for, but .*nvidia-smi.*--device cpu/,
  });
  const old = await machine(t, '550.54.15');
  await t.throwsAsync(setUp({root, env: old.env, device: 'cuda'}), {
    code: 'ILR_UNSUPPORTED',
    message: /driver is 550\.54\.15, but CUDA 13 needs 580 or later/,
  });
  t.is(await findDriverProblem(old.env, 12), undefined);
  t.is(await findDriverProblem((await machine(t, '580.95.05')).env, 13), undefined);
});

test('the CUDA of a LibTorch is read from its variant', (t) => {
  t.deepEqual(['cu130', 'cu126', 'cuda', ''].map(cudaMajor), [13, 12, 13, 13]);
});

test('a LibTorch without CUDA that was named for a GPU is an error, never passed over', async (t) => {
  const {folder, env} = await machine(t, '580.95.05');
  const {root} = await builtPackage(folder);
  const libtorch = await fakeLibtorch(path.join(folder, 'cpu'), '2.13.0+cpu');
  await t.throwsAsync(setUp({root, env, device: 'cuda', libtorch}), {
    code: 'ILR_INVALID_ARGUMENT',
    message: /--device cuda needs a LibTorch with CUDA, but LibTorch 2\.13\.0\+cpu .* has no GPU half/,
  });
});

test('kernels that are not the ones that were built are not loaded', async (t) => {
  const {folder} = await machine(t);
  const {root, build, state} = await builtPackage(folder);
  const file = path.join(build, 'libilr_cuda.so');
  await writeFile(file, 'kernels');
  const withKernels = {...state, addon: {...state.addon, kernels: {file, sha256: hashFile(file)}}};
  t.is(findMismatch(withKernels, root), undefined);
  await writeFile(file, 'others');
  t.regex(findMismatch(withKernels, root) ?? '', /libilr_cuda\.so is not the file that was built/);
  await rm(file);
  t.regex(findMismatch(withKernels, root) ?? '', /libilr_cuda\.so is missing/);
});

/** A python3 whose pip installs a torch of this version into --target and reports this hash of its wheel. */
async function fakePip(bin: string, version: string, sha256: string, withCuda: boolean) {
  const wheel = 'https://somewhere/torch-2.13.0-cp312-cp312-manylinux_2_28_x86_64.whl';
  const report = {install: [{download_info: {url: wheel, archive_info: {hashes: {sha256}}}}]};
  const source = await fakeLibtorch(path.join(bin, '..', 'source', 'torch'), version);
  if (withCuda) await writeFile(path.join(source, 'lib', 'libtorch_cuda.so'), '');
  const script = `
    case "$*" in *--version) echo "pip 25.0 from here"; exit 0;; esac
    while [ "$1" != --report ]; do shift; done
    echo '${JSON.stringify(report)}' > "$2"
    while [ "$1" != --target ]; do shift; done
    /bin/cp -r ${path.dirname(source)}/torch "$2"`;
  await fakeProgram(bin, 'python3', script);
}

const known = '796633c4cdf0fe2cdced72d8f88f22e73dbcfce83132763162f6d4bff13b820b';

test('LibTorch with CUDA is installed whole, and the hashes that pip tells are kept', async (t) => {
  const {bin, folder, env} = await machine(t);
  await fakePip(bin, '2.13.0+cu130', known, true);
  const found = await acquireCudaLibtorch(env, () => {});
  const home = path.join(folder, 'cache', 'libtorch', '2.13.0+cu130-cuda');
  t.like(found, {folder: path.join(home, 'torch'), hasCuda: true, variant: 'cu130', source: 'acquired'});
  t.deepEqual(Object.values(JSON.parse(await readFile(path.join(home, 'wheels.json'), 'utf8'))), [known]);
  t.like(await acquireCudaLibtorch({...env, PATH: ''}, () => {}), {source: 'cache'}); // nothing is asked of pip again
});

test('a replaced wheel, or a build without CUDA, is refused and removed', async (t) => {
  const {bin, folder, env} = await machine(t);
  await fakePip(bin, '2.13.0+cu130', '0'.repeat(64), true);
  await t.throwsAsync(
    acquireCudaLibtorch(env, () => {}),
    {code: 'ILR_IO', message: /must have SHA-256 796633/},
  );
  await rm(path.join(folder, 'source'), {recursive: true});
  await fakePip(bin, '2.13.0+cpu', known, false);
  await t.throwsAsync(
    acquireCudaLibtorch(env, () => {}),
    {code: 'ILR_IO', message: /without CUDA.*serve CPU builds/},
  );
  t.false(existsSync(path.join(folder, 'cache', 'libtorch', '2.13.0+cu130-cuda')));
});
