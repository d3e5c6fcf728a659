import test from 'ava';
import {
  type GenerateLoad,
  generateBytes,
  heldBytes,
  logprobsBytes,
  type PolicyPlan,
  updateBytes,
} from '../../src/estimate/memory.js';
import {shapeOf} from '../../src/estimate/shape.js';
import {NativePolicy} from '../../src/native/native-policy.js';
import {NativeRuntime} from '../../src/native/runtime.js';
import type {TrainingBatch} from '../../src/policy.js';

const common = {hidden_act: 'silu', rms_norm_eps: 1e-6, max_position_embeddings: 2048, num_key_value_heads: 2};

const configs = {
  // activations weigh most
  llama: {
    ...common,
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    vocab_size: 300,
    hidden_size: 96,
    intermediate_size: 256,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    tie_word_embeddings: true,
  },
  // gradients and logits weigh most
  qwen3: {
    ...common,
    model_type: 'qwen3',
    architectures: ['Qwen3ForCausalLM'],
    vocab_size: 12_000,
    hidden_size: 128,
    intermediate_size: 352,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    head_dim: 32,
    tie_word_embeddings: false,
  },
  // more norms, and a softcap on the logits
  gemma2: {
    ...common,
    hidden_act: 'gelu_pytorch_tanh',
    hidden_activation: 'gelu_pytorch_tanh',
    model_type: 'gemma2',
    architectures: ['Gemma2ForCausalLM'],
    vocab_size: 4000,
    hidden_size: 128,
    intermediate_size: 384,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    head_dim: 32,
    query_pre_attn_scalar: 32,
    sliding_window: 64,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    tie_word_embeddings: true,
  },
};

interface Variant {
  readonly dtype?: 'bfloat16';
  readonly gradientCheckpointing?: boolean;
  readonly adapter?: {readonly rank: number; readonly targetModules: readonly ['all-linear']; readonly seed: number};
}

const variants: Readonly<Record<string, Variant>> = {
  float32: {},
  'gradient checkpointing': {gradientCheckpointing: true},
  bfloat16: {dtype: 'bfloat16'},
  'an adapter': {adapter: {rank: 8, targetModules: ['all-linear'], seed: 1}},
};

const load: GenerateLoad = {prompts: 2, samplesPerPrompt: 8, promptTokens: 128, maxNewTokens: 96};
const completions = load.prompts * load.samplesPerPrompt;
const microBatchTokens = 1200;

function ids(count: number, vocabulary: number): Int32Array {
  return Int32Array.from({length: count}, (_, i) => (i * 7919) % vocabulary);
}

function offsets(count: number, length: number): Int32Array {
  return Int32Array.from({length: count + 1}, (_, i) => i * length);
}

function batchOf(vocabulary: number): TrainingBatch {
  const {prompts, promptTokens, samplesPerPrompt, maxNewTokens: length} = load;
  const group = Int32Array.from({length: completions}, (_, i) => Math.floor(i / samplesPerPrompt));
  return {
    prompts: {ids: ids(prompts * promptTokens, vocabulary), offsets: offsets(prompts, promptTokens)},
    completions: {
      ids: ids(completions * length, vocabulary),
      offsets: offsets(completions, length),
      promptIndex: group,
      mask: new Uint8Array(completions * length).fill(1),
      samplerLogprobs: new Float32Array(completions * length).fill(-5),
    },
    rewards: Float64Array.from(group, (_, i) => i % 2),
    groupIndex: group,
    extraAdvantage: new Float64Array(completions),
    stage: new Uint8Array(completions),
    stageWeights: Float64Array.of(1),
  };
}

async function open(config: object, runtime: NativeRuntime, {dtype, adapter}: Variant) {
  if (adapter === undefined) return NativePolicy.create(config, {runtime, seed: 1, dtype});
  const base = await NativePolicy.create(config, {runtime, seed: 1, trainable: false});
  return base.share({adapter, trainable: true});
}

