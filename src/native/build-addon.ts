import {existsSync} from 'node:fs';
import {mkdir, rm} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {availableParallelism} from 'node:os';
import path from 'node:path';
import {IlrError} from '../errors.js';
import type {Libtorch} from './libtorch.js';
import type {Env} from './paths.js';
import type {Report, SetupPhase} from './progress.js';
import {lastLines, runProcess} from './run-process.js';
import type {Toolchain} from './toolchain.js';

export interface BuildOptions {
  readonly root: string;
  readonly folder: string;
  readonly libtorch: Libtorch;
  readonly toolchain: Toolchain;
  /** Also the C++ tests and the tools. */
  readonly withTests: boolean;
  /** Also the GPU's kernels, by this nvcc. */
  readonly nvcc?: string;
  readonly env: Env;
  readonly report: Report;
}

export interface BuiltAddon {
  readonly file: string;
  readonly loader: string;
  readonly kernels?: string;
}

/** Compiles what has changed, by cmake-js. A build folder that CMake will not configure again is begun anew, once. */
export async function buildAddon(options: BuildOptions): Promise<BuiltAddon> {
  const {folder, report} = options;
  await mkdir(folder, {recursive: true});
  report({phase: 'configure', message: 'configuring with CMake'});
  if (!(await configure(options, existsSync(path.join(folder, 'CMakeCache.txt'))))) {
    for (const name of ['CMakeCache.txt', 'CMakeFiles'])
      await rm(path.join(folder, name), {recursive: true, force: true});
    await configure(options, false);
  }
  report({phase: 'compile', message: 'compiling'});
  await runCmakeJs(options, 'build', ['--parallel', String(availableParallelism())]);
  const [file, loader] = [path.join(folder, 'ilr.node'), path.join(folder, 'ilr_loader.node')];
  const kernels = options.nvcc === undefined ? undefined : path.join(folder, 'libilr_cuda.so');
  for (const one of [file, loader, ...(kernels ? [kernels] : [])]) {
    if (!existsSync(one))
      throw new IlrError('ILR_NOT_SET_UP', `The build ended without ${one}. Run \`npx ilr-native setup --force\`.`);
  }
  return {file, loader, kernels};
}

/** False when it failed and may be tried again in an empty folder. */
async function configure(options: BuildOptions, mayRetry: boolean): Promise<boolean> {
  const {libtorch, toolchain, withTests, nvcc} = options;
  const settings = {
    ILR_LIBTORCH: libtorch.folder,
    ILR_NODE: process.execPath,
    ILR_TESTS: withTests ? 'ON' : 'OFF',
    ILR_TOOLS: withTests ? 'ON' : 'OFF',
    ILR_CUDA: nvcc === undefined ? 'OFF' : 'ON',
    ILR_NVCC: nvcc ?? '',
    CMAKE_MAKE_PROGRAM: toolchain.makeProgram,
  };
  const args = [
    ...['-G', toolchain.generator],
    ...['--cxx', toolchain.compiler.cxx, '--cc', toolchain.compiler.cc],
    ...Object.entries(settings).map(([name, value]) => `--CD${name}=${value}`),
  ];
  try {
    await runCmakeJs(options, 'configure', args);
    return true;
  } catch (error) {
    if (mayRetry) return false;
    throw error;
  }
}

async function runCmakeJs(
  options: BuildOptions,
  command: 'configure' | 'build',
  args: readonly string[],
): Promise<void> {
  const {root, folder, toolchain, report} = options;
  const cmakeJs = createRequire(path.join(root, 'package.json')).resolve('cmake-js/bin/cmake-js');
  const phase: SetupPhase = command === 'build' ? 'compile' : 'configure';
  const onLine = (line: string): void => {
    const progress = parseBuildLine(line);
    if (progress) report({phase, ...progress});
  };
  const common = [command, '-d', root, '-O', folder, '-B', 'Release', '-c', toolchain.cmake];
  const env = {...options.env, CXX: toolchain.compiler.cxx, CC: toolchain.compiler.cc};
  const result = await runProcess(process.execPath, [cmakeJs, ...common, ...args], {env, cwd: root, onLine});
  if (result.code === 0) return;
  throw new IlrError(
    'ILR_NOT_SET_UP',
    `${command === 'build' ? 'Compiling' : 'Configuring'} the addon failed:\n${lastLines(result, 40)}\n` +
      'If the lines above do not say what to mend, run `npx ilr-native doctor`, then `npx ilr-native setup --force`.',
  );
}

/** Ninja's `[3/14] Building …` and make's `[ 21%] Building …`. */
export function parseBuildLine(line: string) {
  const ninja = /^\[(\d+)\/(\d+)\] (.*)$/.exec(line);
  const make = /^\[\s*(\d+)%\] (.*)$/.exec(line);
  const [done, total, text] = ninja
    ? [Number(ninja[1]), Number(ninja[2]), ninja[3]]
    : [Number(make?.[1]), 100, make?.[2]];
  if (text === undefined || !/^(Building|Linking) /.test(text)) return undefined;
  const file = path.basename(text.split(' ').at(-1) ?? '').replace(/\.(o|gch)$/, '');
  const verb = text.startsWith('Linking') ? 'linking' : 'compiling';
  return {message: `${verb} ${file}`, done, total, unit: 'files' as const};
}
