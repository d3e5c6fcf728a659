import {chmod, cp, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {IlrError} from '../../../errors.js';
import {denoAttacks} from './deno-attacks.js';
import {denoRunner} from './deno-runner.js';
import {type Env, findProgram, type Launcher, unprivileged} from './launcher.js';
import type {Limits} from './limits.js';

/** Deno's and Pyodide's own, on top of a program's limits: 744 MB of data before it starts, most of it room that V8 keeps for machine code. */
const [ownBytes, ownCpuSeconds, ownFiles] = [3 * 2 ** 28, 10, 64];

const denied = ['net', 'env', 'run', 'ffi', 'sys', 'write', 'import'].map((name) => `--deny-${name}`);
const alone = [
  '--no-prompt',
  '--no-remote',
  '--no-npm',
  '--cached-only',
  '--no-config',
  '--no-lock',
  '--no-code-cache',
];

interface Packages {
  readonly deno: string;
  readonly pyodide: string;
}

/**
Python in WebAssembly (Pyodide) in a Deno that has no permission: the last resort, for where namespaces cannot be made. Seconds a program. Works where
the user has installed the npm packages `deno` and `pyodide`; a copy of both lies in the system's temporary folder until `close`.

@throws IlrError `ILR_UNSUPPORTED` where a package or a program of util-linux is not there.
*/
export async function deno(env: Env): Promise<Launcher> {
  const packages = findPackages([path.join(process.cwd(), 'package.json'), import.meta.url]);
  const [setpriv, prlimit] = ['setpriv', 'prlimit'].map((name) => {
    const file = findProgram(name, env);
    if (!file) throw new IlrError('ILR_UNSUPPORTED', `${name} (util-linux) is not on the PATH.`);
    return file;
  }) as [string, string];
  const folder = await mkdtemp(path.join(tmpdir(), 'ilr-deno-'));
  try {
    await copyPackages(packages, folder);
  } catch (error) {
    await rm(folder, {recursive: true, force: true});
    throw error;
  }
  const program = path.join(folder, 'deno');
  const runner = path.join(folder, 'runner.mjs');
  return {
    kind: 'deno',
    description: `Deno ${await versionOf(packages.deno)} without permissions, Pyodide ${await versionOf(packages.pyodide)} (npm)`,
    command: (limits) => ({
      file: setpriv,
      args: [
        ...['--pdeathsig', 'KILL', '--no-new-privs', '--', prlimit, ...limitArgs(limits), '--', program],
        ...['run', `--allow-read=${folder}`, ...denied, ...alone, runner],
      ],
      env: {DENO_DIR: nowhere, TMPDIR: nowhere, DENO_NO_UPDATE_CHECK: '1'},
      user: unprivileged(),
    }),
    attacks: denoAttacks,
    close: () => rm(folder, {recursive: true, force: true}),
  };
}

/** A folder that nobody can make: Deno's own caches, and those that a program asks it for, go there. */
const nowhere = '/proc/nowhere';

/** Of data and not of address space: V8 reserves gigabytes that it never uses. Threads are bounded by what their stacks take. */
function limitArgs({memoryBytes, cpuSeconds, openFiles}: Limits): readonly string[] {
  return [
    `--data=${memoryBytes + ownBytes}`,
    `--cpu=${cpuSeconds + ownCpuSeconds}`,
    `--nofile=${openFiles + ownFiles}`,
    ...['--fsize=0', '--core=1', '--memlock=0'],
  ];
}

/** The folders of the packages, seen from the first place that has both. */
export function findPackages(places: readonly (string | URL)[]): Packages {
  for (const place of places) {
    const {resolve} = createRequire(place);
    try {
      const inDeno = createRequire(resolve('deno/package.json'));
      return {
        deno: path.dirname(inDeno.resolve('@deno/linux-x64-glibc/package.json')),
        pyodide: path.dirname(resolve('pyodide/package.json')),
      };
    } catch {} // not there
  }
  throw new IlrError(
    'ILR_UNSUPPORTED',
    'The npm packages deno and pyodide are not installed. Where bubblewrap cannot be had: npm install deno pyodide',
  );
}

async function versionOf(folder: string): Promise<string> {
  return (JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')) as {version: string}).version;
}

/** To where somebody who owns nothing can read them, and where nothing else is. */
async function copyPackages({deno, pyodide}: Packages, folder: string): Promise<void> {
  await cp(path.join(deno, 'deno'), path.join(folder, 'deno'), {dereference: true});
  await chmod(path.join(folder, 'deno'), 0o755);
  for (const name of [
    'pyodide.mjs',
    'pyodide.asm.mjs',
    'pyodide.asm.wasm',
    'pyodide-lock.json',
    'python_stdlib.zip',
    'package.json',
  ]) {
    await cp(path.join(pyodide, name), path.join(folder, 'pyodide', name), {dereference: true});
  }
  await writeFile(path.join(folder, 'runner.mjs'), denoRunner);
  await chmod(folder, 0o755);
}
