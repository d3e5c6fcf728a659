import test from 'ava';
import {runModule} from '../helpers/native.js';

/** A long update and a long generation on a new policy, in a child's source. */
const startWork = `
  const runtime = await NativeRuntime.open({threads: 1});
  const policy = await NativePolicy.create(tiny.tinyConfigs.qwen2, {runtime, seed: 1});
  const batch = tiny.trainingBatch([[3, 7, 11]], Array.from({length: 2000}, (_, i) => ({
    prompt: 0, ids: Array.from({length: 80}, (_, j) => (i * 5 + j * 3) % 64), reward: i % 2,
  })));
  const request = {
    prompts: tiny.ragged([[3, 7, 11]]), samplesPerPrompt: 2000, streams: tiny.streams(2000), maxNewTokens: 90,
    temperature: 1, stopIds: [], onToken() {},
  };
  const running = new Promise((resolve) => {
    policy.update(batch, {loss: 'nll', learningRate: 1e-3, microBatchTokens: 200, onProgress: resolve}).catch(() => {});
  });
  policy.generate(request);`;

test('process.exit ends a process whose update is running, with its code', async (t) => {
  const {code, signal, output} = await runModule(t, `${startWork} await running; process.exit(7);`);
  t.deepEqual({code, signal, output}, {code: 7, signal: null, output: ''});
});

test('an uncaught error ends a process whose update is running', async (t) => {
  const {code, signal, output} = await runModule(t, `${startWork} await running; throw new Error('as meant');`);
  t.deepEqual({code, signal}, {code: 1, signal: null}, output);
  t.regex(output, /as meant/);
});

test('a process ends by itself beside idle policies, and not before a call in flight', async (t) => {
  const {code, output} = await runModule(
    t,
    `
    const policy = await NativePolicy.create(tiny.tinyConfigs.llama, {seed: 1});
    tiny.score(policy, [{prompt: [3], ids: Int32Array.of(4, 5)}]).then(({logprobs}) => console.log(logprobs[0].length));
    `,
  );
  t.deepEqual({code, output}, {code: 0, output: '2\n'});
});

test('a worker thread can be terminated at any moment of its native work', async (t) => {
  const {code, signal, output} = await runModule(
    t,
    `
    import {Worker, isMainThread, parentPort} from 'node:worker_threads';
    if (isMainThread) {
      for (let i = 0; i < 6; i++) {
        const worker = new Worker(new URL(import.meta.url));
        await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
        await new Promise((resolve) => setTimeout(resolve, 7 * i));
        await worker.terminate();
      }
      const policy = await NativePolicy.create(tiny.tinyConfigs.llama, {seed: 1});
      const {logprobs} = await tiny.score(policy, [{prompt: [3], ids: Int32Array.of(4, 5)}]);
      console.log(logprobs[0].length);
    } else {
      parentPort.on('message', () => {});
      ${startWork}
      await running;
      parentPort.postMessage('running');
    }
    `,
  );
  t.deepEqual({code, signal, output}, {code: 0, signal: null, output: '2\n'});
});

test('policies and runtimes that are dropped without dispose are freed', async (t) => {
  const {code, output} = await runModule(
    t,
    `
    import {readdirSync} from 'node:fs';
    import {setTimeout as sleep} from 'node:timers/promises';
    const threads = () => readdirSync('/proc/self/task').length;
    const pairs = [{prompt: [3], ids: Int32Array.of(4, 5)}];
    async function use() {
      const runtime = await NativeRuntime.open({threads: 1});
      const policy = await NativePolicy.create(tiny.tinyConfigs.llama, {runtime, seed: 1});
      const call = tiny.score(policy, pairs);
      gc();
      await call;
    }
    await use();
    await collectAll();
    const before = threads();
    for (let i = 0; i < 10; i++) await use();
    await collectAll();
    console.log(threads() - before);
    async function collectAll() {
      for (let i = 0; i < 10; i++) { gc(); await sleep(10); }
    }
    `,
  );
  t.is(code, 0, output);
  t.true(Number(output) <= 1, `threads left over: ${output}`);
});

