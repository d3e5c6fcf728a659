/** An attack that raises what a refusal raises, or returns False, was stopped. Any other exception ends the canaries, which proves nothing. */
const harness = `
import json, os, resource, sys
bait = json.loads(PAYLOAD)
def attempt(name, attack):
    try:
        escaped = attack() is not False
    except (OSError, MemoryError, ImportError, ValueError):
        escaped = False
    if escaped:
        print("escaped " + name, flush=True)
def writes(folder):
    def attack():
        path = os.path.join(folder, "ilr-canary")
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
        try:
            os.unlink(path)
        except OSError:
            pass
    return attack
`;

const files = `
attempt("read /etc/passwd", lambda: open("/etc/passwd").read(1))
attempt("read a file of the host", lambda: open(bait["secret"]).read(1))
for place in ("/etc", "/home", "/root", "/var", "/sys", "/tmp", "/run", bait["folder"]):
    attempt("list " + place, lambda: os.listdir(place))
for place in (bait["folder"], ".", "/", "/usr", "/usr/lib", "/tmp", "/var/tmp", "/dev", "/dev/shm"):
    attempt("write below " + place, writes(place))
attempt("open /proc/sys for writing", lambda: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
`;

const network = `
import socket
def connects(family, address):
    def attack():
        with socket.socket(family) as client:
            client.settimeout(2)
            client.connect(address)
    return attack
attempt("connect to a server of the host", connects(socket.AF_INET, ("127.0.0.1", bait["port"])))
for name in (b"\\0" + bait["socket"].encode(), (b"\\0" + bait["socket"].encode()).ljust(108, b"\\0")): # Node 20 pads it
    attempt("connect to a unix socket of the host", connects(socket.AF_UNIX, name))
`;

const identity = `
attempt("be root", lambda: os.getuid() == 0 or os.setuid(0))
attempt("see processes outside", lambda: os.getppid() > 1)
def finds_variables(process):
    with open("/proc/%s/environ" % process, "rb") as file:
        entries = [entry for entry in file.read().split(b"\\0") if entry != b"HOME=/"]
    return len({entry.split(b"=")[0] for entry in entries} - {b"", b"PYTHONHASHSEED", b"LD_LIBRARY_PATH", b"PWD"}) > 0
attempt("read the environment", lambda: finds_variables("self"))
attempt("read the launcher's environment", lambda: finds_variables(1))
`;

// A child that ends later would signal a process that has asked to be traced by then: it stops, and bwrap ends it.
const processes = `
def reap(process):
    try:
        os.waitpid(process, 0)
    except OSError:
        pass
def forks():
    process = os.fork()
    if process == 0:
        os._exit(0)
    reap(process)
def is_open(number):
    try:
        os.fstat(number)
        return True
    except OSError:
        return False
attempt("fork", forks)
attempt("start a program", lambda: reap(os.posix_spawn(sys.executable, ["python3", "-c", ""], {})))
attempt("signal process 1", lambda: os.kill(1, 0))
attempt("signal all processes", lambda: os.kill(-1, 0))
attempt("open a socket", lambda: __import__("socket").socket())
attempt("find inherited descriptors", lambda: any(is_open(number) for number in range(3, 1024)))
`;

const kernel = `
def system_call(number, *arguments):
    import ctypes
    arguments = [ctypes.c_void_p(value) if isinstance(value, int) else value for value in arguments]
    return ctypes.CDLL(None).syscall(ctypes.c_long(number), *arguments) >= 0
attempt("make a user namespace", lambda: system_call(272, 0x10000000))
attempt("trace processes", lambda: system_call(101, 0, 0, 0, 0))
attempt("mount", lambda: system_call(165, b"none", b"/usr", b"tmpfs", 0, 0))
attempt("use io_uring", lambda: system_call(425, 1, bytes(120)))
attempt("ask for the keyring", lambda: system_call(250, 0, -1 & 0xffffffff, 0, 0, 0))
`;

const resources = `
attempt("take 2 GB", lambda: bytearray(2 << 30))
attempt("raise the limit of memory", lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)))
for limit in ("AS", "CPU", "NPROC", "NOFILE", "FSIZE", "CORE"):
    attempt("have no limit: " + limit, lambda: resource.getrlimit(getattr(resource, "RLIMIT_" + limit))[1] == -1)
`;

const end = '\nprint("all tried", flush=True)\n';

/** With every wall up. */
export const attacks = [harness, processes, files, network, identity, kernel, resources, end].join('');

/** What namespaces and the dropped user stop by themselves. */
export const bareAttacks = [harness, files, network, identity, end].join('');
