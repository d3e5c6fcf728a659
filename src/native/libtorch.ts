import {existsSync, readdirSync, readFileSync, realpathSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {IlrError} from '../errors.js';
import {cacheFolder, type Env} from './paths.js';
import {runProcess} from './run-process.js';

const oldestMinor = 11;
const newestMinor = 15;
export const supportedVersions = `2.${oldestMinor} to 2.${newestMinor}`;

export interface Libtorch {
  /** Absolute; holds include/ and lib/. */
  readonly folder: string;
  /** With its suffix: 2.13.0+cu130. */
  readonly version: string;
  /** cpu, or the CUDA it was built for: cu130. */
  readonly variant: string;
  /** Whether its GPU half is there. */
  readonly hasCuda: boolean;
}

export type LibtorchSource = 'explicit' | 'python' | 'cache' | 'acquired';

export interface FoundLibtorch extends Libtorch {
  readonly source: LibtorchSource;
}

/** What a folder holds, or why it cannot serve. Looks into it and, for site-packages, into its `torch`. */
export function inspectLibtorch(folder: string): Libtorch | {readonly problem: string} {
  const root = [folder, path.join(folder, 'torch')].find((at) => existsSync(path.join(at, 'lib', 'libtorch_cpu.so')));
  if (root === undefined) return {problem: `${folder} has no lib/libtorch_cpu.so`};
  const header = path.join(root, 'include', 'torch', 'headeronly', 'version.h');
  if (!existsSync(path.join(root, 'include', 'ATen', 'core', 'Tensor.h')) || !existsSync(header)) {
    return {problem: `${root} has no C++ headers of LibTorch ${supportedVersions} in include/`};
  }
  const headerVersion = parseHeaderVersion(readFileSync(header, 'utf8'));
  const version = readVersion(root) ?? headerVersion;
  if (version === undefined) return {problem: `${root} does not say which version it is`};
  if (headerVersion !== undefined && majorMinor(version) !== majorMinor(headerVersion)) {
    return {problem: `${root} says it is ${version}, but its headers are of ${headerVersion}`};
  }
  if (!isSupported(version)) {
    return {problem: `${root} is LibTorch ${version}; ilr-native supports ${supportedVersions}`};
  }
  const hasCuda = existsSync(path.join(root, 'lib', 'libtorch_cuda.so'));
  const variant = version.split('+')[1] ?? (hasCuda ? 'cuda' : 'cpu');
  return {folder: realpathSync(root), version, variant, hasCuda};
}

/** The version in Python's torch/version.py. */
export function parseVersionPy(text: string): string | undefined {
  return /^__version__\s*(?::[^=\n]*)?=\s*['"]([\w.+-]+)['"]/m.exec(text)?.[1];
}

export function parseHeaderVersion(text: string): string | undefined {
  const [major, minor, patch] = ['MAJOR', 'MINOR', 'PATCH'].map(
    (part) => new RegExp(`^#define TORCH_VERSION_${part} (\\d+)`, 'm').exec(text)?.[1],
  );
  return major !== undefined && minor !== undefined ? `${major}.${minor}.${patch ?? 0}` : undefined;
}

function majorMinor(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}

export function isSupported(version: string): boolean {
  const [major, minor] = version.split('.').map(Number);
  return major === 2 && minor !== undefined && minor >= oldestMinor && minor <= newestMinor;
}

function readVersion(root: string): string | undefined {
  const python = path.join(root, 'version.py');
  if (existsSync(python)) return parseVersionPy(readFileSync(python, 'utf8'));
  const archive = path.join(root, 'build-version'); // of the official LibTorch archive
  return existsSync(archive) ? readFileSync(archive, 'utf8').trim() : undefined;
}

/** Takes the folder that the user named, or says why it will not do; never falls through to another one. */
function takeExplicit(folder: string, setting: string): FoundLibtorch {
  const found = inspectLibtorch(path.resolve(folder));
  if ('problem' in found) {
    throw new IlrError(
      'ILR_INVALID_ARGUMENT',
      `${setting} must name a LibTorch folder or a Python torch folder, ${supportedVersions}, but ${found.problem}. ` +
        'Correct it, or leave it out and let `npx ilr-native setup` find or get one.',
    );
  }
  return {...found, source: 'explicit'};
}

const findTorch =
  'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s and s.submodule_search_locations else "")';

/** Programs that may be Python: that of the active virtual environment first. */
export function pythonCandidates(env: Env): readonly string[] {
  return [...(env.VIRTUAL_ENV ? [path.join(env.VIRTUAL_ENV, 'bin', 'python')] : []), 'python3'];
}

/** The torch of an installed Python, used in place; `skip` hears of each one that will not do. */
export async function findPythonTorch(env: Env, skip: (reason: string) => void): Promise<FoundLibtorch | undefined> {
  for (const python of pythonCandidates(env)) {
    // -I: without it, a folder called torch in the current folder would be taken. find_spec does not import torch.
    const {code, stdout} = await runProcess(python, ['-I', '-c', findTorch], {env, cwd: tmpdir(), timeoutMs: 30_000});
    const folder = stdout.trim();
    if (code !== 0 || folder === '') continue;
    const found = inspectLibtorch(folder);
    if (!('problem' in found)) return {...found, source: 'python'};
    skip(`the torch of ${python} is passed over: ${found.problem}`);
  }
  return undefined;
}

/** One that `setup` got earlier, the newest first. */
export function findCached(env: Env, {withCuda = false} = {}): FoundLibtorch | undefined {
  const cache = path.join(cacheFolder(env), 'libtorch');
  if (!existsSync(cache)) return undefined;
  const names = readdirSync(cache).filter((name) => !name.startsWith('.'));
  for (const name of names.sort().reverse()) {
    const found = inspectLibtorch(path.join(cache, name));
    if (!('problem' in found) && (found.hasCuda || !withCuda)) return {...found, source: 'cache'};
  }
  return undefined;
}

export interface FindOptions {
  readonly env: Env;
  /** --libtorch; wins over ILR_LIBTORCH. */
  readonly libtorch?: string;
  /** What an earlier set-up used. */
  readonly recorded?: FoundLibtorch;
  /** Passes an installed Python torch over. */
  readonly own?: boolean;
  readonly skip: (reason: string) => void;
}

/** Explicit, recorded, Python's, cached: the first of these that is there. */
export async function findLibtorch(options: FindOptions): Promise<FoundLibtorch | undefined> {
  const {env, libtorch, recorded, own = false, skip} = options;
  const explicit = findExplicit(env, libtorch);
  if (explicit) return explicit;
  if (recorded && !(own && recorded.source !== 'acquired' && recorded.source !== 'cache')) {
    const found = inspectLibtorch(recorded.folder);
    if (!('problem' in found)) return {...found, source: recorded.source};
    skip(`the LibTorch of the last set-up is gone: ${found.problem}`);
  }
  return (own ? undefined : await findPythonTorch(env, skip)) ?? findCached(env);
}

export function findExplicit(env: Env, libtorch: string | undefined): FoundLibtorch | undefined {
  if (libtorch !== undefined) return takeExplicit(libtorch, '--libtorch');
  if (env.ILR_LIBTORCH) return takeExplicit(env.ILR_LIBTORCH, 'ILR_LIBTORCH');
  return undefined;
}