test('a worker thread can be terminated in the middle of a generation', async (t) => {
  const {code, signal, output} = await runModule(
    t,
    `
    import {Worker, isMainThread, parentPort} from 'node:worker_threads';
    if (isMainThread) {
      for (let i = 0; i < 4; i++) {
        const worker = new Worker(new URL(import.meta.url));
        await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
        await new Promise((resolve) => setTimeout(resolve, 5 * i));
        await worker.terminate();
      }
      const policy = await NativePolicy.create(tiny.tinyConfigs.llama, {seed: 1});
      const {logprobs} = await tiny.score(policy, [{prompt: [3], ids: Int32Array.of(4, 5)}]);
      console.log(logprobs[0].length);
    } else {
      const policy = await NativePolicy.create(tiny.tinyConfigs.qwen2, {seed: 1});
      for await (const {index} of policy.generate({
        prompts: tiny.ragged([[3, 7, 11]]), samplesPerPrompt: 20000, streams: tiny.streams(20000), maxNewTokens: 90,
        temperature: 1, stopIds: [], maxSlots: 8,
      })) if (index < 8) parentPort.postMessage('generating');
    }
    `,
  );
  t.deepEqual({code, signal, output}, {code: 0, signal: null, output: '2\n'});
});

test('process.exit ends a process in the middle of a generation, with its code', async (t) => {
  const {code, signal, output} = await runModule(
    t,
    `
    const policy = await NativePolicy.create(tiny.tinyConfigs.qwen2, {seed: 1});
    for await (const _ of policy.generate({
      prompts: tiny.ragged([[3, 7, 11]]), samplesPerPrompt: 20000, streams: tiny.streams(20000), maxNewTokens: 90,
      temperature: 1, stopIds: [], maxSlots: 8,
    })) process.exit(7);
    `,
  );
  t.deepEqual({code, signal, output}, {code: 7, signal: null, output: ''});
});

test('two hundred times load, generate, update and dispose leave resident memory where it was', async (t) => {
  const {code, output} = await runModule(
    t,
    `
    import {mkdtemp, readFile, rm} from 'node:fs/promises';
    import {tmpdir} from 'node:os';
    const folder = await mkdtemp(tmpdir() + '/ilr-cycles-');
    const first = await NativePolicy.create({...tiny.tinyConfigs.llama, vocab_size: 4000, hidden_size: 64}, {seed: 1});
    await first.save(folder, {optimizer: true});
    await first.dispose();
    const shared = await NativeRuntime.open({threads: 1});
    const batch = tiny.trainingBatch([[3, 7]], Array.from({length: 8}, (_, i) => ({
      prompt: 0, ids: Array.from({length: 20}, (_, j) => (i * 5 + j) % 4000), reward: i % 2,
    })));
    const request = {prompts: tiny.ragged([[3, 7]]), samplesPerPrompt: 8, streams: tiny.streams(8), maxNewTokens: 20,
      temperature: 1, stopIds: []};
    async function cycle(i) {
      // Every other one on a runtime of its own.
      const runtime = i % 2 ? shared : await NativeRuntime.open({threads: 1});
      const policy = await NativePolicy.load(folder, {runtime, optimizer: true});
      await tiny.collect(policy.generate(request));
      await policy.update(batch, {loss: 'dapo', learningRate: 1e-3});
      await policy.dispose();
      if (runtime !== shared) await runtime.dispose();
    }
    const resident = async () => {
      gc(); gc();
      return Number((await readFile('/proc/self/statm', 'utf8')).split(' ')[1]);
    };
    for (let i = 0; i < 40; i++) await cycle(i);
    const before = await resident();
    const held = shared.memoryBytes();
    for (let i = 0; i < 200; i++) await cycle(i);
    console.log(JSON.stringify({growth: (await resident()) / before - 1, held, after: shared.memoryBytes()}));
    await shared.dispose();
    await rm(folder, {recursive: true});
    `,
  );
  t.is(code, 0, output);
  const {growth, held, after} = JSON.parse(output) as {growth: number; held: number; after: number};
  t.true(growth < 0.05, output);
  t.deepEqual([held, after], [0, 0], 'no tensor is left');
});
