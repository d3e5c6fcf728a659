import {existsSync} from 'node:fs';
import {chmod, mkdir, readdir, rename, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {IlrError} from '../errors.js';
import {withLock} from './lock.js';
import {cacheFolder, type Env} from './paths.js';
import {findPip, pipDownload, pipFailed} from './pip.js';
import type {Report} from './progress.js';
import {runProcess, which} from './run-process.js';
import {checkHash, unpackWheel, wheelsOf} from './wheels.js';

// What kernels free of ATen need, and the glue that includes c10/cuda: 250 MB of a toolkit's gigabytes.
const requirement = 'cuda-toolkit[nvcc,crt,cudart]==13.0.3';
const neededMajor = 13;

export interface Nvcc {
  readonly file: string;
  /** Of CUDA: 13.0. */
  readonly version: string;
}

/** nvcc of `ILR_NVCC`, `CUDA_HOME`, the PATH, /usr/local/cuda or ilr-native's cache, of the CUDA that LibTorch was built for. */
export async function findNvcc(env: Env, major = neededMajor): Promise<Nvcc | undefined> {
  if (env.ILR_NVCC) return takeExplicit(env.ILR_NVCC, env);
  const places = [
    env.CUDA_HOME ? path.join(env.CUDA_HOME, 'bin', 'nvcc') : undefined,
    which('nvcc', env),
    '/usr/local/cuda/bin/nvcc',
    cachedNvcc(env),
  ];
  for (const file of places) {
    if (file === undefined || !existsSync(file)) continue;
    const version = await versionOf(file, env);
    if (version !== undefined && Number(version.split('.')[0]) === major) return {file, version};
  }
  return undefined;
}

async function takeExplicit(file: string, env: Env): Promise<Nvcc> {
  const version = await versionOf(file, env);
  if (version !== undefined) return {file, version};
  throw new IlrError('ILR_INVALID_ARGUMENT', `ILR_NVCC must name a file nvcc that runs, but is ${file}.`);
}

async function versionOf(file: string, env: Env): Promise<string | undefined> {
  const {stdout} = await runProcess(file, ['--version'], {env, timeoutMs: 30_000});
  return nvccVersion(stdout);
}

export function nvccVersion(text: string): string | undefined {
  return /release (\d+\.\d+)/.exec(text)?.[1];
}

function cachedNvcc(env: Env): string {
  return path.join(cacheFolder(env), 'cuda', requirementVersion, 'nvidia', 'cu13', 'bin', 'nvcc');
}

const requirementVersion = requirement.split('==')[1] ?? '';

/** The nvcc that is here, else pip's, about 110 MB, in the cache. */
export async function findOrGetNvcc(env: Env, report: Report, major = neededMajor): Promise<Nvcc> {
  const found = await findNvcc(env, major);
  if (found) return found;
  if (major !== neededMajor) {
    throw new IlrError(
      'ILR_NOT_SET_UP',
      `LibTorch was built for CUDA ${major}, and its GPU kernels need nvcc of CUDA ${major}, which is not here; set-up can get ` +
        `CUDA ${neededMajor} only. Install it and set CUDA_HOME, or use a LibTorch of CUDA ${neededMajor}.`,
    );
  }
  const cache = path.join(cacheFolder(env), 'cuda');
  const onWait = (pid: number): void =>
    report({phase: 'download', message: `waiting for another set-up (process ${pid})`});
  return withLock(path.join(cache, '.lock'), onWait, async () => {
    const mine = await findNvcc(env);
    if (mine) return mine;
    await getNvcc(env, cache, report);
    const got = await findNvcc(env);
    if (got) return got;
    throw new IlrError('ILR_IO', `${requirement} was unpacked into ${cache}, but its nvcc does not run.`);
  });
}

async function getNvcc(env: Env, cache: string, report: Report): Promise<void> {
  const downloads = path.join(cache, '.downloads');
  const partial = path.join(cache, '.partial');
  await rm(partial, {recursive: true, force: true});
  for (const folder of [downloads, partial]) await mkdir(folder, {recursive: true});
  const pip = await findPip(env);
  const result = await pipDownload(pip, {
    folder: downloads,
    requirement,
    withDependencies: true,
    fixedTag: true,
    report,
  });
  if (result.code !== 0) throw pipFailed(result, requirement);
  const hashes: Record<string, string> = {};
  for (const wheel of await wheelsOf(downloads)) {
    hashes[path.basename(wheel)] = await checkHash(wheel, report);
    await unpackWheel(wheel, partial, (name) => /^nvidia\/|\.dist-info\/(licenses\/)?L[iI][cC]/.test(name), report);
  }
  await makeExecutable(partial);
  await writeFile(path.join(partial, 'wheels.json'), `${JSON.stringify(hashes, undefined, 2)}\n`);
  const folder = path.join(cache, requirementVersion);
  await rm(folder, {recursive: true, force: true});
  await rename(partial, folder);
  await rm(downloads, {recursive: true, force: true});
}

/** Unpacking leaves modes out; programs lie in folders called bin. */
async function makeExecutable(folder: string): Promise<void> {
  for (const entry of await readdir(folder, {recursive: true, withFileTypes: true})) {
    if (entry.isFile() && path.basename(entry.parentPath) === 'bin')
      await chmod(path.join(entry.parentPath, entry.name), 0o755);
  }
}
