import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {createServer} from 'node:net';
import type {ExecutionContext} from 'ava';
import type {Limits, Sandbox, SandboxResult} from '../../../../src/reward/code/sandbox.js';
import {job, sandboxTest, survivors} from '../../../helpers/sandbox.js';

/** The attacks that docs/architecture.md lists, each by a program that tries it in earnest. */

/** `tried` says what an attack came to; one that a test expects to be stopped prints nothing but `stopped`. */
const prelude = `
import os, sys
def tried(attack, *arguments):
    try:
        print("ESCAPED", repr(attack(*arguments))[:200])
    except (OSError, MemoryError, ValueError, RuntimeError) as error:
        print("stopped", type(error).__name__, getattr(error, "errno", ""))
def system_call(*arguments):
    import ctypes
    result = ctypes.CDLL(None, use_errno=True).syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if result == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return result
`;

let mark = 2 ** 29 + 4096 * (process.pid % 10_000);

/** Runs a program in a process that can be told from all others by its limit of memory, and looks for what outlived it. */
async function attack(
  t: ExecutionContext,
  sandbox: Sandbox,
  program: string,
  limits: Partial<Limits> = {},
): Promise<SandboxResult> {
  const memoryBytes = mark++;
  const result = await sandbox.run({
    ...job(prelude + program),
    limits: {cpuSeconds: 2, wallSeconds: 20, memoryBytes, ...limits},
  });
  t.deepEqual(await survivors(String(memoryBytes)), [], 'a process outlived its program');
  return result;
}

/** Each line of the program says that something was stopped, and there are `count` of them. */
function allStopped(t: ExecutionContext, {status, stdout, stderr}: SandboxResult, count: number): void {
  const lines = stdout.toString().trim().split('\n');
  t.is(status, 'exited', stderr);
  t.deepEqual(
    lines.filter((line) => !line.startsWith('stopped ')),
    [],
    stderr,
  );
  t.is(lines.length, count, stderr);
}

function stopped(title: string, count: number, program: string, limits?: Partial<Limits>): void {
  sandboxTest(title, async (t, sandbox) => allStopped(t, await attack(t, sandbox, program, limits), count));
}

function ended(title: string, program: string, expected: Partial<SandboxResult>, limits: Partial<Limits> = {}): void {
  sandboxTest(title, async (t, sandbox) => t.like(await attack(t, sandbox, program, limits), expected));
}

