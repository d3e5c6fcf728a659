// Writes the seeds of the fuzzers beside itself: `node native/test/corpus/make.mjs`.
import {mkdir, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const golden = path.join(here, '..', 'golden');

async function put(folder, seeds) {
  await rm(path.join(here, folder), {recursive: true, force: true});
  await mkdir(path.join(here, folder));
  for (const [name, bytes] of Object.entries(seeds)) await writeFile(path.join(here, folder, name), bytes);
}

/** A safetensors file of a header, given as text or as an object, and `data` bytes of zeros. */
function file(header, data = 0) {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(data)]);
}

const tensor = (dtype, shape, begin, end) => ({dtype, shape, data_offsets: [begin, end]});
const two = {a: tensor('F32', [2, 3], 0, 24), b: tensor('BF16', [4], 24, 32)};

await put('safetensors', {
  'two-tensors': file(two, 32),
  metadata: file({__metadata__: {format: 'pt', steps: '3'}, ...two}, 32),
  'no-tensors': file({}),
  'every-dtype': file(
    Object.fromEntries(
      [['F64', 8], ['I64', 8], ['F32', 4], ['I32', 4], ['F16', 2], ['BF16', 2], ['U8', 1], ['BOOL', 1]].map(
        ([dtype, width], i, all) => {
          const begin = all.slice(0, i).reduce((sum, [, bytes]) => sum + 2 * bytes, 0);
          return [dtype, tensor(dtype, [2], begin, begin + 2 * width)];
        },
      ),
    ),
    60,
  ),
  'a-number-and-nothing': file({scalar: tensor('F32', [], 0, 4), empty: tensor('F32', [0, 5], 4, 4)}, 4),
  'empty-with-huge-sizes': file({empty: tensor('F32', [0, 2 ** 52, 2 ** 52], 0, 0)}),
  overlap: file({a: tensor('F32', [2], 0, 8), b: tensor('F32', [2], 4, 12)}, 12),
  gap: file({a: tensor('F32', [1], 0, 4), b: tensor('F32', [1], 8, 12)}, 12),
  'beyond-the-end': file({a: tensor('F32', [4], 0, 16)}, 8),
  'shape-overflows': file({a: tensor('F32', [2 ** 40, 2 ** 40], 0, 4)}, 4),
  'offsets-overflow': file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551616]}}', 4),
  'negative-offsets': file({a: tensor('F32', [1], -4, 0)}, 4),
  'nine-dimensions': file({a: tensor('U8', [1, 1, 1, 1, 1, 1, 1, 1, 1], 0, 1)}, 1),
  'name-twice': file('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1),
  nested: file(`${'{"a":'.repeat(80)}1${'}'.repeat(80)}`),
  'not-utf8': file(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]).toString('latin1')),
  'header-of-1-tb': Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 1, 0, 0]), Buffer.from('{}')]),
  'seven-bytes': Buffer.alloc(7),
  'cut-short': file(two, 32).subarray(0, 60),
  'unaligned-data': file({a: tensor('U8', [1], 0, 1), b: tensor('F64', [1], 1, 9)}, 9),
  index: JSON.stringify({metadata: {total_size: 32}, weight_map: {a: 'one.safetensors', b: 'two.safetensors'}}),
  'index-that-leaves': JSON.stringify({weight_map: {a: '../../etc/passwd.safetensors', b: '.safetensors'}}),
  'index-without-map': '{"metadata":{}}',
});

