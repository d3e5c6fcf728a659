import {execFile} from 'node:child_process';
import {homedir} from 'node:os';
import {promisify} from 'node:util';
import {IlrError} from '../../../errors.js';
import {type Env, findProgram, unprivileged} from './launcher.js';

export interface Interpreter {
  /** Without links: what a link names may not be there inside. */
  readonly file: string;
  readonly version: string;
  /** Where its libraries are looked for, in its `lib`. */
  readonly prefix: string;
  /** To be shown inside, where it does not lie under /usr. */
  readonly folder?: string;
}

const question =
  'import os, sys; print(os.path.realpath(sys.executable), os.path.realpath(sys.base_prefix), sys.version.split()[0], sep="\\n")';

/**
A Python 3.9 or later that the sandbox can show: under /usr, or in a folder of its own.

@throws IlrError `ILR_UNSUPPORTED` naming each candidate and why it does not do.
*/
export async function findInterpreter(env: Env, explicit?: string): Promise<Interpreter> {
  const onPath = findProgram('python3', env); // may be a shim, a script that finds the real one
  const candidates = explicit
    ? [explicit]
    : ['/usr/bin/python3', '/usr/local/bin/python3', ...(onPath ? [onPath] : [])];
  const reasons: string[] = [];
  for (const candidate of new Set(candidates)) {
    const found = await ask(candidate, env);
    if (typeof found !== 'string') return found;
    reasons.push(`${candidate}: ${found}`);
  }
  throw new IlrError(
    'ILR_UNSUPPORTED',
    `No Python 3.9 or later for the sandbox (${reasons.join('; ')}). Install one under /usr: apt-get install python3 (Debian, Ubuntu), dnf install python3 (Fedora).`,
  );
}

async function ask(candidate: string, env: Env): Promise<Interpreter | string> {
  const options = {env: {PATH: env.PATH ?? '', HOME: env.HOME ?? ''}, timeout: 20_000, cwd: '/'};
  const answer = await promisify(execFile)(candidate, ['-I', '-S', '-c', question], options).catch(() => undefined);
  const [file = '', prefix = '', version = ''] = answer?.stdout.trim().split('\n') ?? [];
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < 3) return 'does not run';
  if (major === 3 && minor < 9) return `is ${version}`;
  const isUnder = (folder: string) => [file, `${prefix}/`].every((place) => place.startsWith(`${folder}/`));
  if (isUnder('/usr')) return {file, version, prefix};
  if (unprivileged()) return `lies in ${prefix}; as root only /usr is shown`;
  if (!isUnder(prefix) || homedir().startsWith(prefix)) return `lies in ${prefix}, which cannot be shown without more`;
  return {file, version, prefix, folder: prefix};
}

/** Without /proc the loader does not know where the interpreter lies ($ORIGIN), and without /etc it has no list of libraries. */
export function libraryEnv({prefix}: Interpreter): Readonly<Record<string, string>> {
  return prefix === '/usr' ? {} : {LD_LIBRARY_PATH: `${prefix}/lib`};
}