// Resources
stopped(
  'a fork bomb does not start',
  3,
  'for start in (os.fork, os.forkpty, lambda: os.posix_spawn(sys.executable, ["python3", "-c", ""], {})): tried(start)',
);
stopped(
  'processes by raw system calls do not start',
  3,
  `
tried(system_call, 57)
tried(system_call, 58)
tried(system_call, 435, bytes(88), 88)`,
);
stopped(
  'subprocess, os.system and multiprocessing start nothing',
  3,
  `
import subprocess, multiprocessing
def shell():
    if os.system("echo ran") != 0:
        raise OSError
tried(subprocess.run, [sys.executable, "-c", ""])
tried(shell)
tried(multiprocessing.Process(target=print).start)`,
);
stopped(
  '10 GB at once',
  2,
  `
tried(bytearray, 10 << 30)
import mmap
tried(mmap.mmap, -1, 10 << 30)`,
);
stopped(
  '10 GB piece by piece',
  1,
  `
def grow():
    pieces = []
    while len(pieces) < 1000:
        pieces.append(b"x" * (10 << 20))
tried(grow)`,
);
stopped(
  'processes that share the work of taking memory do not start',
  4,
  `
def take():
    os.fork()
    return bytearray(400 << 20)
for _ in range(3): tried(take)
tried(lambda: [bytearray(400 << 20) for _ in range(3)])`,
);
stopped(
  'memory files hold nothing',
  2,
  `
tried(os.memfd_create, "file")
tried(system_call, 319, b"file", 0)`,
);
ended(
  'an infinite loop ends with its processor time',
  'while True: pass',
  {status: 'killed', signal: 'SIGKILL', exitCode: null},
  {cpuSeconds: 1},
);
ended(
  'an infinite loop in many threads too',
  `
import threading
def spin():
    while True: pass
for _ in range(4): threading.Thread(target=spin).start()`,
  {status: 'killed', signal: 'SIGKILL'},
  {cpuSeconds: 1},
);
ended('9**9**9 ends with its processor time', '9**9**9', {status: 'killed', signal: 'SIGKILL'}, {cpuSeconds: 1});
ended('sleep ends when the time is up', 'import time\ntime.sleep(1000)', {status: 'timeout'}, {wallSeconds: 0.7});
ended(
  'ignored signals change nothing',
  `
import signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
time.sleep(1000)`,
  {status: 'timeout'},
  {wallSeconds: 0.7},
);
ended(
  'a closed stdout changes nothing',
  'for fd in range(64):\n    try: os.close(fd)\n    except OSError: pass\nwhile True: pass',
  {status: 'killed', signal: 'SIGKILL'},
  {cpuSeconds: 1},
);
stopped(
  'threads are limited',
  1,
  `
import threading, time
def start():
    for _ in range(1000): threading.Thread(target=time.sleep, args=(3,), daemon=True).start()
tried(start)
sys.stdout.flush()
os._exit(0)`,
);
stopped(
  'descriptors are limited',
  1,
  `
def open_all():
    held = []
    while len(held) < 1000: held.append(os.dup(1))
tried(open_all)`,
);
stopped(
  'files cannot be made, so inodes do not run out',
  4,
  `
for place in (".", "/", "/tmp", "/dev/shm"):
    tried(os.mkdir, os.path.join(place, "ilr-attack"))`,
);
sandboxTest('recursion without end ends', async (t, sandbox) => {
  const {status} = await attack(t, sandbox, 'sys.setrecursionlimit(10**9)\ndef f(): return [f()]\nf()');
  t.true(['killed', 'exited'].includes(status));
});
ended('a segmentation fault is one program', 'import ctypes\nctypes.string_at(1)', {
  status: 'killed',
  signal: 'SIGSEGV',
});
ended('a flood of stdout ends', 'while True: os.write(1, b"x" * 65536)', {status: 'output'});
ended('a flood of stderr ends', 'while True: os.write(2, b"x" * 65536)', {status: 'output'});
sandboxTest('no more output than the limit comes back', async (t, sandbox) => {
  const {stdout} = await attack(t, sandbox, 'while True: os.write(1, b"x" * 1000)', {outputBytes: 10_000});
  t.true(stdout.length <= 10_000);
});
stopped(
  'limits cannot be raised',
  5,
  `
import resource
for name in ("AS", "CPU", "NPROC", "NOFILE", "FSIZE"):
    tried(resource.setrlimit, getattr(resource, "RLIMIT_" + name), (resource.RLIM_INFINITY, resource.RLIM_INFINITY))`,
);
sandboxTest('a crash gives the host no core to handle', async (t, sandbox) => {
  const {stdout} = await attack(t, sandbox, 'import resource\nprint(resource.getrlimit(resource.RLIMIT_CORE))');
  t.is(stdout.toString(), '(1, 1)\n'); // of 0, a program that core_pattern names would be started
});
stopped(
  'the limits of others cannot be changed',
  1,
  `
import resource
tried(resource.prlimit, 1, resource.RLIMIT_CPU, (1, 1))`,
);
stopped(
  'there is no way to live on',
  3,
  `
tried(os.setsid)
tried(os.setpgid, 0, 0)
tried(os.fork)`,
);
ended(
  'another program in place of Python keeps the limits',
  'os.execv(sys.executable, ["python3", "-c", "import time; time.sleep(1000)"])',
  {status: 'timeout'},
  {wallSeconds: 0.7},
);

