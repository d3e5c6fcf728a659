import path from 'node:path';
import test from 'ava';
import {cudaRequirements, isCpuPart, isCudaStub} from '../../src/native/acquire-libtorch.js';
import {
  findLibtorch,
  inspectLibtorch,
  isSupported,
  parseHeaderVersion,
  parseVersionPy,
} from '../../src/native/libtorch.js';
import {folderWith} from '../helpers/folder.js';
import {fakeLibtorch, fakeProgram} from '../helpers/libtorch.js';

/** Four fakes: named by the user, by the last set-up, by Python, in the cache. */
async function fourPlaces(folder: string) {
  const explicit = await fakeLibtorch(path.join(folder, 'explicit'), '2.12.0+cpu');
  const recorded = await fakeLibtorch(path.join(folder, 'recorded'), '2.14.1+cu130');
  const python = await fakeLibtorch(path.join(folder, 'site-packages', 'torch'), '2.15.0');
  const cached = await fakeLibtorch(path.join(folder, 'cache', 'libtorch', '2.13.0+cpu-cpu', 'torch'), '2.13.0+cpu');
  await fakeProgram(path.join(folder, 'bin'), 'python3', `echo ${python}`);
  const env = {PATH: path.join(folder, 'bin'), ILR_CACHE: path.join(folder, 'cache'), HOME: folder};
  return {explicit, recorded, python, cached, env};
}

const recordedAs = (folder: string) =>
  ({folder, version: '2.14.1+cu130', variant: 'cu130', hasCuda: false, source: 'python'}) as const;

test('LibTorch is looked for where the user says, then in the record, in Python, in the cache', async (t) => {
  const folder = await folderWith(t);
  const {explicit, recorded, python, cached, env} = await fourPlaces(folder);
  const skip = () => {};
  const last = recordedAs(recorded);
  const byOption = await findLibtorch({
    env: {...env, ILR_LIBTORCH: recorded},
    libtorch: explicit,
    recorded: last,
    skip,
  });
  t.like(byOption, {folder: explicit, version: '2.12.0+cpu', variant: 'cpu', hasCuda: false, source: 'explicit'});
  const byVariable = await findLibtorch({env: {...env, ILR_LIBTORCH: explicit}, recorded: last, skip});
  t.like(byVariable, {folder: explicit, source: 'explicit'});
  t.like(await findLibtorch({env, recorded: last, skip}), {folder: recorded, source: 'python'});
  t.like(await findLibtorch({env, skip}), {folder: python, source: 'python'});
  t.like(await findLibtorch({env, own: true, skip}), {folder: cached, source: 'cache'});
  await fakeProgram(path.join(folder, 'bin'), 'python3', 'echo');
  t.like(await findLibtorch({env, skip}), {folder: cached, source: 'cache'});
  t.is(await findLibtorch({env: {...env, ILR_CACHE: path.join(folder, 'empty')}, skip}), undefined);
});

test('an explicit folder that will not do is an error, although others would', async (t) => {
  const folder = await folderWith(t);
  const {env} = await fourPlaces(folder);
  const missing = path.join(folder, 'nowhere');
  await t.throwsAsync(findLibtorch({env, libtorch: missing, skip: () => {}}), {
    code: 'ILR_INVALID_ARGUMENT',
    message: /^--libtorch must name .*nowhere has no lib\/libtorch_cpu.so/,
  });
  const old = await fakeLibtorch(path.join(folder, 'old'), '2.9.1+cpu');
  await t.throwsAsync(findLibtorch({env: {...env, ILR_LIBTORCH: old}, skip: () => {}}), {
    code: 'ILR_INVALID_ARGUMENT',
    message: /^ILR_LIBTORCH must name .*is LibTorch 2\.9\.1\+cpu; ilr-native supports 2\.11 to 2\.15/,
  });
});

