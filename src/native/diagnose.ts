import {execFile} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {availableParallelism, cpus} from 'node:os';
import {promisify} from 'node:util';
import {messageOf} from '../errors.js';
import {filesOf, hasNvidiaDevice} from './addon.js';
import {cudaMajor, findDriverProblem} from './driver.js';
import {findCached, findExplicit, findPythonTorch} from './libtorch.js';
import {buildFolder, cacheFolder, type Env, packageRoot, packageVersion} from './paths.js';
import {assertPlatform, currentPlatform, type Platform} from './platform.js';
import {proveAddon} from './prove-addon.js';
import {sourceWords} from './setup.js';
import {findMismatch, haveSourcesChanged, readState, type SetupState, setupCommand} from './state.js';
import {findCmake, findCompiler} from './toolchain.js';

/** ok: as it should be; missing: training cannot run; note: worth knowing. */
export type FindingStatus = 'ok' | 'missing' | 'note';

export interface Finding {
  readonly name: string;
  readonly status: FindingStatus;
  readonly message: string;
  /** What to run or do. */
  readonly mend?: string;
}

export interface Diagnosis {
  readonly canTrain: boolean;
  readonly findings: readonly Finding[];
  readonly package: {readonly version: string; readonly root: string; readonly cache: string};
  readonly node: string;
  readonly platform: Platform;
  readonly libtorch?: SetupState['libtorch'];
  readonly addon?: SetupState['addon'];
  readonly compiler?: string;
  readonly devices: readonly Device[];
  readonly memory: {readonly totalBytes: number; readonly freeBytes: number};
}

export interface Device {
  readonly name: string;
  readonly kind: 'cpu' | 'cuda';
  readonly description: string;
  readonly isUsable: boolean;
}

export interface DiagnoseOptions {
  readonly root?: string;
  readonly env?: Env;
  readonly platform?: Platform;
}

/** Looks at everything that training needs; changes nothing and downloads nothing. */
export async function diagnose(options: DiagnoseOptions = {}): Promise<Diagnosis> {
  const {root = packageRoot(), env = process.env, platform = currentPlatform()} = options;
  const {finding: recorded, state} = checkState(root, env);
  const compiler = await checkCompiler(env, state !== undefined);
  const memory = readMemory();
  const findings = [
    checkPlatform(platform),
    checkNode(),
    await checkLibtorch(state, env),
    recorded,
    ...(state ? [await checkAddon(state)] : []),
    compiler.finding,
    await checkCmake(env, state !== undefined),
    checkMemory(memory),
  ];
  const devices = [cpuDevice(), ...(await cudaDevices(state?.libtorch.hasCuda ?? false))];
  findings.push(...(await checkGpu(devices, state, env)));
  return {
    canTrain: findings.every(({status}) => status !== 'missing'),
    findings,
    package: {version: packageVersion(root), root, cache: cacheFolder(env)},
    node: process.version,
    platform,
    libtorch: state?.libtorch,
    addon: state?.addon,
    compiler: compiler.version,
    devices,
    memory,
  };
}

function ok(name: string, message: string): Finding {
  return {name, status: 'ok', message};
}

function checkPlatform(platform: Platform): Finding {
  try {
    assertPlatform(platform);
    return ok('Platform', `${platform.platform} ${platform.arch}, glibc ${platform.glibc}`);
  } catch (error) {
    return {
      name: 'Platform',
      status: 'missing',
      message: messageOf(error),
      mend: 'use Linux x86-64 with glibc 2.28 or later',
    };
  }
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return ok('Node', process.version);
  const message = `Node 20.19 or later is needed, this is ${process.version}`;
  return {name: 'Node', status: 'missing', message, mend: 'install a current Node'};
}

function checkState(root: string, env: Env): {finding: Finding; state?: SetupState} {
  const missing = (message: string) => ({
    finding: {name: 'Addon', status: 'missing', message, mend: setupCommand} as const,
  });
  try {
    const state = readState(buildFolder(root, env));
    if (state === undefined) return missing('not built yet');
    const mismatch = findMismatch(state, root);
    if (mismatch !== undefined) return missing(mismatch);
    const message = `${state.addon.file}, built ${state.finishedAt} by ${state.compiler}`;
    if (!haveSourcesChanged(state, root)) return {finding: ok('Addon', message), state};
    const stale = 'its sources have changed since it was built';
    return {finding: {name: 'Addon', status: 'note', message: stale, mend: setupCommand}, state};
  } catch (error) {
    return missing(messageOf(error));
  }
}

async function checkLibtorch(state: SetupState | undefined, env: Env): Promise<Finding> {
  const name = 'LibTorch';
  try {
    const explicit = findExplicit(env, undefined);
    if (state) {
      const {version, source, folder} = state.libtorch;
      const inUse = `${version} (${sourceWords[source]}), ${folder}`;
      if (!explicit || explicit.folder === folder) return ok(name, inUse);
      return {
        name,
        status: 'note',
        message: `${inUse}; ILR_LIBTORCH names another, ${explicit.folder}`,
        mend: setupCommand,
      };
    }
    const found = explicit ?? (await findPythonTorch(env, () => {})) ?? findCached(env);
    if (found) return ok(name, `${found.version} (${sourceWords[found.source]}), ${found.folder}; not in use yet`);
    return {name, status: 'missing', message: 'none found', mend: `${setupCommand} (gets it by pip, about 530 MB)`};
  } catch (error) {
    return {name, status: 'missing', message: messageOf(error), mend: 'correct or unset ILR_LIBTORCH'};
  }
}