// Reading
stopped(
  'files of the host cannot be read',
  6,
  `
for file in ("/etc/passwd", "/etc/hostname", "/proc/1/environ", "/proc/self/cmdline", "/proc/self/environ", "/sys/kernel/notes"):
    tried(lambda: open(file, "rb").read())`,
);
sandboxTest('folders of the host are not there', async (t, sandbox) => {
  const {stdout} = await attack(t, sandbox, 'print(sorted(os.listdir("/")), sorted(os.listdir("/dev")))');
  t.regex(stdout.toString(), /^\['dev', 'lib', 'lib64', 'usr'\] \['null', 'urandom', 'zero'\]\n$/);
});
sandboxTest('nothing of /usr is there but the interpreter with its libraries', async (t, sandbox) => {
  const places = ['/usr/src', '/usr/local/src', '/usr/app', '/usr/share/doc', '/usr/lib/node_modules', '/usr/bin/env'];
  const {stdout} = await attack(
    t,
    sandbox,
    `print([place for place in ${JSON.stringify(places)} if os.path.exists(place)])`,
  );
  t.is(stdout.toString(), '[]\n');
});
sandboxTest('the environment holds nothing, and neither does memory above the stack', async (t, sandbox) => {
  process.env.ILR_TEST_SECRET = 'do not tell';
  const environment = 'print(dict(os.environ)); import ctypes; print(ctypes.CDLL(None).getenv(b"ILR_TEST_SECRET"))';
  const {stdout} = await attack(t, sandbox, environment);
  t.is(stdout.toString(), '{}\n0\n');
});
sandboxTest('no descriptor is there but the three of the program', async (t, sandbox) => {
  const {stdout} = await attack(
    t,
    sandbox,
    `
def is_open(fd):
    try: os.fstat(fd); return True
    except OSError: return False
print([fd for fd in range(4096) if is_open(fd)])`,
  );
  t.is(stdout.toString(), '[0, 1, 2]\n');
});
sandboxTest('nobody is somebody', async (t, sandbox) => {
  const {stdout} = await attack(t, sandbox, 'print(os.getresuid(), os.getresgid(), os.getgroups())');
  t.regex(stdout.toString(), /^\(65534, 65534, 65534\) \(65534, 65534, 65534\) \[(?:65534)?(?:, 65534)*\]\n$/);
});

// Writing
sandboxTest('nothing can be written', async (t, sandbox) => {
  const result = await attack(
    t,
    sandbox,
    `
for place in ("/", ".", "/usr", "/usr/lib", "/tmp", "/var/tmp", "/dev", "/dev/shm", "/run", "/proc", "/home"):
    tried(open, os.path.join(place, "ilr-attack"), "w")
for file in ("/proc/sys/kernel/core_pattern", "/proc/self/mem", sys.executable, os.__file__):
    tried(os.open, file, os.O_WRONLY)
tried(os.unlink, os.__file__)
tried(os.chmod, os.__file__, 0o777)
tried(os.symlink, "/", "/ilr-attack")
import tempfile
tried(tempfile.TemporaryFile)`,
  );
  allStopped(t, result, 19);
  for (const place of ['/', '/usr', '/usr/lib', '/tmp', '/var/tmp', '/dev', '/dev/shm', '/run']) {
    t.false(existsSync(`${place}/ilr-attack`));
  }
});

// Network
sandboxTest('there is no network', async (t, sandbox) => {
  let reached = 0;
  const server = createServer(() => void reached++).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const {port} = server.address() as {port: number};
  const result = await attack(
    t,
    sandbox,
    `
import socket, urllib.request
tried(socket.create_connection, ("127.0.0.1", ${port}), 2)
tried(socket.create_connection, ("192.0.2.1", 80), 2)
tried(socket.getaddrinfo, "example.com", 80)
tried(urllib.request.urlopen, "http://127.0.0.1:${port}/", None, 2)
tried(socket.socket, socket.AF_UNIX)
tried(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW)
tried(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
tried(socket.socketpair)`,
  );
  server.close();
  allStopped(t, result, 8);
  t.is(reached, 0);
});

