import {execFile} from 'node:child_process';
import {existsSync} from 'node:fs';
import {readdir, realpath} from 'node:fs/promises';
import {homedir} from 'node:os';
import path from 'node:path';
import {promisify} from 'node:util';
import {IlrError, messageOf} from '../../../errors.js';
import {type Env, findProgram} from './launcher.js';

/** A Python with all that it needs to run: nothing else of the host is shown in a sandbox, since what people work on may lie under /usr as well. */
export interface Interpreter {
  /** Without links: what a link names may not be there inside. */
  readonly file: string;
  readonly version: string;
  readonly prefix: string;
  /** Folders of the standard library. */
  readonly standard: readonly string[];
  /** Shared libraries that it is linked to, the loader too. */
  readonly libraries: readonly string[];
}

const question = `
import json, os, sys, sysconfig
places = sysconfig.get_paths()
print(json.dumps({
    "file": os.path.realpath(sys.executable),
    "version": sys.version.split()[0],
    "prefix": os.path.realpath(sys.base_prefix),
    "standard": sorted({places["stdlib"], places["platstdlib"]}),
    "extensions": os.path.join(places["platstdlib"], "lib-dynload"),
}))`;

/**
A Python 3.8 or later: the system's, or the first on the PATH.

@throws IlrError `ILR_UNSUPPORTED` naming each candidate and why it does not do.
*/
export async function findInterpreter(env: Env, explicit?: string): Promise<Interpreter> {
  const onPath = findProgram('python3', env); // may be a shim, a script that finds the real one
  const candidates = explicit
    ? [explicit]
    : ['/usr/bin/python3', '/usr/local/bin/python3', ...(onPath ? [onPath] : [])].filter(existsSync);
  const reasons: string[] = [];
  for (const candidate of new Set(candidates)) {
    try {
      return await inspect(candidate, env);
    } catch (error) {
      reasons.push(`${candidate}: ${messageOf(error).trim().split('\n').at(-1)}`);
    }
  }
  const why = reasons.length > 0 ? ` (${reasons.join('; ')})` : '';
  throw new IlrError(
    'ILR_UNSUPPORTED',
    `No Python 3.8 or later for the sandbox${why}. Install one: apt-get install python3 (Debian, Ubuntu), dnf install python3 (Fedora).`,
  );
}

async function inspect(candidate: string, env: Env): Promise<Interpreter> {
  const options = {env: {PATH: env.PATH ?? '', HOME: env.HOME ?? ''}, timeout: 20_000, cwd: '/'};
  const {stdout} = await promisify(execFile)(candidate, ['-I', '-S', '-c', question], options);
  const {extensions, ...answer} = JSON.parse(stdout) as Omit<Interpreter, 'libraries'> & {readonly extensions: string};
  const [major = 0, minor = 0] = answer.version.split('.').map(Number);
  if (major !== 3 || minor < 8) throw new Error(`is ${answer.version}`);
  return {...answer, libraries: await librariesOf([answer.file, ...(await linkedExtensions(extensions))])};
}

/** Those that are linked to more than the C library. */
async function linkedExtensions(folder: string): Promise<readonly string[]> {
  const names = /^(?:_ctypes|_ssl|_hashlib|_bz2|_lzma|_sqlite3|_decimal|_uuid|pyexpat|zlib)\..*so$/;
  const found = await readdir(folder).catch(() => []); // none where they are built in
  return found.filter((name) => names.test(name)).map((name) => path.join(folder, name));
}

async function librariesOf(files: readonly string[]): Promise<readonly string[]> {
  const {stdout} = await promisify(execFile)('ldd', [...files], {maxBuffer: 2 ** 24});
  const named = new Set([...stdout.matchAll(/^\s+(?:\S+ => )?(\/\S+) \(/gm)].map(([, file]) => file as string));
  // The folder without links, the name as it is asked for.
  return Promise.all(
    [...named].map(async (file) => path.join(await realpath(path.dirname(file)), path.basename(file))),
  );
}

/**
Files and folders to show, none inside another.

@throws IlrError `ILR_UNSUPPORTED` where the working or the home folder would be seen too.
*/
export function shownPlaces({file, standard, libraries}: Interpreter): readonly string[] {
  const timeZones = ['/usr/share/zoneinfo'].filter(existsSync);
  const places = [...new Set([file, ...standard, ...libraries.map((library) => path.dirname(library)), ...timeZones])];
  const shown = places.filter((place) => !places.some((other) => place.startsWith(`${other}/`)));
  for (const own of [process.cwd(), homedir()]) {
    const around = shown.find((place) => own === place || (own !== '/' && own.startsWith(`${place}/`)));
    if (around) {
      throw new IlrError(
        'ILR_UNSUPPORTED',
        `${file} needs ${around}, with which ${own} could be read; take another folder, or another Python.`,
      );
    }
  }
  return shown;
}

/** Without /proc the loader does not know where the interpreter lies ($ORIGIN), and without /etc it has no list of libraries. */
export function libraryEnv({prefix}: Interpreter): Readonly<Record<string, string>> {
  return prefix === '/usr' ? {} : {LD_LIBRARY_PATH: `${prefix}/lib`};
}
