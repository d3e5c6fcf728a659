import type {Completion, Generation, Policy, RaggedIds, ScoreResult, TrainingBatch} from '../../src/policy.js';
import {streamOf} from '../../src/random.js';

const shape = {
  vocab_size: 64,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 96,
  rms_norm_eps: 1e-6,
  hidden_act: 'silu',
  // Large, so that distributions are peaked and a wrong one shows.
  initializer_range: 0.2,
  eos_token_id: 1,
};

/** Two families, 2 layers of width 32. */
export const tinyConfigs = {
  qwen2: {
    ...shape,
    model_type: 'qwen2',
    architectures: ['Qwen2ForCausalLM'],
    num_key_value_heads: 2,
    tie_word_embeddings: true,
  },
  llama: {
    ...shape,
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    num_key_value_heads: 4,
    tie_word_embeddings: false,
  },
} as const;

export function ragged(sequences: readonly (readonly number[] | Int32Array)[]): RaggedIds {
  const offsets = new Int32Array(sequences.length + 1);
  sequences.forEach((sequence, i) => {
    offsets[i + 1] = (offsets[i] as number) + sequence.length;
  });
  return {ids: Int32Array.from(sequences.flatMap((sequence) => [...sequence])), offsets};
}

export function streams(count: number, seed = 0): BigUint64Array {
  return BigUint64Array.from({length: count}, (_, sample) => streamOf({seed, purpose: 'eval', sample}));
}

/** All completions, in the order of their indexes. */
export async function collect(generation: Generation): Promise<Completion[]> {
  const completions: Completion[] = [];
  for await (const completion of generation) completions.push(completion);
  return completions.sort((a, b) => a.index - b.index);
}

/** Log-probs of each completion's tokens after its prompt, from `logprobs`. */
export async function score(
  policy: Policy,
  pairs: readonly {readonly prompt: readonly number[]; readonly ids: Int32Array}[],
  temperature = 1,
): Promise<{logprobs: Float32Array[]; result: ScoreResult}> {
  const sequences = ragged(pairs.map(({prompt, ids}) => [...prompt, ...ids]));
  const mask = Uint8Array.from(pairs.flatMap(({prompt, ids}) => [...prompt.map(() => 0), ...[...ids].map(() => 1)]));
  const result = await policy.logprobs({sequences, mask, temperature});
  const logprobs = pairs.map(({prompt}, i) =>
    result.logprobs.slice((sequences.offsets[i] as number) + prompt.length, sequences.offsets[i + 1]),
  );
  return {logprobs, result};
}

/** A batch of one stage: groups of completions, each group after one prompt. */
export function trainingBatch(
  prompts: readonly (readonly number[])[],
  completions: readonly {
    readonly prompt: number;
    readonly ids: readonly number[] | Int32Array;
    readonly logprobs?: Float32Array;
    readonly reward: number;
    readonly group?: number;
  }[],
): TrainingBatch {
  const packed = ragged(completions.map(({ids}) => ids));
  return {
    prompts: ragged(prompts),
    completions: {
      ...packed,
      promptIndex: Int32Array.from(completions, ({prompt}) => prompt),
      mask: new Uint8Array(packed.ids.length).fill(1),
      samplerLogprobs: Float32Array.from(
        completions.flatMap(({ids, logprobs}) => [...(logprobs ?? new Float32Array(ids.length))]),
      ),
    },
    rewards: Float64Array.from(completions, ({reward}) => reward),
    groupIndex: Int32Array.from(completions, ({prompt, group}) => group ?? prompt),
    extraAdvantage: new Float64Array(completions.length),
    stage: new Uint8Array(completions.length),
    stageWeights: Float64Array.of(1),
  };
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs((a[i] as number) - (b[i] as number)));
  return largest;
}

export const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);
