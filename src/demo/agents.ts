import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import {NativePolicy} from '../native/native-policy.js';
import type {NativeRuntime} from '../native/runtime.js';
import {streamOf} from '../random.js';
import {loadAgentText} from '../text/load.js';
import {type TinyTokenizer, writeTinyTokenizer} from '../text/tiny-tokenizer.js';
import type {Agent} from '../types.js';
import type {Learner} from './habits.js';
import {pieces, specials} from './vocabulary.js';

export interface TinyAgentPlan {
  readonly modelType: 'qwen2' | 'llama';
  readonly layers: number;
  readonly keyValueHeads: number;
  readonly learner: Learner;
}

/**
Two families and sizes, 0.41 and 0.34 million parameters. Each is good at what the other often gets wrong. The rates are just above one half: rarer, and
greedy answers would be right; more often, and there would be nothing right to be rewarded.
*/
export const tinyAgents: readonly TinyAgentPlan[] = [
  {modelType: 'qwen2', layers: 4, keyValueHeads: 2, learner: {habit: 'forgets-carries', rate: 0.6}},
  {modelType: 'llama', layers: 3, keyValueHeads: 4, learner: {habit: 'mis-borrows', rate: 0.55}},
];

export interface TinyAgent extends Agent {
  readonly tokenizer: TinyTokenizer;
}

/** An agent with random weights; its tokenizer's files are written to `folder`, where the model is to be saved. */
export async function createTinyAgent(
  runtime: NativeRuntime,
  plan: TinyAgentPlan,
  options: {readonly name: string; readonly folder: string; readonly seed: number; readonly index: number},
): Promise<TinyAgent> {
  const {name, folder, seed, index} = options;
  const tokenizer = await writeTinyTokenizer(folder, {pieces, specials});
  const config = modelConfig(plan, tokenizer);
  await writeFile(path.join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  const weights = streamOf({seed, purpose: 'init', agent: index});
  const policy = await NativePolicy.create(config, {runtime, seed: weights});
  return {name, policy, tokenizer, text: await loadAgentText(folder), temperature: 1};
}

function modelConfig({modelType, layers, keyValueHeads}: TinyAgentPlan, tokenizer: TinyTokenizer) {
  return {
    architectures: [modelType === 'qwen2' ? 'Qwen2ForCausalLM' : 'LlamaForCausalLM'],
    model_type: modelType,
    vocab_size: tokenizer.vocabSize,
    hidden_size: 96,
    intermediate_size: 256,
    num_hidden_layers: layers,
    num_attention_heads: 4,
    num_key_value_heads: keyValueHeads,
    max_position_embeddings: 256,
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    hidden_act: 'silu',
    initializer_range: 0.05,
    tie_word_embeddings: true,
    bos_token_id: null,
    eos_token_id: tokenizer.ids.end,
    torch_dtype: 'float32',
  };
}
