/**
What a program in Deno tries from JavaScript, which Pyodide opens to it, and from Python. Its file system, user and processes are Pyodide's inventions:
whether a wall holds shows only against what Deno itself could reach. Ends by itself, after what was put off until the Python is over.
*/
const javascript = `
const bait = JSON.parse(globalThis.bait);
const fs = await import("node:fs");
const stopped = new Set(["NotCapable", "PermissionDenied", "RangeError", "ERR_ACCESS_DENIED"]);
async function attempt(name, attack, ...others) {
  try {
    if (await attack() === false) return;
  } catch (error) {
    if (stopped.has(error?.name) || stopped.has(error?.code) || others.some((other) => String(error).includes(other))) return;
    name += " (" + String(error).split("\\n")[0] + ")"; // what else went wrong is no wall
  }
  console.log("escaped " + name);
}
const dropped = "Requires";
await attempt("read a file of the host", () => Deno.readTextFileSync(bait.secret));
await attempt("read /etc/passwd", () => fs.readFileSync("/etc/passwd"));
await attempt("read /proc/self/environ", () => Deno.readFileSync("/proc/self/environ"));
await attempt("fetch a file of the host", async () => (await fetch("file://" + bait.secret)).text(), dropped);
await attempt("import a file of the host", () => import("file://" + bait.secret, {with: {type: "text"}}), dropped, "not supported");
for (const place of ["/", "/etc", "/home", "/root", "/tmp", "/proc/self", bait.folder]) {
  await attempt("list " + place, () => [...Deno.readDirSync(place)]);
}
for (const place of [bait.folder, "/tmp", "/dev/shm", "."]) {
  await attempt("write below " + place, () => Deno.writeTextFileSync(place + "/ilr-canary", ""));
}
await attempt("make a link to a file of the host", () => Deno.symlinkSync(bait.secret, bait.folder + "/ilr-canary"));
await attempt("open /proc/sys for writing", () => fs.openSync("/proc/sys/kernel/core_pattern", "w"));
await attempt("keep a cache on the host", () => caches.open("ilr-canary"), "create cache storage");
await attempt("keep a storage on the host", () => localStorage.setItem("ilr", "canary"), "open database", "not supported", "os error");
await attempt("connect to a server of the host", () => Deno.connect({hostname: "127.0.0.1", port: bait.port}));
await attempt("fetch from a server of the host", () => fetch("http://127.0.0.1:" + bait.port), dropped, "fetch failed"); // it counts who reached it
await attempt("import from a server of the host", () => import("http://127.0.0.1:" + bait.port + "/canary.js"), "remote", dropped);
await attempt("open a web socket", () => new WebSocket("ws://127.0.0.1:" + bait.port));
await attempt("connect to a unix socket of the host", () => Deno.connect({transport: "unix", path: "\\0" + bait.socket}));
await attempt("listen", () => Deno.listen({port: 0}));
await attempt("ask for a name's address", () => Deno.resolveDns("localhost", "A"));
await attempt("read the environment", () => Deno.env.toObject());
await attempt("ask whose machine it is", () => Deno.hostname());
await attempt("ask who it is", () => Deno.uid());
await attempt("start a program", () => new Deno.Command(Deno.execPath(), {}).outputSync());
const children = await import("node:child_process");
await attempt("start a program as Node does", () => children.execFileSync("/bin/true"));
await attempt("signal its parent", () => Deno.kill(Deno.ppid, 0));
await attempt("signal all processes", () => process.kill(-1, 0));
await attempt("load a library", () => Deno.dlopen("libc.so.6", {}));
for (const name of ["read", "write", "net", "env", "run", "sys", "ffi"]) {
  await attempt("ask for the permission to " + name, async () => (await Deno.permissions.request({name})).state === "granted");
}
await attempt("have a worker with permissions", () => new Promise((resolve) => {
  const source = "postMessage((() => { try { return Deno.readTextFileSync(" + JSON.stringify(bait.secret) + ") } catch { return false } })())";
  const worker = new Worker("data:text/javascript," + encodeURIComponent(source), {type: "module"});
  worker.onmessage = ({data}) => { worker.terminate(); resolve(data); };
  worker.onerror = (event) => { event.preventDefault(); resolve(false); };
}));
await attempt("take 2 GB", () => new Uint8Array(2 ** 31));
await attempt("take 2 GB to share", () => new SharedArrayBuffer(2 ** 31));
await attempt("take 2 GB of pages", () => new WebAssembly.Memory({initial: 2 ** 15}));
console.log("all tried");
`;

export const denoAttacks = `
import json, js, os
bait = json.loads(PAYLOAD)
def attempt(name, attack):
    try:
        escaped = attack() is not False
    except (OSError, MemoryError, OverflowError, ImportError, AttributeError):
        escaped = False
    if escaped:
        print("escaped " + name, flush=True)
attempt("read a file of the host", lambda: open(bait["secret"]).read(1))
attempt("list " + bait["folder"], lambda: os.listdir(bait["folder"]))
def connects():
    import socket
    with socket.socket() as client:
        client.settimeout(2)
        client.connect(("127.0.0.1", bait["port"]))
        return client.recv(1) == b"" # what does not block has not reached anything yet
attempt("fork", lambda: os.fork())
attempt("start a program", lambda: os.posix_spawn("/bin/true", ["true"], {}))
js.bait = PAYLOAD.decode()
js.eval("(async () => {" + ${JSON.stringify(javascript)} + "})()")
`;