// Processes and kernel
stopped(
  'no process can be signalled',
  7,
  `
tried(os.kill, 1, 9)
tried(os.kill, os.getppid(), 9)
tried(os.kill, -1, 9)
tried(os.killpg, 0, 9)
tried(os.kill, ${process.pid}, 9)
tried(os.pidfd_open, 1)
tried(system_call, 129, 1, 9, bytes(128))`,
);
stopped(
  'the kernel gives nothing that a computation does not need',
  16,
  `
tried(system_call, 101, 0, 0, 0, 0)                 # ptrace
tried(system_call, 272, 0x10000000)                 # unshare: user namespace
tried(system_call, 56, 0x10000011, 0, 0, 0, 0)      # clone: user namespace
tried(system_call, 308, 0, 0)                       # setns
tried(system_call, 165, b"none", b"/usr", b"tmpfs", 0, 0)  # mount
tried(system_call, 166, b"/usr", 2)                 # umount2
tried(system_call, 161, b"/usr")                    # chroot
tried(system_call, 321, 0, bytes(128), 128)         # bpf
tried(system_call, 250, 0, -1, 0)                   # keyctl
tried(system_call, 425, 1, bytes(120))              # io_uring_setup
tried(system_call, 298, bytes(128), 0, -1, -1, 0)   # perf_event_open
tried(system_call, 323, 0)                          # userfaultfd
tried(system_call, 310, 1, bytes(16), 1, bytes(16), 1, 0)  # process_vm_readv
tried(system_call, 29, 0, 4096, 0o1777)             # shmget
tried(system_call, 317, 1, 0, bytes(16))            # seccomp
tried(system_call, 16, 0, 0x5412, b"x")             # ioctl TIOCSTI`,
);
ended(
  'system calls of another architecture end the program',
  `
import ctypes, mmap
# mov eax, 20 (getpid on i386); int 0x80; ret
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3")
print("ESCAPED", ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))())`,
  {status: 'killed', signal: 'SIGSYS'},
);
ended('and so do those of the x32 kind', 'print("ESCAPED", system_call(0x40000000 + 39))', {
  status: 'killed',
  signal: 'SIGSYS',
});

