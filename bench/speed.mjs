// Tokens per second of generate, logprobs and update (completion tokens) for the demo's two tiny models, one thread, or on a GPU.
// The same in PyTorch, and the floor: bench/peer-pytorch.py.
//   node bench/speed.mjs [--device cuda] [--out bench/results/speed.json]
import {NativePolicy} from '../dist/src/native/native-policy.js';
import {NativeRuntime} from '../dist/src/native/runtime.js';
import {generateRequest, models, scoreRequest, trainingBatch} from './models.mjs';
import {report} from './report.mjs';

const rounds = 7;

/** The best and the median of several rounds, after one that warms up. */
async function measure(call) {
  await call();
  const rates = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    const tokens = await call();
    rates.push((tokens / (performance.now() - start)) * 1000);
  }
  rates.sort((a, b) => a - b);
  return {medianTokensPerSecond: Math.round(rates[rounds >> 1]), bestTokensPerSecond: Math.round(rates[rounds - 1])};
}

async function measureModel(config, runtime) {
  const policy = await NativePolicy.create(config, {runtime, seed: 1});
  const generate = async () => (await policy.generate(generateRequest()).counters).decodeTokens;
  const logprobs = async () => {
    const request = scoreRequest();
    await policy.logprobs(request);
    return request.sequences.ids.length;
  };
  const update = async () => {
    const batch = trainingBatch();
    return (await policy.update(batch, {loss: 'dapo', learningRate: 1e-5})).trainedTokens;
  };
  const results = {
    parameters: policy.info().parameters,
    generate: await measure(generate),
    logprobs: await measure(logprobs),
    update: await measure(update),
  };
  await policy.dispose();
  return results;
}

const at = process.argv.indexOf('--device');
const device = at < 0 ? 'cpu' : process.argv[at + 1];
const runtime = await NativeRuntime.open({device, threads: 1});
const results = {};
for (const [name, config] of Object.entries(models)) results[name] = await measureModel(config, runtime);
report('speed.mjs', {device, threads: 1, rounds, ...results});
await runtime.dispose();