const configs = {};
for (const {name} of (await readdir(golden, {withFileTypes: true})).filter((entry) => entry.isDirectory())) {
  for (const kind of ['config.json', 'adapter_config.json']) {
    const text = await readFile(path.join(golden, name, kind), 'utf8').catch(() => undefined);
    if (text !== undefined) configs[`${name}.${kind}`] = text;
  }
}
const llama = {
  model_type: 'llama',
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 96,
  rms_norm_eps: 1e-6,
  hidden_act: 'silu',
  eos_token_id: [1, 2],
};
await put('config', {
  ...configs,
  llama: JSON.stringify(llama),
  'llama3-rope': JSON.stringify({
    ...llama,
    rope_theta: 5e5,
    rope_scaling: {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 32,
    },
  }),
  qwen3: JSON.stringify({...llama, model_type: 'qwen3', head_dim: 16}),
  mistral: JSON.stringify({...llama, model_type: 'mistral', sliding_window: 8}),
  gemma2: JSON.stringify({
    ...llama,
    model_type: 'gemma2',
    head_dim: 16,
    query_pre_attn_scalar: 16,
    final_logit_softcapping: 30,
    attn_logit_softcapping: 50,
    sliding_window: 8,
    hidden_activation: 'gelu_pytorch_tanh',
  }),
  'gemma3-text': JSON.stringify({
    ...llama,
    model_type: 'gemma3_text',
    head_dim: 16,
    layer_types: ['sliding_attention', 'full_attention'],
    rope_local_base_freq: 1e4,
    sliding_window: 8,
  }),
  quantised: JSON.stringify({...llama, quantization_config: {quant_method: 'gptq', bits: 4}}),
  'huge-sizes': JSON.stringify({...llama, hidden_size: 2 ** 53, vocab_size: 2 ** 53, head_dim: 2 ** 53}),
  'zero-heads': JSON.stringify({...llama, num_attention_heads: 0, num_key_value_heads: 0}),
  'numbers-of-another-kind': JSON.stringify({...llama, hidden_size: 32.5, rms_norm_eps: '1e-6', eos_token_id: [-1, 1e300]}),
  adapter: JSON.stringify({peft_type: 'LORA', r: 8, lora_alpha: 16, target_modules: ['q_proj', 'v_proj'], bias: 'none', task_type: 'CAUSAL_LM'}),
  'adapter-of-rank-0': JSON.stringify({peft_type: 'LORA', r: 0, lora_alpha: -1, target_modules: 'all-linear', use_dora: true}),
  'not-json': '{"model_type": "llama", ',
});

// An optimiser of the two tensors of native/fuzz/readers.cpp.
const saved = file(
  {
    __metadata__: {steps: '3', skipped: '1', format: 'pt'},
    'exp_avg.matrix.weight': tensor('F32', [2, 3], 0, 24),
    'exp_avg.norm.weight': tensor('F32', [3], 24, 36),
    'exp_avg_sq.matrix.weight': tensor('F32', [2, 3], 36, 60),
    'exp_avg_sq.norm.weight': tensor('F32', [3], 60, 72),
  },
  72,
);
const length = Number(saved.readBigUInt64LE());
const header = saved.subarray(8, 8 + length).toString('utf8').trimEnd();
const data = saved.length - 8 - length;
const parsed = JSON.parse(header);
const [first, second] = Object.keys(parsed).filter((name) => name !== '__metadata__');
await put('checkpoint', {
  saved,
  'cut-short': saved.subarray(0, saved.length - 5),
  'header-cut-short': saved.subarray(0, length / 2),
  'no-metadata': file({...parsed, __metadata__: undefined}, data),
  'steps-no-number': file({...parsed, __metadata__: {...parsed.__metadata__, steps: '-3x'}}, data),
  'steps-overflow': file({...parsed, __metadata__: {...parsed.__metadata__, steps: '99999999999999999999999'}}, data),
  'a-tensor-renamed': file(header.replace(first, 'elsewhere'), data),
  'tensors-exchanged': file({...parsed, [first]: parsed[second], [second]: parsed[first]}, data),
  'of-another-dtype': file(header.replaceAll('"F32"', '"I32"'), data),
  'all-ones': Buffer.concat([saved.subarray(0, 8 + length), Buffer.alloc(data, 0xff)]),
  'weights-in-its-place': file({'matrix.weight': tensor('F32', [2, 3], 0, 24), 'norm.weight': tensor('F32', [3], 24, 36)}, 36),
  empty: Buffer.alloc(0),
});
