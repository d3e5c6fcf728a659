// The two tiny shapes of the demo, and a batch of its size, with random contents.
const shared = {
  vocab_size: 114,
  hidden_size: 96,
  intermediate_size: 256,
  num_attention_heads: 4,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-6,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  initializer_range: 0.1,
};

export const models = {
  qwen2: {...shared, model_type: 'qwen2', num_hidden_layers: 4, num_key_value_heads: 2},
  llama: {...shared, model_type: 'llama', num_hidden_layers: 3, num_key_value_heads: 4},
};

export function ragged(sequences) {
  const offsets = new Int32Array(sequences.length + 1);
  sequences.forEach((sequence, i) => {
    offsets[i + 1] = offsets[i] + sequence.length;
  });
  return {ids: Int32Array.from(sequences.flat()), offsets};
}

const ids = (length, from) => Array.from({length}, (_, i) => (from * 31 + i * 17) % 114);

/** 24 prompts of 25 tokens with 8 completions each, at most 40 tokens long. */
export function generateRequest() {
  return {
    prompts: ragged(Array.from({length: 24}, (_, i) => ids(25, i))),
    samplesPerPrompt: 8,
    streams: BigUint64Array.from({length: 192}, (_, i) => (BigInt(i) * 0x9e3779b97f4a7c15n) % 2n ** 64n),
    maxNewTokens: 40,
    temperature: 1,
    stopIds: [],
  };
}

/** 48 completions of about 45 tokens, 8 of each of 6 prompts of 25 tokens. */
export function trainingBatch() {
  const completions = ragged(Array.from({length: 48}, (_, i) => ids(40 + (i % 11), i + 100)));
  return {
    prompts: ragged(Array.from({length: 6}, (_, i) => ids(25, i))),
    completions: {
      ...completions,
      promptIndex: Int32Array.from({length: 48}, (_, i) => Math.floor(i / 8)),
      mask: new Uint8Array(completions.ids.length).fill(1),
      samplerLogprobs: new Float32Array(completions.ids.length).fill(-4),
    },
    rewards: Float64Array.from({length: 48}, (_, i) => i % 2),
    groupIndex: Int32Array.from({length: 48}, (_, i) => Math.floor(i / 8)),
    extraAdvantage: new Float64Array(48),
    stage: new Uint8Array(48),
    stageWeights: Float64Array.of(1),
  };
}

/** 48 sequences of 70 tokens. */
export function scoreRequest() {
  const sequences = ragged(Array.from({length: 48}, (_, i) => ids(70, i)));
  return {sequences, mask: Uint8Array.from(sequences.ids, (_, i) => (i % 70 === 0 ? 0 : 1))};
}
