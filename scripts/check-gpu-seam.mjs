// The seam on a device: calls, errors, aborts, memory and two devices in one process. Prints what the C++ tests print.
//   node scripts/check-gpu-seam.mjs cuda
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {generateRequest, models, ragged, scoreRequest, trainingBatch} from '../bench/models.mjs';
import {NativePolicy} from '../dist/src/native/native-policy.js';
import {NativeRuntime} from '../dist/src/native/runtime.js';

const device = process.argv[2] ?? 'cuda';
const isCuda = device.startsWith('cuda');
const counts = {passed: 0, failed: 0};

async function check(title, body) {
  try {
    await body();
    counts.passed += 1;
    console.log(`ok      ${title}`);
  } catch (error) {
    counts.failed += 1;
    console.log(`        ${error.code ?? ''} ${error.message}\nnot ok  ${title}`);
  }
}

function figure(name, value, bound) {
  console.log(`figure  ${name}: ${value.toPrecision(3)}, at most ${bound}`);
  if (!(value <= bound)) throw new Error(`${name}: expected at most ${bound}, got ${value}`);
}

async function rejects(promise, code) {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  );
  if (error?.code !== code)
    throw new Error(`expected ${code}, got ${error?.code ?? 'no error'}: ${error?.message ?? ''}`);
}

const worst = (a, b) => a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);

const runtime = await NativeRuntime.open({device});
const cpu = await NativeRuntime.open({device: 'cpu', threads: 4});
const open = (where, options = {}) => NativePolicy.create(models.qwen2, {runtime: where, seed: 1, ...options});

await check('the device is the one that was asked for', () => {
  if (!runtime.device.startsWith(device)) throw new Error(`it is ${runtime.device}`);
});

await check('two policies from one seed score alike on the device and on the CPU', async () => {
  const [there, here] = [await open(runtime), await open(cpu)];
  const [a, b] = [await there.logprobs(scoreRequest()), await here.logprobs(scoreRequest())];
  // float32 sums in another order; log-probs are below 20.
  figure('log-probs against the CPU', worst(a.logprobs, b.logprobs), 1e-3);
  figure('entropies against the CPU', worst(a.entropies, b.entropies), 1e-3);
  await Promise.all([there.dispose(), here.dispose()]);
});

await check('updates go the same way on both; a saved policy is loaded bit for bit', async () => {
  const [there, here] = [await open(runtime), await open(cpu)];
  const options = {loss: 'nll', learningRate: 1e-3};
  let losses = [];
  for (let i = 0; i < 5; i++) {
    losses = await Promise.all(
      [there, here].map(async (policy) => (await policy.update(trainingBatch(), options)).loss),
    );
  }
  figure('loss after 5 updates, against the CPU', Math.abs(losses[0] / losses[1] - 1), 1e-3);
  const folder = mkdtempSync(path.join(tmpdir(), 'ilr-seam-'));
  await there.save(folder);
  const before = await there.logprobs(scoreRequest());
  const again = await NativePolicy.load(folder, {runtime});
  const after = await again.logprobs(scoreRequest());
  figure('log-probs after loading', worst(before.logprobs, after.logprobs), 0);
  const bytes = readFileSync(path.join(folder, 'model.safetensors')).length;
  figure('bytes of the file below its weights', 4 * there.info().parameters - bytes, 0);
  rmSync(folder, {recursive: true});
  await Promise.all([there, here, again].map((policy) => policy.dispose()));
});

await check('bfloat16 policies score and learn near the float32 one, with either optimiser', async () => {
  const options = {loss: 'nll', learningRate: 1e-3};
  const wide = await open(runtime);
  const expected = await wide.logprobs(scoreRequest());
  let last = 0;
  for (let i = 0; i < 5; i++) last = (await wide.update(trainingBatch(), options)).loss;
  for (const optimizer of ['adamw', 'lean']) {
    const narrow = await open(runtime, {dtype: 'bfloat16', optimizerKind: optimizer});
    const {logprobs} = await narrow.logprobs(scoreRequest());
    // Weights and states are rounded to 8 bits, 2^-9 each, some forty times through four layers; logits are a few units.
    figure(`log-probs in bfloat16 (${optimizer}) against float32`, worst(logprobs, expected.logprobs), 0.2);
    let loss = 0;
    for (let i = 0; i < 5; i++) loss = (await narrow.update(trainingBatch(), options)).loss;
    figure(`loss after 5 updates in bfloat16 (${optimizer}) against float32`, Math.abs(loss / last - 1), 0.02);
    await narrow.dispose();
  }
  await wide.dispose();
});

await check('greedy text does not change from call to call', async () => {
  const policy = await open(runtime);
  const texts = async () => {
    const generation = policy.generate({...generateRequest(), temperature: 0});
    const completions = [];
    for await (const completion of generation) completions[completion.index] = [...completion.ids].join();
    return completions.join(';');
  };
  const [first, second] = [await texts(), await texts()];
  if (first !== second) throw new Error('it did');
  await policy.dispose();
});

await check('wrong input is refused by name, and the policy goes on', async () => {
  const policy = await open(runtime);
  const bad = {...scoreRequest(), sequences: ragged([[0, 1, 100000]]), mask: Uint8Array.of(0, 1, 1)};
  await rejects(policy.logprobs(bad), 'ILR_INVALID_ARGUMENT');
  await policy.logprobs(scoreRequest());
  await policy.dispose();
  await rejects(policy.logprobs(scoreRequest()), 'ILR_DISPOSED');
});

await check('an abort ends a generation within a second', async () => {
  const policy = await NativePolicy.create({...models.qwen2, max_position_embeddings: 100000}, {runtime, seed: 1});
  const controller = new AbortController();
  const from = performance.now();
  const long = {...generateRequest(), maxNewTokens: 90000, signal: controller.signal};
  setTimeout(() => controller.abort(), 1500);
  await rejects(policy.generate(long).counters, 'ILR_ABORTED');
  figure('seconds from the abort to its end', (performance.now() - from) / 1000 - 1.5, 1);
  await policy.logprobs(scoreRequest());
  await policy.dispose();
});

if (isCuda) {
  await check('a GPU that is not there is refused', async () => {
    await rejects(NativeRuntime.open({device: 'cuda:99'}), 'ILR_INVALID_ARGUMENT');
  });

  await check('out of memory is an error, and the policy stays usable', async () => {
    const wide = {...models.qwen2, hidden_size: 16384, intermediate_size: 16384 * 8, num_hidden_layers: 200};
    await rejects(NativePolicy.create(wide, {runtime, seed: 1, trainable: false}), 'ILR_OUT_OF_MEMORY');
    const policy = await open(runtime);
    await policy.update(trainingBatch(), {loss: 'nll', learningRate: 1e-3});
    await policy.dispose();
  });
}

await check('disposed policies give their memory back', async () => {
  const before = runtime.memoryBytes();
  for (let i = 0; i < 20; i++) {
    const policy = await open(runtime);
    await policy.update(trainingBatch(), {loss: 'nll', learningRate: 1e-3});
    await policy.dispose();
  }
  figure('bytes held after 20 policies', runtime.memoryBytes() - before, 1 << 20);
});

await Promise.all([runtime.dispose(), cpu.dispose()]);
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed === 0 ? 0 : 1;