/** What a program that computes needs; 335 and 336 (uretprobe, uprobe), which the kernel keeps for itself, are not asked. */
const answered = [
  ...[
    2, 4, 5, 6, 8, 16, 17, 19, 20, 21, 22, 24, 39, 63, 72, 79, 80, 89, 95, 96, 97, 98, 99, 100, 102, 104, 107, 108, 110,
    111, 115, 118,
  ],
  ...[
    120, 121, 124, 125, 127, 137, 138, 186, 201, 204, 217, 221, 228, 229, 234, 257, 262, 267, 269, 274, 293, 309, 318,
    324, 332, 439,
  ],
];
sandboxTest('of all system calls, no more than those of the list are answered', async (t, sandbox) => {
  const {status, stdout, stderr} = await attack(
    t,
    sandbox,
    `
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
# they do not return, block, or end what this program stands on
needed = {0, 1, 3, 7, 9, 10, 11, 12, 13, 14, 15, 23, 25, 28, 32, 33, 34, 35, 36, 37, 38, 56, 59, 60, 61, 128, 130, 131, 158, 160, 202, 218, 219,
          230, 231, 247, 270, 271, 273, 292, 302, 334, 335, 336, 436}
for number in sorted(set(range(600)) - needed):
    ctypes.set_errno(0)
    if libc.syscall(ctypes.c_long(number), *[ctypes.c_long(-1)] * 6) != -1 or ctypes.get_errno() not in (1, 38):
        print(number)`,
  );
  t.is(status, 'exited', stderr);
  const others = stdout
    .toString()
    .trim()
    .split('\n')
    .map(Number)
    .filter((number) => !answered.includes(number));
  t.deepEqual(others, []);
});
stopped(
  'no process comes about by any flags of clone',
  8,
  `
for flags in (0, 17, 0x100, 0x4111, 0x111, 0x1011, 0x8011, 0x2000_0011): # SIGCHLD, VM, VFORK, PIDFD, PARENT, a namespace
    tried(system_call, 56, flags, 0, 0, 0, 0)`,
);
sandboxTest('neither tgkill nor the owner of a descriptor carries a signal to process 1', async (t, sandbox) => {
  const {status, stdout} = await attack(
    t,
    sandbox,
    `
import fcntl, time
for number in range(65):
    try: system_call(234, 1, 1, number)
    except OSError: pass
for owner in (1, -1):
    read, write = os.pipe()
    for command, value in ((8, owner), (10, 9), (4, 0o20000)): # F_SETOWN, F_SETSIG, F_SETFL O_ASYNC
        try: fcntl.fcntl(read, command, value)
        except OSError: pass
    if owner == 1: os.write(write, b"x")
time.sleep(0.3)
print("alive")`,
  );
  t.is(status, 'exited');
  t.is(stdout.toString(), 'alive\n');
});
stopped(
  'the sockets that are stdin, stdout and stderr carry bytes and nothing else',
  9,
  `
for fd in range(3):
    tried(system_call, 46, fd, bytes(56), 0) # sendmsg
    tried(system_call, 47, fd, bytes(56), 0) # recvmsg
    tried(system_call, 55, fd, 1, 17, bytes(12), bytes(4)) # getsockopt SO_PEERCRED`,
);
stopped(
  'files that the host shares cannot be locked against it',
  4,
  `
import fcntl, struct
file = open(os.__file__)
tried(fcntl.flock, file, fcntl.LOCK_EX | fcntl.LOCK_NB)
tried(fcntl.lockf, file, fcntl.LOCK_EX | fcntl.LOCK_NB)
tried(fcntl.fcntl, file, 1024, fcntl.F_WRLCK) # F_SETLEASE
tried(fcntl.fcntl, file, 37, struct.pack("hhqqi4x", 1, 0, 0, 0, 0)) # F_OFD_SETLK`,
);
ended(
  'threads that go on without their first one end when the time is up',
  'import threading, time\nthreading.Thread(target=time.sleep, args=(1000,)).start()\nsystem_call(60, 0)',
  {status: 'timeout'},
  {wallSeconds: 0.7},
);
ended(
  'a program that stops itself ends when the time is up',
  'import signal\nsignal.raise_signal(signal.SIGSTOP)',
  {status: 'timeout'},
  {wallSeconds: 0.7},
);

sandboxTest('hundreds that are aborted together leave no process, zombie or descriptor behind', async (t, sandbox) => {
  const count = () => readdirSync('/proc/self/fd').length;
  await sandbox.run(job('print(1)'));
  const before = count();
  const memoryBytes = mark++;
  const controllers = Array.from({length: 300}, () => new AbortController());
  const runs = controllers.map(({signal}, i) =>
    sandbox.run(
      {...job(i % 2 ? 'while True: pass' : 'while True: os.write(2, b"x" * 65536)'), limits: {memoryBytes}},
      signal,
    ),
  );
  for (const [i, controller] of controllers.entries()) setTimeout(() => controller.abort(), (7 * i) % 400);
  const ends = await Promise.allSettled(runs);
  t.true(ends.some(({status}) => status === 'rejected'));
  t.deepEqual(await survivors(String(memoryBytes)), []);
  let left = zombies(); // one of a test beside this one is waited for soon
  for (let attempt = 0; attempt < 100 && left.length > 0; attempt++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const now = zombies();
    left = left.filter((pid) => now.includes(pid));
  }
  t.deepEqual(left, []);
  t.true(count() <= before + 32, `${before} descriptors before, ${count()} after`); // of tests beside this one
});

/** Children of this process that nobody waits for. */
function zombies(): readonly string[] {
  const stateOf = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1) as string;
    } catch {
      return '';
    }
  };
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && stateOf(pid).startsWith(`Z ${process.pid} `));
}
