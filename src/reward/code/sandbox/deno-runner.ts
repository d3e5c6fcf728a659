/**
What Deno runs: loads Pyodide, gives up the right to read, and from there on does what the bootstrap of the others does (bootstrap.ts). It does not end
itself: what a program puts off until its Python is over runs as well, under the same walls and limits.
*/
export const denoRunner = `
import {loadPyodide} from './pyodide/pyodide.mjs';
for (const name of ['getuid', 'geteuid', 'getgid', 'getegid']) process[name] = () => 65534; // Deno refuses to say, and Pyodide does not survive that
const pyodide = await loadPyodide({indexURL: new URL('./pyodide/', import.meta.url).pathname, env: {PYTHONHASHSEED: '0'}});
const raw = (file) => ({isatty: false, write: (bytes) => file.writeSync(bytes)});
pyodide.setStdout(raw(Deno.stdout));
pyodide.setStderr(raw(Deno.stderr));
pyodide.setStdin({stdin: () => null});
const start = pyodide.runPython(\`
import os, sys
os.environ.clear()
sys.argv[:] = [""]
sys.path[:] = [entry for entry in sys.path if entry]
def start(runner, payload):
    scope = {"__name__": "__main__", "__builtins__": __builtins__, "PAYLOAD": payload.to_bytes()}
    exec(compile(runner, "<runner>", "exec"), scope)
start\`);
const {state} = await Deno.permissions.revoke({name: 'read'});
if (state === 'granted') Deno.exit(71);
Deno.stdout.writeSync(Uint8Array.of(6));
const bytes = await new Response(Deno.stdin.readable).bytes();
function line(from) {
  const end = bytes.indexOf(10, from);
  return [Number(new TextDecoder().decode(bytes.subarray(from, end))), end + 1];
}
const [size, second] = line(0);
const [payloadSize, first] = line(second);
if (bytes.length !== first + size + payloadSize) Deno.exit(70);
try {
  start(new TextDecoder().decode(bytes.subarray(first, first + size)), bytes.slice(first + size));
} catch (error) {
  Deno.exitCode = error.status ?? 1;
  if (error.status === undefined) console.error(String(error));
}
`;