for (const [family, config] of Object.entries(configs)) {
  for (const [name, variant] of Object.entries(variants)) {
    test(`${family}, ${name}: estimates are within 15 % of what the core counts`, async (t) => {
      const runtime = await NativeRuntime.open({threads: 1});
      try {
        const before = await runtime.memoryBytes();
        const policy = await open(config, runtime, variant);
        const held = (await runtime.memoryBytes()) - before;
        const plan: PolicyPlan = {shape: shapeOf(config), dtype: 'float32', isTrainable: true, ...variant};
        const {weights, adapter, optimizer} = heldBytes(plan);
        const near = (what: string, estimate: number, measured: number) =>
          t.true(Math.abs(estimate / measured - 1) <= 0.15, `${what}: estimated ${estimate}, measured ${measured}`);
        near('held', weights + adapter + optimizer, held);

        const vocabulary = config.vocab_size;
        const {prompts, promptTokens, samplesPerPrompt, maxNewTokens} = load;
        const batch = batchOf(vocabulary);
        const update = await policy.update(batch, {
          loss: 'dapo',
          learningRate: 1e-6,
          microBatchTokens,
          gradientCheckpointing: variant.gradientCheckpointing,
        });
        const groups = Array.from({length: prompts}, () => ({
          promptTokens,
          completions: samplesPerPrompt,
          completionTokens: maxNewTokens,
        }));
        near('update', updateBytes(plan, {groups, microBatchTokens}), update.peakBytes);

        const {completions: sequences} = batch;
        const mask = Uint8Array.from(sequences.ids, (_, i) => (i % maxNewTokens === 0 ? 0 : 1));
        const scores = await policy.logprobs({sequences: {ids: sequences.ids, offsets: sequences.offsets}, mask});
        near('logprobs', logprobsBytes(plan, {sequences: completions, tokens: maxNewTokens}), scores.peakBytes);

        const streams = BigUint64Array.from({length: completions}, (_, i) => BigInt(i));
        const request = {prompts: batch.prompts, samplesPerPrompt, streams, maxNewTokens, temperature: 1, stopIds: []};
        const counters = await policy.generate(request).counters;
        near('generate', generateBytes(plan, load), counters.peakBytes);
      } finally {
        await runtime.dispose();
      }
    });
  }
}

test('a cache that grows under long completions is estimated within 15 %', async (t) => {
  const runtime = await NativeRuntime.open({threads: 1});
  try {
    const policy = await NativePolicy.create(configs.llama, {runtime, seed: 1});
    const plan: PolicyPlan = {shape: shapeOf(configs.llama), dtype: 'float32', isTrainable: true};
    for (const long of [
      {prompts: 3, samplesPerPrompt: 4, promptTokens: 100, maxNewTokens: 700},
      {prompts: 6, samplesPerPrompt: 1, promptTokens: 300, maxNewTokens: 1100},
      {prompts: 4, samplesPerPrompt: 3, promptTokens: 30, maxNewTokens: 300, maxSlots: 5},
    ]) {
      const {promptTokens, ...asked} = long;
      const {prompts, samplesPerPrompt} = asked;
      const streams = BigUint64Array.from({length: prompts * samplesPerPrompt}, (_, i) => BigInt(i));
      // Of different prompts, for equal ones are computed once.
      const all = Int32Array.from(
        {length: prompts * promptTokens},
        (_, i) => (i * 7919 + Math.floor(i / promptTokens)) % 300,
      );
      const request = {
        ...asked,
        prompts: {ids: all, offsets: offsets(prompts, promptTokens)},
        streams,
        temperature: 1,
        stopIds: [],
      };
      const {peakBytes} = await policy.generate(request).counters;
      const estimate = generateBytes(plan, long);
      t.true(Math.abs(estimate / peakBytes - 1) <= 0.15, `estimated ${estimate}, measured ${peakBytes}`);
    }
  } finally {
    await runtime.dispose();
  }
});