test("a Python torch that is too old is passed over and named, and the virtual environment's comes first", async (t) => {
  const folder = await folderWith(t);
  const {env, cached} = await fourPlaces(folder);
  const old = await fakeLibtorch(path.join(folder, 'venv-torch'), '2.4.0+cu121');
  await fakeProgram(path.join(folder, 'venv', 'bin'), 'python', `echo ${old}`);
  await fakeProgram(path.join(folder, 'bin'), 'python3', 'exit 1');
  const skipped: string[] = [];
  const venv = {...env, VIRTUAL_ENV: path.join(folder, 'venv')};
  const found = await findLibtorch({env: venv, skip: (reason) => skipped.push(reason)});
  t.like(found, {folder: cached, source: 'cache'});
  t.is(skipped.length, 1);
  t.regex(skipped[0] ?? '', /venv\/bin\/python is passed over: .*2\.4\.0\+cu121/);
});

test('versions are read from version.py and from the headers, and must agree', async (t) => {
  t.is(parseVersionPy("from typing import Optional\n__version__ = '2.13.0+cu130'\ndebug = False\n"), '2.13.0+cu130');
  t.is(parseVersionPy('__version__: str = "2.11.0"\n'), '2.11.0');
  t.is(parseVersionPy("version = '2.13.0'"), undefined);
  t.is(
    parseHeaderVersion(
      '#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 14\n#define TORCH_VERSION_PATCH 1\n',
    ),
    '2.14.1',
  );
  t.is(parseHeaderVersion('// nothing'), undefined);
  t.deepEqual(['2.10.9', '2.11.0', '2.15.0+cpu', '2.16.0', '3.13.0', '2'].map(isSupported), [
    false,
    true,
    true,
    false,
    false,
    false,
  ]);
  const mixed = await fakeLibtorch(path.join(await folderWith(t), 'mixed'), '2.13.0', '2.14.1');
  t.deepEqual(inspectLibtorch(mixed), {problem: `${mixed} says it is 2.13.0, but its headers are of 2.14.1`});
});

test('of a CUDA wheel only what the CPU needs is taken', (t) => {
  const names = [
    'torch/include/ATen/core/Tensor.h',
    'torch/version.py',
    'torch/lib/libtorch_cpu.so',
    'torch/lib/libc10.so',
    'torch/lib/libc10_cuda.so',
    'torch/lib/libgomp.so.1',
    'torch/lib/libgfortran-040039e1.so.5.0.0',
    'torch-2.13.0.dist-info/METADATA',
  ];
  const others = [
    'torch/__init__.py',
    'torch/lib/libtorch_cuda.so',
    'torch/lib/libtorch_python.so',
    'torch/lib/libcaffe2_nvrtc.so',
    'torch/lib/libtorch_nvshmem.so',
    'torch/bin/protoc',
    'torch/testing/version.py',
  ];
  t.deepEqual([...names, ...others].filter(isCpuPart), names);
  const stubs = ['nvidia/cu13/lib/libcudart.so.13', 'nvidia/cu13/lib/libcupti.so.13'];
  t.deepEqual([...stubs, 'nvidia/cu13/lib/libnvperf_host.so', 'nvidia/cu13/include/cupti.h'].filter(isCudaStub), stubs);
});

test('what a CUDA build still needs of NVIDIA is read from its metadata', (t) => {
  const toolkit = 'Requires-Dist: cuda-toolkit[cublas,cudart,cupti]==13.0.3; platform_system == "Linux"\n';
  t.deepEqual(cudaRequirements(`Name: torch\n${toolkit}`), ['cuda-toolkit[cudart,cupti]==13.0.3']);
  const separate = [
    'Requires-Dist: nvidia-cuda-runtime-cu12==12.6.77; platform_system == "Linux"',
    'Requires-Dist: nvidia-cuda-cupti-cu12==12.6.80; platform_system == "Linux"',
    'Requires-Dist: nvidia-cublas-cu12==12.6.4.1; platform_system == "Linux"',
  ].join('\n');
  t.deepEqual(cudaRequirements(separate), ['nvidia-cuda-runtime-cu12==12.6.77', 'nvidia-cuda-cupti-cu12==12.6.80']);
  t.deepEqual(cudaRequirements('Name: torch\nRequires-Dist: sympy>=1.13.3\n'), []);
});
