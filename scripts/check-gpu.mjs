// The checks of check-gpu.sh, run by it in a copy of the repository that has dist and node_modules. Each part has a time limit
// of its own, and a part that fails stops no other but those that need it. The JSON is written after each part.
//   node scripts/check-gpu.mjs <file.json>
import {spawn, spawnSync} from 'node:child_process';
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {cpus, totalmem} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const file = path.resolve(process.argv[2]);
const device = process.env.ILR_CHECK_DEVICE ?? 'cuda';
const isCuda = device.startsWith('cuda');
const started = performance.now();
const secondsForAll = Number(process.env.ILR_CHECK_SECONDS ?? 570);
const scale = secondsForAll / 570; // of the parts' limits: a rehearsal on two busy cores gets more time
const secondsLeft = () => secondsForAll - (performance.now() - started) / 1000;

const firstLine = (command, ...args) => {
  const {stdout, status} = spawnSync(command, args, {encoding: 'utf8', timeout: 30_000});
  return status === 0
    ? stdout
        .trim()
        .split('\n')
        .at(command === 'nvcc' ? -2 : 0)
    : undefined;
};
const python = (code) => firstLine('python3', '-I', '-c', code);

const libtorch =
  process.env.ILR_LIBTORCH ??
  python('import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])');

const result = {
  format: 1,
  command: 'scripts/check-gpu.sh',
  startedAt: new Date().toISOString(),
  commit: process.env.ILR_CHECK_COMMIT,
  device,
  machine: {
    gpu: firstLine('nvidia-smi', '--query-gpu=name,memory.total,driver_version', '--format=csv,noheader'),
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: firstLine('uname', '-sr'),
  },
  versions: {
    libtorch: existsSync(path.join(libtorch ?? '', 'version.py'))
      ? /__version__ = '([^']+)'/.exec(readFileSync(path.join(libtorch, 'version.py'), 'utf8'))?.[1]
      : undefined,
    nvcc: firstLine('nvcc', '--version'),
    gcc: firstLine('g++', '--version'),
    cmake: firstLine('cmake', '--version'),
    node: process.version,
  },
  parts: [],
};

function save() {
  result.seconds = Math.round((performance.now() - started) / 1000);
  result.passed = result.parts.every(({status}) => status === 'passed' || status === 'skipped');
  writeFileSync(file, `${JSON.stringify(result, undefined, 2)}\n`);
}

/** Runs a command to its end or its limit; its group is ended with it. */
function run(command, args, {limit, env = {}}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: {...process.env, ...env},
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    let timedOut = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
        process.stdout.write(chunk);
      });
    }
    const timer = setTimeout(() => {
      timedOut = true;
      process.kill(-child.pid, 'SIGKILL');
    }, limit * 1000);
    child.on('error', (error) => resolve({code: 127, text: `${text}${error.message}`, timedOut}));
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({code: code ?? 137, text, timedOut});
    });
  });
}

/** What a C++ test or a seam check printed: `figure  <name>: <value>, at most <bound>`. */
function figuresOf(text) {
  const lines = text.matchAll(/^figure +(.*): ([^:,]+), at most (\S+)$/gm);
  return [...lines].map(([, name, value, bound]) => ({name, value: Number(value), bound: Number(bound)}));
}

async function part(name, {needs = [], limit, command, args, env, read = () => ({})}) {
  const missing = needs.find((need) => result.parts.find((one) => one.name === need)?.status !== 'passed');
  const allowed = Math.min(limit * scale, secondsLeft());
  console.log(`\n== ${name}`);
  const from = performance.now();
  if (missing !== undefined || allowed < 5) {
    const reason = missing === undefined ? 'no time was left' : `"${missing}" did not pass`;
    console.log(reason);
    result.parts.push({name, status: 'failed', reason});
    return save();
  }
  const {code, text, timedOut} = await run(command, args, {limit: allowed, env});
  let details;
  try {
    details = read(text);
  } catch (error) {
    details = {problem: `its output could not be read: ${error.message}`};
  }
  const status = code === 0 && details.problem === undefined ? 'passed' : 'failed';
  const why = timedOut
    ? {reason: `not ended after ${Math.round(allowed)} s`}
    : status === 'failed'
      ? {exitCode: code}
      : {};
  const tail = status === 'failed' ? {output: text.slice(-4000).split('\n')} : {};
  result.parts.push({
    name,
    status,
    seconds: Math.round((performance.now() - from) / 100) / 10,
    ...why,
    ...details,
    ...tail,
  });
  save();
}

const node = process.execPath;
const build = path.join(root, 'native', 'build');
const kernels = path.join(build, 'libilr_cuda.so');
const coreTest = path.join(build, 'ilr_core_test');
const counted = (text) => ({
  counts: /(\d+) passed, (\d+) failed$/m.exec(text)?.[0],
  failures: [...text.matchAll(/^not ok +(.*)$/gm)].map(([, title]) => title),
  figures: figuresOf(text),
});
const json = (text) => ({values: JSON.parse(text.slice(text.indexOf('{')))});
const onGpu = isCuda ? {ILR_TEST_DEVICE: device, ILR_CUDA_LIBRARY: kernels} : {};

save();
await part('build', {
  limit: 300,
  command: node,
  args: [
    'bin/ilr-native.js',
    'setup',
    '--tests',
    '--device',
    isCuda ? 'cuda' : 'cpu',
    '--libtorch',
    libtorch ?? 'no torch found',
  ],
});
const needs = ['build'];
await part('core tests on the CPU', {
  needs,
  limit: 150,
  command: coreTest,
  args: [],
  env: {OMP_NUM_THREADS: '4'},
  read: counted,
});
await part(`core tests on ${device}`, {
  needs,
  limit: 120,
  command: coreTest,
  args: ['device:'],
  env: onGpu,
  read: counted,
});
await part(`seam on ${device}`, {
  needs,
  limit: 90,
  command: node,
  args: ['scripts/check-gpu-seam.mjs', device],
  read: counted,
});
await part(`demo on ${device}`, {
  needs,
  limit: 240,
  command: node,
  args: ['scripts/check-gpu-demo.mjs', device],
  read: json,
});
await part(`speed on ${device}`, {
  needs,
  limit: 60,
  command: node,
  args: ['bench/speed.mjs', '--device', device],
  read: json,
});
await part('speed of PyTorch', {
  limit: 60,
  command: 'python3',
  args: ['bench/peer-pytorch.py', '--device', device],
  read: json,
});

const failed = result.parts.filter(({status}) => status === 'failed').map(({name}) => name);
console.log(`\n${file}: ${failed.length === 0 ? 'all passed' : `failed: ${failed.join(', ')}`} in ${result.seconds} s`);
process.exitCode = failed.length === 0 ? 0 : 1;
