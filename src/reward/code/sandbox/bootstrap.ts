import type {Limits} from './limits.js';

/**
What the interpreter runs first: gives up descriptors above 2 and every right to more resources, says so with one byte, reads all of stdin, runs the
runner. Nothing is sent before that byte, and input that was cut short is not run: a launcher that is killed while it starts may leave behind a
process that no longer dies with it, and such a one ends here.
*/
const source = (confine: string): string => `
import os, sys
os.closerange(3, 1 << 20)
import resource
for name, limit in zip(("AS", "CPU", "NPROC", "NOFILE", "FSIZE", "CORE", "MEMLOCK"), map(int, sys.argv[1:])):
    resource.setrlimit(getattr(resource, "RLIMIT_" + name), (limit, limit))
${confine}
os.environ.clear()
sys.argv[:] = [""]
sys.path[:] = [entry for entry in sys.path if entry]
os.write(1, b"\\x06")
def job():
    size = int(sys.stdin.buffer.readline())
    payload_size = int(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read(size + payload_size)
    if len(data) != size + payload_size:
        os._exit(70)
    return data[:size].decode("utf-8"), data[size:]
runner, payload = job()
scope = {"__name__": "__main__", "__builtins__": __builtins__, "PAYLOAD": payload}
del job, payload
exec(compile(runner, "<runner>", "exec"), scope)
`;

/** Nothing is taken from the surroundings; hashes, and so the order of a set of strings, are the same each time. */
export const pythonFlags: readonly string[] = ['-s', '-S', '-B', '-X', 'utf8'];
export const pythonEnv = {PYTHONHASHSEED: '0'} as const;

/** `confine`: Python that runs after the limits are set and before anything is read. */
export function pythonArgs({memoryBytes, cpuSeconds, threads, openFiles}: Limits, confine = ''): readonly string[] {
  // A core of at most 0 bytes is written all the same where the host hands cores to a program of its own (apport, systemd-coredump); of 1 it is not (Linux, fs/coredump.c).
  const coreBytes = 1;
  const limits = [memoryBytes, cpuSeconds, threads, openFiles, 0, coreBytes, 0];
  return [...pythonFlags, '-c', source(confine), ...limits.map(String)];
}

/** What the bootstrap reads: both lengths, the runner, the payload. */
export function bootstrapInput(runner: string, payload: Uint8Array): Buffer {
  const code = Buffer.from(runner, 'utf8');
  return Buffer.concat([Buffer.from(`${code.length}\n${payload.length}\n`), code, payload]);
}
