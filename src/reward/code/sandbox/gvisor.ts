import {chmod, chown, cp, mkdir, mkdtemp, realpath, rm, symlink} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {IlrError} from '../../../errors.js';
import {pythonArgs, pythonEnv} from './bootstrap.js';
import {findInterpreter, type Interpreter, libraryEnv} from './interpreter.js';
import {type Env, findProgram, type Launcher, unprivileged} from './launcher.js';
import type {Limits} from './limits.js';
import {seccompFilter} from './seccomp.js';

/**
gVisor (`runsc do`, rootless): a kernel of its own over a copy of the interpreter and its libraries. Slower than bubblewrap by far; for where that is not.
The copy lies in the system's temporary folder until `close`.

@throws IlrError `ILR_UNSUPPORTED` where runsc or a Python are not there.
*/
export async function gvisor(env: Env, python?: string): Promise<Launcher> {
  const runsc = findProgram('runsc', env);
  if (!runsc) throw new IlrError('ILR_UNSUPPORTED', 'runsc is not on the PATH.');
  const setpriv = findProgram('setpriv', env);
  if (!setpriv)
    throw new IlrError(
      'ILR_UNSUPPORTED',
      'setpriv (util-linux), which ends runsc with this process, is not on the PATH.',
    );
  const interpreter = await findInterpreter(env, python);
  const folder = await mkdtemp(path.join(tmpdir(), 'ilr-gvisor-'));
  const [root, state] = [path.join(folder, 'root'), path.join(folder, 'state')];
  try {
    await mkdir(state);
    await copyInterpreter(interpreter, root);
    await chmod(folder, 0o755);
    const user = unprivileged();
    if (user) await chown(state, user.uid, user.gid);
  } catch (error) {
    await rm(folder, {recursive: true, force: true});
    throw error;
  }
  const args = [
    ...['--pdeathsig', 'KILL', '--', runsc],
    ...['--rootless', '--network=none', '--ignore-cgroups', `--root=${state}`],
    ...['do', '-quiet', '-root', root, '-cwd', '/', interpreter.file],
  ];
  const command = (limits: Limits, filter: Buffer) => ({
    file: setpriv,
    args: [...args, ...pythonArgs(limits, confine(filter))],
    env: {...pythonEnv, ...libraryEnv(interpreter), TMPDIR: state}, // where runsc leaves what it does not clear away when it is killed
    user: unprivileged(),
  });
  return {
    kind: 'gvisor',
    description: `${runsc} with seccomp and limits, Python ${interpreter.version} (${interpreter.file})`,
    command: (limits) => command(limits, seccompFilter()),
    bareCommand: (limits) => command(limits, Buffer.alloc(0)),
    close: () => rm(folder, {recursive: true, force: true}),
  };
}

/**
What bubblewrap does from outside, from inside: takes away the folders that gVisor adds, becomes somebody who owns nothing there, and loads the filter.
Runs before any input is read. What still can be written lies in the memory of this one program, and its files can hold nothing.
*/
const confine = (filter: Buffer): string => `
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for place in ("/dev/pts", "/sys", "/proc", "/tmp"):
    libc.umount2(place.encode(), 2)
    try:
        os.rmdir(place)
    except OSError:
        pass
os.chmod("/dev/shm", 0o555)
os.environ.pop("TMPDIR", None)
os.setgroups([])
os.setresgid(1000, 1000, 1000)
os.setresuid(1000, 1000, 1000)
rules = bytes.fromhex("${filter.toString('hex')}")
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("rules", ctypes.c_char_p)]
if libc.prctl(38, 1, 0, 0, 0) != 0: # PR_SET_NO_NEW_PRIVS
    os._exit(71)
if rules and libc.prctl(22, 2, ctypes.byref(Program(len(rules) // 8, rules)), 0, 0) != 0: # PR_SET_SECCOMP
    os._exit(72)
`;

/** A root folder with the interpreter, its standard library and the libraries that it is linked to, at the places they have here. */
async function copyInterpreter({file, standard, libraries}: Interpreter, root: string): Promise<void> {
  await mkdir(path.join(root, 'usr'), {recursive: true});
  for (const name of ['lib', 'lib64']) {
    if ((await realpath(`/${name}`)) !== `/${name}`) await symlink(`usr/${name}`, path.join(root, name));
  }
  const filter = (source: string) => !['test', 'site-packages', 'dist-packages'].includes(path.basename(source));
  for (const place of [...standard, file, ...libraries]) {
    await cp(place, path.join(root, place), {recursive: true, dereference: true, filter});
  }
}
