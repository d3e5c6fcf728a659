import test from 'ava';
import {bubblewrap} from '../../../../src/reward/code/sandbox/bubblewrap.js';
import {proveLauncher} from '../../../../src/reward/code/sandbox/canaries.js';
import type {Command} from '../../../../src/reward/code/sandbox/confined-process.js';
import type {Launcher} from '../../../../src/reward/code/sandbox/launcher.js';
import {sandboxTest} from '../../../helpers/sandbox.js';

/** Mutants: sandboxes with one wall taken down, each of which the canaries have to notice. */

type Weaken = (command: Command) => Command;

async function weakened(weaken: Weaken, weakenBare: Weaken = weaken): Promise<Launcher> {
  const launcher = await bubblewrap(process.env);
  return {
    ...launcher,
    command: (limits) => weaken(launcher.command(limits)),
    bareCommand: launcher.bareCommand && ((limits) => weakenBare(launcher.bareCommand?.(limits) as Command)),
  };
}

const replaceArgs =
  (change: (args: string[]) => readonly string[]): Weaken =>
  (command) => ({...command, args: change([...command.args])});

/** Right behind the options that make namespaces, before what is mounted later. */
const addMounts = (...options: readonly string[]): Weaken =>
  replaceArgs((args) => args.toSpliced(args.indexOf('--remount-ro'), 0, ...options));

const withoutFilter: Weaken = ({descriptor3, ...command}) => ({
  ...command,
  args: command.args.filter((arg, i, args) => arg !== '--seccomp' && args[i - 1] !== '--seccomp'),
});

/** The bootstrap's last seven arguments are the limits. */
const withLimit = (place: number, value: string): Weaken => replaceArgs((args) => args.with(place - 7, value));

const mutants: readonly [title: string, weaken: Weaken, named: RegExp][] = [
  ['without the filter of system calls', withoutFilter, /were not stopped: .*fork.*open a socket.*trace processes/],
  [
    'with the network of the host',
    replaceArgs((args) => ['--share-net', ...args].sort(unshareFirst)),
    /connect to a server of the host, connect to a unix socket of the host/,
  ],
  ['with the files of the host', addMounts('--ro-bind', '/etc', '/etc'), /were not stopped: .*read \/etc\/passwd/],
  ['with a temporary folder', addMounts('--tmpfs', '/tmp'), /were not stopped: .*write below \/tmp/],
  [
    'with a root that can be written',
    replaceArgs((args) => args.toSpliced(args.indexOf('--remount-ro'), 2)),
    /were not stopped: .*write below \//,
  ],
  [
    'with the processes of the host',
    replaceArgs((args) =>
      args.flatMap((arg) =>
        arg === '--unshare-all' ? ['--unshare-net', '--unshare-ipc'] : arg === '--disable-userns' ? [] : [arg],
      ),
    ),
    /were not stopped: .*see processes outside/,
  ],
  ['with an environment', addMounts('--setenv', 'SECRET', '1'), /were not stopped: .*read the environment/],
  ['without a limit of memory', withLimit(0, '-1'), /were not stopped: .*take 2 GB/],
  ['without a limit of processor time', withLimit(1, '-1'), /were not stopped: .*have no limit: CPU/],
];

/** bwrap wants --unshare-all before --share-net. */
function unshareFirst(a: string, b: string): number {
  return Number(b === '--unshare-all') - Number(a === '--unshare-all');
}

for (const [title, weaken, named] of mutants) {
  sandboxTest(`a sandbox ${title} is refused, and the attack named`, async (t) => {
    const error = await t.throwsAsync(proveLauncher(await weakened(weaken)));
    t.regex(error.message, named);
  });
}

if (process.getuid?.() === 0) {
  sandboxTest('bubblewrap with the real root is refused: it can write /proc/sys', async (t) => {
    const asRoot: Weaken = ({user, ...command}) => command;
    const error = await t.throwsAsync(proveLauncher(await weakened(asRoot)));
    t.regex(error.message, /were not stopped: .*open \/proc\/sys for writing/);
  });
} else test.skip('bubblewrap with the real root is refused (this is not root)', () => undefined);

sandboxTest('an older bubblewrap, without --disable-userns, stops every attack too', async (t) => {
  await t.notThrowsAsync(
    proveLauncher(await weakened(replaceArgs((args) => args.filter((arg) => arg !== '--disable-userns')))),
  );
});

sandboxTest('a plain interpreter is refused', async (t) => {
  const plain: Weaken = ({args, user}) => {
    const [file, ...rest] = args.slice(args.indexOf('--') + 1);
    return {file: file as string, args: rest, user};
  };
  const launcher = await bubblewrap(process.env);
  const error = await t.throwsAsync(
    proveLauncher({...launcher, command: (limits) => plain(launcher.command(limits)), bareCommand: undefined}),
  );
  t.regex(error.message, /were not stopped: .*open a socket, .*read \/etc\/passwd, .*connect to a server of the host/);
});
