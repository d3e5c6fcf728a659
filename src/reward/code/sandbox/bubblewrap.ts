import {execFile} from 'node:child_process';
import {lstatSync, readlinkSync} from 'node:fs';
import {promisify} from 'node:util';
import {IlrError} from '../../../errors.js';
import {pythonArgs, pythonEnv} from './bootstrap.js';
import {findInterpreter, type Interpreter, libraryEnv, shownPlaces} from './interpreter.js';
import {type Env, findProgram, type Launcher, unprivileged} from './launcher.js';
import type {Limits} from './limits.js';
import {seccompFilter} from './seccomp.js';

const getBubblewrap =
  'Install bubblewrap: apt-get install bubblewrap (Debian, Ubuntu), dnf install bubblewrap (Fedora), pacman -S bubblewrap (Arch).';

/**
bubblewrap: namespaces of its own for everything, the interpreter with its libraries read-only, three devices, no /proc, nothing that can be written.

@throws IlrError `ILR_UNSUPPORTED` where bwrap or a Python are not there.
*/
export async function bubblewrap(env: Env, python?: string): Promise<Launcher> {
  const bwrap = findProgram('bwrap', env);
  if (!bwrap) throw new IlrError('ILR_UNSUPPORTED', `bwrap is not on the PATH. ${getBubblewrap}`);
  const help = await promisify(execFile)(bwrap, ['--help'], {timeout: 20_000}).catch(() => ({stdout: ''}));
  const interpreter = await findInterpreter(env, python);
  // bubblewrap before 0.8 has no --disable-userns; the filter refuses nested namespaces by itself, and a canary tries.
  const walls = wallArgs(interpreter, help.stdout.includes('--disable-userns'));
  const python3 = (limits: Limits) => ['--', interpreter.file, ...pythonArgs(limits)];
  return {
    kind: 'bubblewrap',
    description: `${bwrap} with seccomp and limits, Python ${interpreter.version} (${interpreter.file})`,
    command: (limits) => ({
      file: bwrap,
      args: ['--seccomp', '3', ...walls, '--remount-ro', '/', ...python3(limits)],
      user: unprivileged(),
      descriptor3: seccompFilter(),
    }),
    bareCommand: (limits) => ({
      file: bwrap,
      args: [...walls, '--proc', '/proc', '--remount-ro', '/', ...python3(limits)],
      user: unprivileged(),
    }),
  };
}

function wallArgs(interpreter: Interpreter, canDisableUserns: boolean): readonly string[] {
  const env = {...pythonEnv, ...libraryEnv(interpreter)};
  return [
    ...['--unshare-all', '--unshare-user', ...(canDisableUserns ? ['--disable-userns'] : [])],
    ...['--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--uid', '65534', '--gid', '65534'],
    ...shownPlaces(interpreter).flatMap((place) => ['--ro-bind', place, place]),
    ...systemLinks(),
    ...['null', 'zero', 'urandom'].flatMap((name) => ['--dev-bind', `/dev/${name}`, `/dev/${name}`]),
    ...['--chdir', '/', ...Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value])],
  ];
}

/** Libraries are asked for below /lib and /lib64, which on most systems are links into /usr. */
function systemLinks(): readonly string[] {
  return ['/lib', '/lib64'].flatMap((place) =>
    lstatSync(place, {throwIfNoEntry: false})?.isSymbolicLink() ? ['--symlink', readlinkSync(place), place] : [],
  );
}
