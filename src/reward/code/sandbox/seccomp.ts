/**
The system calls that a Python program needs to compute, on x86-64, by number. Everything else is refused: processes, sockets, signals to others,
namespaces, mounts, ptrace, bpf, keyctl, io_uring, and what no kernel had when this was written.
*/
const allowed: Readonly<Record<string, number>> = {
  ...{read: 0, write: 1, open: 2, close: 3, stat: 4, fstat: 5, lstat: 6, poll: 7, lseek: 8, mmap: 9, mprotect: 10},
  ...{munmap: 11, brk: 12, rt_sigaction: 13, rt_sigprocmask: 14, rt_sigreturn: 15, pread64: 17, readv: 19, writev: 20},
  ...{access: 21, pipe: 22, select: 23, sched_yield: 24, mremap: 25, madvise: 28, dup: 32, dup2: 33, pause: 34},
  ...{nanosleep: 35, getitimer: 36, alarm: 37, setitimer: 38, getpid: 39, execve: 59, exit: 60, wait4: 61, uname: 63},
  ...{fcntl: 72, getcwd: 79, chdir: 80, readlink: 89, umask: 95, gettimeofday: 96, getrlimit: 97, getrusage: 98},
  ...{sysinfo: 99, times: 100, getuid: 102, getgid: 104, geteuid: 107, getegid: 108, getppid: 110, getpgrp: 111},
  ...{getgroups: 115, getresuid: 118, getresgid: 120, getpgid: 121, getsid: 124, capget: 125, rt_sigpending: 127},
  ...{rt_sigtimedwait: 128, rt_sigsuspend: 130, sigaltstack: 131, statfs: 137, fstatfs: 138, arch_prctl: 158},
  ...{setrlimit: 160, gettid: 186, time: 201, futex: 202, sched_getaffinity: 204, getdents64: 217},
  ...{set_tid_address: 218, restart_syscall: 219, fadvise64: 221, clock_gettime: 228, clock_getres: 229},
  ...{clock_nanosleep: 230, exit_group: 231, tgkill: 234, waitid: 247, openat: 257, newfstatat: 262, readlinkat: 267},
  ...{faccessat: 269, pselect6: 270, ppoll: 271, set_robust_list: 273, get_robust_list: 274, dup3: 292, pipe2: 293},
  ...{getcpu: 309, getrandom: 318, membarrier: 324, statx: 332, rseq: 334, close_range: 436, faccessat2: 439},
};
const [ioctl, clone, prlimit64] = [16, 56, 302];
/** From here on a C library asks for what an older kernel may lack, and takes ENOSYS for a no. clone3 (435) is one: its flags lie where no filter can read them. */
const firstRecent = 335;

const [eperm, enotty, enosys] = [1, 25, 38];
const allow = 0x7fff_0000;
const kill = 0x8000_0000;
const refuse = (errno: number): number => 0x0005_0000 | errno;

const [loadWord, jumpEqual, jumpAtLeast, jumpBits, end] = [0x20, 0x15, 0x35, 0x45, 0x06];
/** Of `struct seccomp_data`: the call's number, the architecture, the low half of its first argument. */
const [number, architecture, argument] = [0, 4, 16];
const x86_64 = 0xc000_003e;
const x32 = 0x4000_0000; // the same architecture with other numbers
const cloneThread = 0x1_0000;
const cloneNamespaces = 0x7e02_0000;

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, value: number];

const load = (offset: number): Instruction => [loadWord, 0, 0, offset];
const ret = (action: number): Instruction => [end, 0, 0, action];
/** `then` runs where the test holds, and is left out where not. */
const when = (test: number, value: number, then: readonly Instruction[]): readonly Instruction[] => [
  [test, 0, then.length, value],
  ...then,
];

const program: readonly Instruction[] = [
  load(architecture),
  [jumpEqual, 1, 0, x86_64],
  ret(kill),
  load(number),
  ...when(jumpAtLeast, x32, [ret(kill)]),
  ...when(jumpEqual, clone, [
    load(argument),
    ...when(jumpBits, cloneNamespaces, [ret(refuse(eperm))]),
    ...when(jumpBits, cloneThread, [ret(allow)]), // a thread; a process would have an address space, and limits, of its own
    ret(refuse(eperm)),
  ]),
  ...when(jumpEqual, prlimit64, [load(argument), ...when(jumpEqual, 0, [ret(allow)]), ret(refuse(eperm))]), // of oneself
  ...when(jumpEqual, ioctl, [ret(refuse(enotty))]), // what Python takes for "no terminal"
  ...Object.values(allowed).flatMap((call) => when(jumpEqual, call, [ret(allow)])),
  ...when(jumpAtLeast, firstRecent, [ret(refuse(enosys))]),
  ret(refuse(eperm)),
];

/** The filter as the kernel takes it: an array of `struct sock_filter`, little-endian. */
export function seccompFilter(): Buffer {
  const bytes = Buffer.alloc(8 * program.length);
  program.forEach(([code, jumpTrue, jumpFalse, value], i) => {
    bytes.writeUInt16LE(code, 8 * i);
    bytes.writeUInt8(jumpTrue, 8 * i + 2);
    bytes.writeUInt8(jumpFalse, 8 * i + 3);
    bytes.writeUInt32LE(value, 8 * i + 4);
  });
  return bytes;
}
