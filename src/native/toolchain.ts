import {existsSync} from 'node:fs';
import {mkdir, rename, rm} from 'node:fs/promises';
import path from 'node:path';
import {IlrError} from '../errors.js';
import {cacheFolder, type Env} from './paths.js';
import {findPip, pipFailed} from './pip.js';
import type {Report} from './progress.js';
import {runProcess, which} from './run-process.js';

export interface Toolchain {
  readonly compiler: Compiler;
  readonly cmake: string;
  readonly generator: 'Ninja' | 'Unix Makefiles';
  /** The ninja or make that the generator runs. */
  readonly makeProgram: string;
}

export interface Compiler {
  readonly cxx: string;
  readonly cc: string;
  readonly version: string;
}

// The newest that need no compiler of their own on a glibc as old as LibTorch's.
const cmakeRequirement = 'cmake==3.31.6';
const ninjaRequirement = 'ninja==1.13.0';

/** Everything that compiles the addon; cmake and ninja are fetched by pip into the cache where the system has none. */
export async function findToolchain(env: Env, report: Report): Promise<Toolchain> {
  const compiler = await findCompiler(env);
  const cmake = (await findCmake(env)) ?? (await fetchTool(env, 'cmake', cmakeRequirement, report));
  const make = (await findMake(env)) ?? {
    generator: 'Ninja' as const,
    makeProgram: await fetchTool(env, 'ninja', ninjaRequirement, report),
  };
  return {compiler, cmake, ...make};
}

/**
g++ 11 or later: the C++20 of LibTorch's headers, and OpenMP code that runs on LibTorch's own libgomp (clang's does not).
$CXX is taken at its word: an unsuitable one is an error.
*/
export async function findCompiler(env: Env): Promise<Compiler> {
  const candidates = env.CXX ? [env.CXX] : ['g++', 'c++', ...[15, 14, 13, 12, 11].map((major) => `g++-${major}`)];
  const seen: string[] = [];
  for (const name of candidates) {
    const cxx = which(name, env);
    if (cxx === undefined) continue;
    const {code, stdout} = await runProcess(cxx, ['--version'], {env, timeoutMs: 30_000});
    if (code !== 0) continue;
    const version = gccVersion(stdout);
    if (version !== undefined && Number(version.split('.')[0]) >= 11) return {cxx, cc: await findC(cxx, env), version};
    seen.push(version === undefined ? (stdout.split('\n')[0] ?? name) : `${name} ${version}`);
  }
  const came =
    seen.length > 0 ? `found ${seen.join(', ')}` : env.CXX ? `CXX is ${env.CXX}, which does not run` : 'found none';
  throw new IlrError(
    'ILR_NOT_SET_UP',
    `The addon is compiled by g++ 11 or later, but ${came}. ` +
      'Install it (Debian, Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++), or set CXX to one, and run `npx ilr-native setup` again.',
  );
}

export function gccVersion(text: string): string | undefined {
  if (!text.includes('Free Software Foundation')) return undefined;
  return /^.*\)\s+(\d+\.\d+(?:\.\d+)?)/.exec(text)?.[1] ?? /(\d+\.\d+\.\d+)/.exec(text)?.[1];
}

async function findC(cxx: string, env: Env): Promise<string> {
  const name = path.basename(cxx).replace('g++', 'gcc').replace('c++', 'cc');
  const sibling = path.join(path.dirname(cxx), name);
  for (const cc of [...(env.CC ? [env.CC] : []), sibling, 'cc']) {
    if ((await runProcess(cc, ['--version'], {env, timeoutMs: 30_000})).code === 0) return cc;
  }
  throw new IlrError(
    'ILR_NOT_SET_UP',
    `${cxx} is there, but not the C compiler that belongs to it (${name}). Install it.`,
  );
}

export function cmakeVersion(text: string): string | undefined {
  return /^cmake version (\d+\.\d+(?:\.\d+)?)/m.exec(text)?.[1];
}

export async function findCmake(env: Env): Promise<string | undefined> {
  for (const cmake of [which('cmake', env), cachedTool(env, 'cmake')]) {
    if (cmake === undefined) continue;
    const {code, stdout} = await runProcess(cmake, ['--version'], {env, timeoutMs: 30_000});
    const [major = 0, minor = 0] = (cmakeVersion(stdout) ?? '').split('.').map(Number);
    if (code === 0 && (major > 3 || (major === 3 && minor >= 18))) return cmake;
  }
  return undefined;
}

async function findMake(env: Env): Promise<Pick<Toolchain, 'generator' | 'makeProgram'> | undefined> {
  const candidates = [
    ['Ninja', which('ninja', env)],
    ['Ninja', which('ninja-build', env)],
    ['Ninja', cachedTool(env, 'ninja')],
    ['Unix Makefiles', which('make', env)],
  ] as const;
  for (const [generator, makeProgram] of candidates) {
    if (makeProgram === undefined) continue;
    const {code} = await runProcess(makeProgram, ['--version'], {env, timeoutMs: 30_000});
    if (code === 0) return {generator, makeProgram};
  }
  return undefined;
}

function toolPlaces(folder: string, name: string): readonly string[] {
  return [path.join(folder, name, 'data', 'bin', name), path.join(folder, 'bin', name)];
}

function cachedTool(env: Env, name: string): string | undefined {
  return toolPlaces(path.join(cacheFolder(env), 'tools', name), name).find((file) => existsSync(file));
}

async function fetchTool(env: Env, name: string, requirement: string, report: Report): Promise<string> {
  report({phase: 'tools', message: `${name} is missing: getting ${requirement} by pip`});
  const pip = await findPip(env);
  const folder = path.join(cacheFolder(env), 'tools', name);
  const partial = `${folder}.${process.pid}.partial`;
  await mkdir(partial, {recursive: true});
  const args = ['-I', '-m', 'pip', 'install', '--no-deps', '--only-binary=:all:', '--target', partial, requirement];
  const result = await runProcess(pip.python, args, {env, cwd: partial});
  if (result.code !== 0) throw pipFailed(result, requirement);
  await rm(folder, {recursive: true, force: true});
  await rename(partial, folder);
  const tool = cachedTool(env, name);
  if (tool === undefined)
    throw new IlrError(
      'ILR_NOT_SET_UP',
      `${requirement} holds no ${name}. Install ${name} and run \`npx ilr-native setup\` again.`,
    );
  return tool;
}
