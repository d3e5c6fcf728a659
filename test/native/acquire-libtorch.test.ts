import {existsSync} from 'node:fs';
import {mkdir, readdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {acquireLibtorch} from '../../src/native/acquire-libtorch.js';
import {folderWith} from '../helpers/folder.js';
import {fakeProgram, type ZipMember, zip} from '../helpers/libtorch.js';

/** A torch wheel in small; its libraries are empty. */
function torchWheel(version: string, requires = ''): Buffer {
  const header = '#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 13\n#define TORCH_VERSION_PATCH 0\n';
  const members: ZipMember[] = [
    {name: 'torch/version.py', text: `__version__ = '${version}'\n`},
    {name: 'torch/lib/libtorch_cpu.so', text: 'cpu'},
    {name: 'torch/lib/libtorch_cuda.so', text: 'cuda'},
    {name: 'torch/include/ATen/core/Tensor.h', text: ''},
    {name: 'torch/include/torch/headeronly/version.h', text: header},
    {name: 'torch-2.13.0.dist-info/METADATA', text: `Name: torch\n${requires}`},
  ];
  return zip(members);
}

/** A python3 whose pip copies wheels from folders: `fixed` for the fixed tag, `own` for the interpreter's, `cuda` for NVIDIA's. */
async function fakePip(folder: string, wheels: Readonly<Record<string, Readonly<Record<string, Buffer>>>>) {
  for (const [place, files] of Object.entries(wheels)) {
    await mkdir(path.join(folder, place), {recursive: true});
    for (const [name, bytes] of Object.entries(files)) await writeFile(path.join(folder, place, name), bytes);
  }
  const script = `
    case "$*" in
      *--version) echo "pip 25.0 from here"; exit 0;;
      *cuda-toolkit*) from=cuda;;
      *--python-version*) from=fixed;;
      *) from=own;;
    esac
    echo "$from" >> ${folder}/calls
    while [ "$1" != --dest ]; do shift; done
    /bin/cp ${folder}/$from/*.whl "$2" 2>/dev/null && exit 0
    echo "ERROR: No matching distribution found for $3" >&2
    exit 1`;
  await fakeProgram(path.join(folder, 'bin'), 'python3', script);
  const env = {PATH: path.join(folder, 'bin'), ILR_CACHE: path.join(folder, 'cache')};
  const calls = async () => (await readFile(path.join(folder, 'calls'), 'utf8')).trim().split('\n');
  return {env, calls};
}

test('of a CUDA wheel the CPU half is unpacked, with the two NVIDIA libraries where its RPATH looks', async (t) => {
  const folder = await folderWith(t);
  const requires = 'Requires-Dist: cuda-toolkit[cublas,cudart,cupti]==13.0.3; platform_system == "Linux"\n';
  const {env, calls} = await fakePip(folder, {
    fixed: {'torch-2.13.0-cp312-cp312-other.whl': torchWheel('2.13.0+cu130', requires)},
    cuda: {
      'cuda_toolkit-13.0.3.0-py2.py3-none-any.whl': zip([{name: 'cuda_toolkit/x', text: ''}]),
      'nvidia_cuda_runtime-13.0.96-any.whl': zip([{name: 'nvidia/cu13/lib/libcudart.so.13', text: 'rt'}]),
      'nvidia_cuda_cupti-13.0.85-any.whl': zip([
        {name: 'nvidia/cu13/lib/libcupti.so.13', text: 'cupti'},
        {name: 'nvidia/cu13/lib/libnvperf_host.so', text: 'large'},
      ]),
    },
  });
  const said: string[] = [];
  const found = await acquireLibtorch(env, ({message}) => said.push(message));
  const home = path.join(folder, 'cache', 'libtorch', '2.13.0+cu130-cpu');
  t.deepEqual(found, {
    folder: path.join(home, 'torch'),
    version: '2.13.0+cu130',
    variant: 'cu130',
    hasCuda: false,
    source: 'acquired',
  });
  t.deepEqual(await calls(), ['fixed', 'cuda']);
  t.deepEqual((await readdir(path.join(home, 'nvidia', 'cu13', 'lib'))).sort(), ['libcudart.so.13', 'libcupti.so.13']);
  t.deepEqual(await readdir(path.join(home, 'torch', 'lib')), ['libtorch_cpu.so']);
  t.deepEqual(await readdir(path.dirname(home)), ['2.13.0+cu130-cpu']); // no download, lock or half-unpacked folder stays
  t.is(Object.keys(JSON.parse(await readFile(path.join(home, 'wheels.json'), 'utf8'))).length, 3);
  t.true(
    said.some((message) =>
      /^torch-2\.13\.0-cp312-cp312-other\.whl SHA-256 [0-9a-f]{64} \(not a file we know/.test(message),
    ),
  );
});

test("a CPU wheel that only fits the installed Python is taken, and needs nothing of NVIDIA's", async (t) => {
  const folder = await folderWith(t);
  const {env, calls} = await fakePip(folder, {own: {'torch-2.13.0+cpu-cp311-linux.whl': torchWheel('2.13.0+cpu')}});
  t.like(await acquireLibtorch(env, () => {}), {version: '2.13.0+cpu', variant: 'cpu', source: 'acquired'});
  t.deepEqual(await calls(), ['fixed', 'own']);
  t.like(await acquireLibtorch(env, () => t.fail('it is there already')), {source: 'cache'});
});

test('a known wheel with another hash is refused and deleted', async (t) => {
  const folder = await folderWith(t);
  const name = 'torch-2.13.0-cp312-cp312-manylinux_2_28_x86_64.whl';
  const {env} = await fakePip(folder, {fixed: {[name]: torchWheel('2.13.0+cu130')}});
  await t.throwsAsync(
    acquireLibtorch(env, () => {}),
    {
      code: 'ILR_IO',
      message: /must have SHA-256 796633c4[0-9a-f]{56}, but has [0-9a-f]{64}: .*It has been deleted/,
    },
  );
  t.false(existsSync(path.join(folder, 'cache', 'libtorch', '.downloads', name)));
  t.deepEqual(
    (await readdir(path.join(folder, 'cache', 'libtorch'))).filter((entry) => !entry.startsWith('.')),
    [],
  );
});

test('a wheel of another version, or none at all, is an error that says what to try', async (t) => {
  const folder = await folderWith(t);
  const {env} = await fakePip(folder, {fixed: {'torch-2.13.0-x.whl': torchWheel('2.9.0')}});
  await t.throwsAsync(
    acquireLibtorch(env, () => {}),
    {code: 'ILR_IO', message: /is not usable: .*2\.9\.0/},
  );
  const empty = await folderWith(t);
  const nothing = await fakePip(empty, {});
  await t.throwsAsync(
    acquireLibtorch(nothing.env, () => {}),
    {
      code: 'ILR_IO',
      message: /pip could not get torch==2\.13\.0:\nERROR: No matching distribution[\s\S]*--libtorch <folder>/,
    },
  );
});
