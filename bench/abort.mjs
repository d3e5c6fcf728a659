// How long a call goes on after its signal fired, in every phase, on a model that takes seconds for each.
//   node bench/abort.mjs [--out bench/results/abort.json]
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {NativePolicy} from '../dist/src/native/native-policy.js';
import {NativeRuntime} from '../dist/src/native/runtime.js';
import {collect, ragged, streams, trainingBatch} from '../dist/test/helpers/tiny-model.js';
import {report} from './report.mjs';

/** The shapes of Qwen2.5-0.5B, a third as deep. */
const config = {
  model_type: 'qwen2',
  architectures: ['Qwen2ForCausalLM'],
  vocab_size: 151_936,
  hidden_size: 896,
  intermediate_size: 4864,
  num_hidden_layers: 8,
  num_attention_heads: 14,
  num_key_value_heads: 2,
  max_position_embeddings: 32_768,
  rms_norm_eps: 1e-6,
  rope_theta: 1e6,
  tie_word_embeddings: true,
  hidden_act: 'silu',
  initializer_range: 0.02,
  eos_token_id: 1,
};
const ids = (count) => Array.from({length: count}, (_, i) => 2 + ((i * 7919) % 100_000));

/** Milliseconds from the abort, `afterMs` into the call, to its end; more than one moment, so that several places are met. */
async function latency(call, afterMs) {
  const controller = new AbortController();
  let end = 'finished';
  const running = call(controller.signal).catch((error) => {
    end = error.code;
  });
  await sleep(afterMs);
  const start = performance.now();
  controller.abort();
  await running;
  return {afterMs, ms: Math.round(performance.now() - start), end};
}

async function main() {
  const folder = mkdtempSync(path.join(tmpdir(), 'ilr-native-abort-'));
  const runtime = await NativeRuntime.open({});
  try {
    const results = {};
    const measure = async (phase, call, moments) => {
      results[phase] = [];
      for (const afterMs of moments) {
        const held = runtime.memoryBytes();
        results[phase].push({...(await latency(call, afterMs)), heldBytes: runtime.memoryBytes() - held});
      }
      process.stderr.write(`${phase}: ${JSON.stringify(results[phase])}\n`);
    };
    await measure('create', (signal) => NativePolicy.create(config, {runtime, seed: 1, signal}), [50, 500, 1500]);
    const policy = await NativePolicy.create(config, {runtime, seed: 1});
    const request = {samplesPerPrompt: 1, streams: streams(1), temperature: 1, stopIds: []};
    const prefill = {...request, prompts: ragged([ids(8192)]), maxNewTokens: 1};
    await measure('prefill', (signal) => collect(policy.generate({...prefill, signal})), [200, 2000, 5000]);
    const decode = {...request, prompts: ragged([ids(8)]), maxNewTokens: 2000};
    await measure('decode', (signal) => collect(policy.generate({...decode, signal})), [500, 3000]);
    const sequences = ragged([ids(2048), ids(2048)]);
    const mask = new Uint8Array(4096).fill(1);
    mask[0] = mask[2048] = 0;
    await measure('logprobs', (signal) => policy.logprobs({sequences, mask, signal}), [200, 2000, 5000]);
    const batch = trainingBatch(
      [ids(64)],
      Array.from({length: 4}, () => ({prompt: 0, ids: ids(480), reward: 1})),
    );
    const options = {loss: 'nll', learningRate: 1e-6};
    await measure('update', (signal) => policy.update(batch, {...options, signal}), [200, 2000, 5000, 8000, 11_000]);
    await measure('save', (signal) => policy.save(folder, {optimizer: true, signal}), [20, 200, 800]);
    await policy.save(folder);
    await measure('load', (signal) => NativePolicy.load(folder, {runtime, signal}), [10, 100, 300]);
    report('abort.mjs', {model: 'Qwen2.5-0.5B with 8 layers', parameters: policy.info().parameters, results});
  } finally {
    await runtime.dispose();
    rmSync(folder, {recursive: true});
  }
}

await main();
