import path from 'node:path';
import {IlrError} from '../errors.js';
import {acquireCudaLibtorch} from './acquire-cuda-libtorch.js';
import {acquireLibtorch} from './acquire-libtorch.js';
import {type BuiltAddon, buildAddon} from './build-addon.js';
import {cudaMajor, findDriverProblem, requireDriver} from './driver.js';
import {hashFile, hashSources} from './hash.js';
import {type FoundLibtorch, findCached, findExplicit, findLibtorch, type Libtorch} from './libtorch.js';
import {withLock} from './lock.js';
import {findOrGetNvcc} from './nvcc.js';
import {buildFolder, type Env, packageRoot, packageVersion} from './paths.js';
import {assertPlatform} from './platform.js';
import type {Report} from './progress.js';
import {type Proof, proveAddon} from './prove-addon.js';
import {findMismatch, haveSourcesChanged, readState, type SetupState, writeState} from './state.js';
import {findToolchain} from './toolchain.js';

/** auto: cuda where NVIDIA's driver answers, else cpu. */
export type SetupDevice = 'auto' | 'cpu' | 'cuda';

export interface SetupOptions {
  /** cuda asks for a LibTorch with CUDA and builds the GPU's kernels; what stands in the way is an error. */
  readonly device?: SetupDevice;
  /** A LibTorch folder or a Python torch folder; wins over ILR_LIBTORCH. */
  readonly libtorch?: string;
  /** Passes an installed Python torch over: ilr-native's own LibTorch is used, or got. */
  readonly own?: boolean;
  /** Builds and proves again, whatever the record says. */
  readonly force?: boolean;
  /** Also builds the C++ tests. */
  readonly withTests?: boolean;
  readonly root?: string;
  readonly env?: Env;
  readonly report?: Report;
}

export interface SetupResult {
  /** False where there was nothing to do. */
  readonly changed: boolean;
  readonly state: SetupState;
}

/**
Finds or gets LibTorch, compiles the addon, proves it in a child process and records what it did. Idempotent.
@throws IlrError saying what is missing and what to run.
*/
export async function setUp(options: SetupOptions = {}): Promise<SetupResult> {
  const {root = packageRoot(), env = process.env, report = () => {}} = options;
  assertPlatform();
  const device = options.device ?? 'auto';
  if (device === 'cuda') await requireDriver(env, cudaMajor(findExplicit(env, options.libtorch)?.variant ?? ''));
  const wantsGpu =
    device === 'cuda' || (device === 'auto' && (await findDriverProblem(env, cudaMajor(''))) === undefined);
  const folder = buildFolder(root, env);
  const done = finishedState(options, root, env, folder, wantsGpu, report);
  if (done) return {changed: false, state: done};
  const onWait = (pid: number): void =>
    report({phase: 'compile', message: `waiting for another set-up (process ${pid})`});
  return withLock(path.join(folder, '.lock'), onWait, async () => {
    const libtorch = await findOrGet(options, env, folder, wantsGpu, report);
    const toolchain = await findToolchain(env, report);
    const {cxx, version} = toolchain.compiler;
    report({phase: 'tools', message: `${cxx} ${version}, ${path.basename(toolchain.cmake)}, ${toolchain.generator}`});
    const nvcc = wantsGpu && libtorch.hasCuda ? await getNvcc(device, libtorch, env, report) : undefined;
    const sourcesSha256 = hashSources(root);
    const built = await buildAddon({
      root,
      folder,
      libtorch,
      toolchain,
      withTests: options.withTests ?? false,
      nvcc,
      env,
      report,
    });
    report({phase: 'prove', message: 'loading the addon in a child process'});
    const proof = await proveAddon({...built, libtorch: libtorch.folder}, {cuda: nvcc !== undefined});
    report({phase: 'prove', message: describeProof(proof)});
    const state = newState(root, libtorch, `${cxx} ${version}`, built, sourcesSha256);
    writeState(folder, state);
    return {changed: true, state};
  });
}

