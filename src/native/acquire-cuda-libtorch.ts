import {mkdir, readFile, rename, rm, statfs, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {z} from 'zod';
import {IlrError} from '../errors.js';
import {torchRequirement} from './acquire-libtorch.js';
import {type FoundLibtorch, findCached, inspectLibtorch} from './libtorch.js';
import {withLock} from './lock.js';
import {cacheFolder, type Env} from './paths.js';
import {findPip, fixedTagOptions, type Pip, pipFailed, watchDownload} from './pip.js';
import type {Report} from './progress.js';
import {runProcess} from './run-process.js';
import {checkToldHash} from './wheels.js';

const neededBytes = 9e9; // the wheels and what is unpacked of them, at once

/** Of pip's --report: what was installed, and from which file. */
const reportSchema = z.object({
  install: z.array(
    z.object({
      download_info: z.object({
        url: z.string(),
        archive_info: z.object({hashes: z.object({sha256: z.string()})}),
      }),
    }),
  ),
});

/**
Gets LibTorch with its GPU half, and the NVIDIA packages that it needs, by pip into the cache: 2 GB to download, 4.3 GB
unpacked. One call installs all of them, because pip does not add to a folder `nvidia` that exists.
@throws IlrError `ILR_IO` when pip cannot, a wheel is not the known one, or what came has no CUDA.
*/
export async function acquireCudaLibtorch(env: Env, report: Report): Promise<FoundLibtorch> {
  const cache = path.join(cacheFolder(env), 'libtorch');
  const onWait = (pid: number): void =>
    report({phase: 'download', message: `waiting for another set-up (process ${pid})`});
  return withLock(path.join(cache, '.lock'), onWait, async () => {
    const found = findCached(env, {withCuda: true});
    if (found) return found;
    const partial = path.join(cache, '.partial');
    await rm(partial, {recursive: true, force: true});
    await mkdir(partial, {recursive: true});
    await requireSpace(cache);
    const hashes = await install(await findPip(env), partial, report);
    await writeFile(path.join(partial, 'wheels.json'), `${JSON.stringify(hashes, undefined, 2)}\n`);
    return accept(partial, cache);
  });
}

async function requireSpace(folder: string): Promise<void> {
  const {bavail, bsize} = await statfs(folder);
  if (bavail * bsize >= neededBytes) return;
  throw new IlrError(
    'ILR_IO',
    `LibTorch with CUDA needs ${neededBytes / 1e9} GB of disk while it is installed, but ${folder} has ${((bavail * bsize) / 1e9).toFixed(1)} GB free. ` +
      'Free some, or name another folder with ILR_CACHE.',
  );
}

async function install(pip: Pip, folder: string, report: Report): Promise<Record<string, string>> {
  const told = path.join(folder, 'report.json');
  const temporary = path.join(folder, 'tmp');
  await mkdir(temporary, {recursive: true});
  const args = [
    ...[
      '-I',
      '-u',
      '-m',
      'pip',
      'install',
      '--no-cache-dir',
      '--only-binary=:all:',
      '--progress-bar=off',
      '--no-compile',
    ],
    ...fixedTagOptions,
    ...(pip.hasResume ? ['--resume-retries', '5'] : []),
    ...['--report', told, '--target', folder, torchRequirement],
  ];
  const watch = watchDownload(temporary, 'download', `${torchRequirement} with CUDA`, report);
  try {
    const env = {...pip.env, TMPDIR: temporary, PIP_DISABLE_PIP_VERSION_CHECK: '1'};
    const result = await runProcess(pip.python, args, {env, cwd: folder, onLine: watch.onLine});
    if (result.code !== 0) throw pipFailed(result, torchRequirement);
  } finally {
    watch.stop();
  }
  const hashes: Record<string, string> = {};
  for (const {download_info: info} of reportSchema.parse(JSON.parse(await readFile(told, 'utf8'))).install) {
    const name = decodeURIComponent(path.basename(new URL(info.url).pathname));
    checkToldHash(name, info.archive_info.hashes.sha256, report);
    hashes[name] = info.archive_info.hashes.sha256;
  }
  await rm(told);
  await rm(temporary, {recursive: true, force: true});
  return hashes;
}

async function accept(partial: string, cache: string): Promise<FoundLibtorch> {
  const libtorch = inspectLibtorch(partial);
  if ('problem' in libtorch || !libtorch.hasCuda) {
    await rm(partial, {recursive: true, force: true});
    const problem = 'problem' in libtorch ? libtorch.problem : `${libtorch.version} has no libtorch_cuda.so`;
    throw new IlrError(
      'ILR_IO',
      `pip installed ${torchRequirement}, but without CUDA: ${problem}. Its index seems to serve CPU builds only; unset PIP_INDEX_URL, or ` +
        'install PyTorch with CUDA yourself and name it: `npx ilr-native setup --device cuda --libtorch <its torch folder>`.',
    );
  }
  const folder = path.join(cache, `${libtorch.version}-cuda`);
  await rm(folder, {recursive: true, force: true});
  await rename(partial, folder);
  const moved = inspectLibtorch(folder);
  if ('problem' in moved) throw new IlrError('ILR_IO', `LibTorch was installed, but ${moved.problem}.`);
  return {...moved, source: 'acquired'};
}
