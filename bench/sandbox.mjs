// Programs per second in the sandbox, as many at once as there are cores, against the floor of an interpreter alone (`python3 -I -S -c pass`);
// how long opening takes, the canaries included; and how soon an abort has ended a program.
//   node bench/sandbox.mjs [--programs 300] [--out bench/results/sandbox.json]
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {availableParallelism} from 'node:os';
import {parseArgs} from 'node:util';
import {openSandbox} from '../dist/src/reward/code/sandbox.js';
import {report} from './report.mjs';

const {values} = parseArgs({options: {programs: {type: 'string', default: '300'}, out: {type: 'string'}}});
const programs = Number(values.programs);
const concurrency = availableParallelism();
// A small function, called ten times, and its values written as JSON: what a test of a benchmark costs.
const runner = `import json
def gcd(a, b):
    return a if b == 0 else gcd(b, a % b)
print(json.dumps([gcd(12 * n, 18) for n in range(10)]))`;
const input = Buffer.from(`${JSON.stringify({runner})}\n`);

async function measure(run) {
  let left = programs;
  const milliseconds = [];
  const start = performance.now();
  const worker = async () => {
    while (left-- > 0) {
      const before = performance.now();
      await run();
      milliseconds.push(performance.now() - before);
    }
  };
  await Promise.all(Array.from({length: concurrency}, worker));
  const perSecond = (1000 * programs) / (performance.now() - start);
  milliseconds.sort((a, b) => a - b);
  const at = (share) => Number(milliseconds[Math.floor(share * (programs - 1))].toFixed(1));
  return {perSecond: Number(perSecond.toFixed(1)), p50: at(0.5), p99: at(0.99), max: at(1)};
}

const opening = performance.now();
const sandbox = await openSandbox();
const openSeconds = (performance.now() - opening) / 1000;

async function inSandbox() {
  const {stdout} = await sandbox.run({input});
  if (JSON.parse(stdout.toString()).length !== 10) throw new Error('the program did not run');
}

async function alone() {
  const child = spawn('/usr/bin/python3', ['-I', '-S', '-c', 'pass'], {env: {}, stdio: ['pipe', 'pipe', 'pipe']});
  await once(child, 'close');
}

async function abort() {
  const controller = new AbortController();
  const run = sandbox.run({input: Buffer.from('{"runner": "while True: pass"}')}, controller.signal);
  const start = await new Promise((resolve) =>
    setTimeout(() => {
      controller.abort();
      resolve(performance.now());
    }, 100),
  );
  await run.catch(() => {});
  return performance.now() - start;
}

const aborts = [];
for (let i = 0; i < 20; i++) aborts.push(await abort());

report('sandbox.mjs', {
  sandbox: `${sandbox.kind}: ${sandbox.description}`,
  programs,
  concurrency,
  unit: 'milliseconds for one program',
  interpreterAlone: await measure(alone),
  sandboxed: await measure(inSandbox),
  openSeconds: Number(openSeconds.toFixed(2)),
  abortMilliseconds: {max: Number(Math.max(...aborts).toFixed(1))},
});
await sandbox.close();