function finishedState(
  {force, withTests, libtorch, own, device}: SetupOptions,
  root: string,
  env: Env,
  folder: string,
  wantsGpu: boolean,
  report: Report,
): SetupState | undefined {
  const explicit = findExplicit(env, libtorch);
  if (force || withTests) return undefined;
  const state = readStateOrForget(folder, report);
  if (!state || findMismatch(state, root) !== undefined || haveSourcesChanged(state, root)) return undefined;
  if (explicit && explicit.folder !== state.libtorch.folder) return undefined;
  if (own && !['cache', 'acquired'].includes(state.libtorch.source)) return undefined;
  if (device === 'cuda' && !state.libtorch.hasCuda) return undefined;
  if (wantsGpu && state.libtorch.hasCuda && !state.addon.kernels) return undefined;
  return state;
}

async function findOrGet(
  options: SetupOptions,
  env: Env,
  folder: string,
  wantsGpu: boolean,
  report: Report,
): Promise<FoundLibtorch> {
  const {libtorch, own, device} = options;
  report({phase: 'find', message: 'looking for LibTorch'});
  const recorded = readStateOrForget(folder, report)?.libtorch;
  const skip = (reason: string): void => report({phase: 'find', message: reason});
  const get = () => (wantsGpu ? acquireCudaLibtorch(env, report) : acquireLibtorch(env, report));
  let found = (await findLibtorch({env, libtorch, recorded, own, skip})) ?? (await get());
  if (device === 'cuda' && !found.hasCuda) {
    const problem = `LibTorch ${found.version} in ${found.folder} has no GPU half (lib/libtorch_cuda.so)`;
    if (found.source === 'explicit') throw noCuda(problem);
    skip(problem);
    found = findCached(env, {withCuda: true}) ?? (await acquireCudaLibtorch(env, report));
  }
  report({phase: 'find', message: `LibTorch ${found.version} (${sourceWords[found.source]}) in ${found.folder}`});
  return found;
}

function noCuda(problem: string): IlrError {
  return new IlrError(
    'ILR_INVALID_ARGUMENT',
    `--device cuda needs a LibTorch with CUDA, but ${problem}. Name another one, or leave --libtorch and ILR_LIBTORCH out and let set-up get one.`,
  );
}

/** Without nvcc a GPU still computes, by LibTorch's own operations: only where a GPU was asked for by name is that an error. */
async function getNvcc(device: SetupDevice, libtorch: Libtorch, env: Env, report: Report): Promise<string | undefined> {
  try {
    const nvcc = await findOrGetNvcc(env, report, cudaMajor(libtorch.variant));
    report({phase: 'tools', message: `nvcc ${nvcc.version} (${nvcc.file})`});
    return nvcc.file;
  } catch (error) {
    if (device === 'cuda') throw error;
    report({phase: 'tools', message: `the GPU's kernels are left out: ${(error as Error).message}`});
    return undefined;
  }
}

export const sourceWords: Readonly<Record<FoundLibtorch['source'], string>> = {
  explicit: 'as you set it',
  python: "an installed Python's torch",
  cache: "ilr-native's cache",
  acquired: 'got by pip',
};

/** A damaged record is no record: set-up is what mends it. */
function readStateOrForget(folder: string, report: Report): SetupState | undefined {
  try {
    return readState(folder);
  } catch (error) {
    report({phase: 'find', message: (error as Error).message});
    return undefined;
  }
}

function describeProof({torch, threads}: Proof): string {
  return `the addon computes with LibTorch ${torch} on ${threads} thread${threads === 1 ? '' : 's'}`;
}

function newState(
  root: string,
  libtorch: FoundLibtorch,
  compiler: string,
  built: BuiltAddon,
  sourcesSha256: string,
): SetupState {
  return {
    format: 1,
    packageVersion: packageVersion(root),
    libtorch,
    compiler,
    addon: {
      file: built.file,
      sha256: hashFile(built.file),
      loader: built.loader,
      loaderSha256: hashFile(built.loader),
      sourcesSha256,
      ...(built.kernels ? {kernels: {file: built.kernels, sha256: hashFile(built.kernels)}} : {}),
    },
    node: process.version,
    finishedAt: new Date().toISOString(),
  };
}
