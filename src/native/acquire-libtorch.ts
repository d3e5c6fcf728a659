import {mkdir, readdir, readFile, rename, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {IlrError} from '../errors.js';
import {type FoundLibtorch, findCached, inspectLibtorch, type Libtorch} from './libtorch.js';
import {withLock} from './lock.js';
import {cacheFolder, type Env} from './paths.js';
import {findPip, type Pip, pipDownload, pipFailed} from './pip.js';
import type {Report} from './progress.js';
import {checkHash, unpackWheel, wheelsOf} from './wheels.js';

export const torchRequirement = 'torch==2.13.0';

/**
Gets LibTorch for the CPU by pip into the cache. The wheel may be a CUDA build: of that only the CPU half is unpacked, and
the two NVIDIA libraries that this half still links are laid where its RPATH looks for them.
*/
export async function acquireLibtorch(env: Env, report: Report): Promise<FoundLibtorch> {
  const cache = path.join(cacheFolder(env), 'libtorch');
  const onWait = (pid: number): void =>
    report({phase: 'download', message: `waiting for another set-up (process ${pid})`});
  return withLock(path.join(cache, '.lock'), onWait, async () => {
    const found = findCached(env);
    if (found) return found;
    const pip = await findPip(env);
    const downloads = path.join(cache, '.downloads');
    const partial = path.join(cache, '.partial');
    await rm(partial, {recursive: true, force: true});
    await mkdir(partial, {recursive: true});
    const libtorch = await downloadAndUnpack(pip, downloads, partial, report);
    await rm(downloads, {recursive: true, force: true});
    const folder = path.join(cache, `${libtorch.version}-cpu`);
    await rename(partial, folder);
    const moved = inspectLibtorch(folder);
    if ('problem' in moved) throw new IlrError('ILR_IO', `LibTorch was unpacked, but ${moved.problem}.`);
    return {...moved, source: 'acquired'};
  });
}

async function downloadAndUnpack(pip: Pip, downloads: string, partial: string, report: Report) {
  const wheel = await downloadTorch(pip, downloads, report);
  const hashes = {[path.basename(wheel)]: await checkHash(wheel, report)};
  const libtorch = await unpackTorch(wheel, partial, report);
  for (const cuda of cudaRequirements(await readMetadata(partial))) {
    for (const part of await downloadCuda(pip, path.join(downloads, 'cuda'), cuda, report)) {
      hashes[path.basename(part)] = await checkHash(part, report);
      await unpackWheel(part, partial, isCudaStub, report);
    }
  }
  await writeFile(path.join(partial, 'wheels.json'), `${JSON.stringify(hashes, undefined, 2)}\n`);
  return libtorch;
}

/** A wheel that will not do is deleted, so that the next run gets another. */
async function unpackTorch(wheel: string, partial: string, report: Report): Promise<Libtorch> {
  try {
    await unpackWheel(wheel, partial, isCpuPart, report);
    const libtorch = inspectLibtorch(partial);
    if (!('problem' in libtorch)) return libtorch;
    throw new IlrError('ILR_IO', `${path.basename(wheel)} is not usable: ${libtorch.problem}.`);
  } catch (error) {
    await rm(wheel, {force: true});
    throw error;
  }
}

async function downloadTorch(pip: Pip, folder: string, report: Report): Promise<string> {
  await mkdir(folder, {recursive: true});
  let result = await pipDownload(pip, {folder, requirement: torchRequirement, fixedTag: true, report});
  // A local wheel folder may hold nothing but the wheel of the installed Python.
  const isMissing = /No matching distribution|Could not find a version/.test(result.stderr);
  if (result.code !== 0 && isMissing)
    result = await pipDownload(pip, {folder, requirement: torchRequirement, fixedTag: false, report});
  const [wheel] = await wheelsOf(folder);
  if (result.code !== 0 || wheel === undefined) throw pipFailed(result, torchRequirement);
  return wheel;
}

async function downloadCuda(pip: Pip, folder: string, cuda: string, report: Report): Promise<readonly string[]> {
  await mkdir(folder, {recursive: true});
  const options = {folder, requirement: cuda, withDependencies: true, report};
  const result = await pipDownload(pip, {...options, fixedTag: true});
  if (result.code !== 0) throw pipFailed(result, cuda);
  return (await wheelsOf(folder)).filter((file) => /nvidia_cuda_(runtime|cupti)/.test(path.basename(file)));
}

/** Headers, the libraries that the CPU needs, libc10_cuda (half a megabyte) that GPU code is linked with, and the licence. */
export function isCpuPart(name: string): boolean {
  if (
    /^torch\/include\/|^torch\/version\.py$|^torch-[^/]+\.dist-info\/(METADATA|licenses\/LICENSE|LICENSE)$/.test(name)
  )
    return true;
  return (
    /^torch\/lib\/lib[^/]+\.so[^/]*$/.test(name) && !/torch_cuda|nvrtc|nvshmem|python|libshm|global_deps/.test(name)
  );
}

export function isCudaStub(name: string): boolean {
  return /^nvidia\/[^/]+\/lib\/lib(cudart|cupti)\.so[^/]*$|\.dist-info\/(licenses\/)?L[iI][cC][^/]*$/.test(name);
}

async function readMetadata(folder: string): Promise<string> {
  const info = (await readdir(folder)).find((name) => name.endsWith('.dist-info'));
  return info === undefined ? '' : readFile(path.join(folder, info, 'METADATA'), 'utf8');
}

/** What a CUDA build's CPU half needs of NVIDIA's packages, at the versions that its metadata names; nothing for a CPU build. */
export function cudaRequirements(metadata: string): readonly string[] {
  const toolkit = /^Requires-Dist: cuda-toolkit\[[^\]]*\]==([\d.]+)/m.exec(metadata)?.[1];
  if (toolkit !== undefined) return [`cuda-toolkit[cudart,cupti]==${toolkit}`];
  const separate = metadata.matchAll(/^Requires-Dist: (nvidia-cuda-(?:runtime|cupti)[\w-]*) ?\(?==([\d.]+)/gm);
  return [...separate].map(([, name, version]) => `${name}==${version}`);
}
