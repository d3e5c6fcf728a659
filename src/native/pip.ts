import {mkdir, readdir, rm, stat} from 'node:fs/promises';
import path from 'node:path';
import {IlrError} from '../errors.js';
import {pythonCandidates} from './libtorch.js';
import type {Env} from './paths.js';
import type {Report, SetupPhase} from './progress.js';
import {lastLines, type ProcessResult, runProcess} from './run-process.js';

/** A Python that has pip. pip brings proxies, mirrors, certificates and local wheel folders along. */
export interface Pip {
  readonly python: string;
  readonly env: Env;
  readonly hasResume: boolean;
}

export async function findPip(env: Env): Promise<Pip> {
  let hasPython = false;
  for (const python of pythonCandidates(env)) {
    const version = await runProcess(python, ['-I', '-m', 'pip', '--version'], {env, timeoutMs: 60_000});
    const [, major, minor] = /^pip (\d+)\.(\d+)/.exec(version.stdout) ?? [];
    if (version.code === 0 && major) return {python, env, hasResume: Number(major) * 100 + Number(minor) >= 2501};
    hasPython ||= version.code !== undefined;
  }
  const [missing, debian, fedora] = hasPython
    ? ['python3 is there, but not its pip, which fetches what is missing', 'python3-pip', 'python3-pip']
    : ['python3 with pip, which fetches what is missing, is not installed', 'python3 python3-pip', 'python3-pip'];
  throw new IlrError(
    'ILR_NOT_SET_UP',
    `${missing}. Install it (Debian, Ubuntu: apt-get install ${debian}; Fedora: dnf install ${fedora}) and run \`npx ilr-native setup\` again, ` +
      'or name a LibTorch folder that you have: `npx ilr-native setup --libtorch <folder>`.',
  );
}

export interface DownloadOptions {
  readonly folder: string;
  readonly requirement: string;
  readonly withDependencies?: boolean;
  /** The wheels of one fixed Python (their C++ half is the same for all), so that one hash serves everybody. */
  readonly fixedTag: boolean;
  readonly report: Report;
}

/** pip matches a platform exactly: each one that a needed wheel names. */
export const fixedTagOptions: readonly string[] = [
  ...['--python-version', '3.12', '--implementation', 'cp'],
  ...['_2_28', '_2_27', '_2_25', '_2_24', '_2_18', '_2_17', '2014'].flatMap((version) => [
    '--platform',
    `manylinux${version}_x86_64`,
  ]),
];

/** Downloads wheels into a folder; a wheel that an interrupted run left there whole is not fetched again. */
export async function pipDownload(pip: Pip, options: DownloadOptions): Promise<ProcessResult> {
  const {folder, requirement, withDependencies = false, fixedTag, report} = options;
  const temporary = path.join(folder, 'tmp');
  await rm(temporary, {recursive: true, force: true}); // of an interrupted run
  await mkdir(temporary, {recursive: true});
  const args = [
    ...['-I', '-u', '-m', 'pip', 'download', '--no-cache-dir', '--only-binary=:all:', '--progress-bar=off'],
    ...(withDependencies ? [] : ['--no-deps']),
    ...(fixedTag ? fixedTagOptions : []),
    ...(pip.hasResume ? ['--resume-retries', '5'] : []),
    ...['--dest', folder, requirement],
  ];
  const watch = watchDownload(temporary, 'download', requirement, report);
  try {
    // pip writes to its temporary folder first: the size of that is the progress, whatever pip's version.
    const env = {...pip.env, TMPDIR: temporary, PIP_DISABLE_PIP_VERSION_CHECK: '1'};
    return await runProcess(pip.python, args, {env, cwd: folder, onLine: watch.onLine});
  } finally {
    watch.stop();
  }
}

export function watchDownload(folder: string, phase: SetupPhase, message: string, report: Report) {
  let total: number | undefined;
  report({phase, message});
  const timer = setInterval(async () => {
    const done = await folderBytes(folder).catch(() => 0);
    if (total !== undefined && done > 0) report({phase, message, done: Math.min(done, total), total, unit: 'bytes'});
  }, 500);
  const onLine = (line: string): void => {
    const size = /Downloading \S+ \(([\d.]+) ([kMG]?)B\)/.exec(line);
    const scale = {'': 1, k: 1e3, M: 1e6, G: 1e9}[size?.[2] ?? ''] ?? 1;
    if (size) total = (total ?? 0) + Number(size[1]) * scale;
  };
  return {onLine, stop: () => clearInterval(timer)};
}

async function folderBytes(folder: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(folder, {recursive: true, withFileTypes: true})) {
    if (entry.isFile()) sum += (await stat(path.join(entry.parentPath, entry.name))).size;
  }
  return sum;
}

export function pipFailed(result: ProcessResult, requirement: string): IlrError {
  return new IlrError(
    'ILR_IO',
    `pip could not get ${requirement}:\n${lastLines(result)}\n` +
      "Check the network and pip's own settings (PIP_INDEX_URL, PIP_PROXY, PIP_FIND_LINKS) and run `npx ilr-native setup` again, " +
      'or name a LibTorch that you have: `npx ilr-native setup --libtorch <folder>`.',
  );
}