async function checkAddon(state: SetupState): Promise<Finding> {
  const name = 'Self-test';
  try {
    const {torch, threads} = await proveAddon(filesOf(state));
    return ok(name, `the addon loads and computes: LibTorch ${torch}, ${threads} threads`);
  } catch (error) {
    return {name, status: 'missing', message: messageOf(error), mend: `${setupCommand} --force`};
  }
}

async function checkCompiler(env: Env, isBuilt: boolean): Promise<{finding: Finding; version?: string}> {
  try {
    const {cxx, version} = await findCompiler(env);
    return {finding: ok('Compiler', `${cxx} ${version}`), version: `${cxx} ${version}`};
  } catch (error) {
    const mend = 'apt-get install g++ (Debian, Ubuntu) or dnf install gcc-c++ (Fedora)';
    // A built addon needs none.
    return {finding: {name: 'Compiler', status: isBuilt ? 'note' : 'missing', message: messageOf(error), mend}};
  }
}

async function checkCmake(env: Env, isBuilt: boolean): Promise<Finding> {
  const cmake = await findCmake(env);
  if (cmake !== undefined) return ok('CMake', cmake);
  const message = 'CMake 3.18 or later is not here; set-up gets one by pip';
  return {name: 'CMake', status: 'note', message, ...(isBuilt ? {} : {mend: setupCommand})};
}

function checkMemory({freeBytes}: {freeBytes: number}): Finding {
  const message = `${gigabytes(freeBytes)} GB free`;
  if (freeBytes >= 2e9) return ok('Memory', message);
  return {
    name: 'Memory',
    status: 'note',
    message: `${message}; compiling and the demo want 2 GB`,
    mend: 'close other programs',
  };
}

/** Of this machine, or of the container's limit where that is lower. */
export function readMemory(): {readonly totalBytes: number; readonly freeBytes: number} {
  const info = readText('/proc/meminfo');
  const total = 1024 * Number(/^MemTotal:\s+(\d+)/m.exec(info)?.[1] ?? 0);
  const free = 1024 * Number(/^MemAvailable:\s+(\d+)/m.exec(info)?.[1] ?? 0);
  const limit = Number(readText('/sys/fs/cgroup/memory.max')) || Number.POSITIVE_INFINITY;
  const used = Number(readText('/sys/fs/cgroup/memory.current')) || 0;
  return {totalBytes: Math.min(total, limit), freeBytes: Math.max(0, Math.min(free, limit - used))};
}

function readText(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

function cpuDevice(): Device {
  const flags =
    readText('/proc/cpuinfo')
      .match(/^flags\s*:(.*)$/m)?.[1]
      ?.split(' ') ?? [];
  const widest = flags.includes('avx512f') ? 'AVX-512' : flags.includes('avx2') ? 'AVX2' : 'no AVX2';
  const description = `${cpus()[0]?.model ?? 'CPU'}, ${availableParallelism()} cores, ${widest}`;
  return {name: 'cpu', kind: 'cpu', description, isUsable: true};
}

async function cudaDevices(hasCuda: boolean): Promise<readonly Device[]> {
  if (!hasNvidiaDevice()) return [];
  const query = ['--query-gpu=index,name,memory.total,memory.free,driver_version', '--format=csv,noheader'];
  const answer = await promisify(execFile)('nvidia-smi', query, {timeout: 10_000}).catch(() => ({stdout: ''}));
  const lines = answer.stdout.split('\n').filter((line) => line.trim() !== '');
  return lines.map((line) => {
    const [index, name, total, free, driver] = line.split(',').map((part) => part.trim());
    const description = `${name}, ${total}, ${free} free, driver ${driver}`;
    return {name: `cuda:${index}`, kind: 'cuda', description, isUsable: hasCuda};
  });
}

/** Nothing where there is no GPU and none was prepared for. */
async function checkGpu(
  devices: readonly Device[],
  state: SetupState | undefined,
  env: Env,
): Promise<readonly Finding[]> {
  const gpu = devices.find(({kind}) => kind === 'cuda');
  const kernels = state?.addon.kernels;
  if (!hasNvidiaDevice() && !kernels) return [];
  const note = (message: string, mend: string): readonly Finding[] => [{name: 'GPU', status: 'note', message, mend}];
  const problem = await findDriverProblem(env, cudaMajor(state?.libtorch.variant ?? ''));
  if (problem !== undefined) return note(`${problem}: training runs on the CPU`, "install or update NVIDIA's driver");
  const name = gpu ? `${gpu.name} (${gpu.description})` : 'a GPU';
  if (!state?.libtorch.hasCuda)
    return note(
      `${name} is here, but the LibTorch in use has no CUDA: training runs on the CPU`,
      `${setupCommand} --device cuda`,
    );
  if (kernels) return [ok('GPU', `LibTorch with CUDA, kernels ${kernels.file}`)];
  return note(
    "the GPU's kernels are not built: LibTorch's own operations do their work, more slowly",
    `${setupCommand} --device cuda`,
  );
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1);
}
