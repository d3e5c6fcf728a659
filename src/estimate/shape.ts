import {readFile} from 'node:fs/promises';
import path from 'node:path';
import {IlrError} from '../errors.js';

/** Below this many parameters a matrix product is too small to be split: on the CPU each agent then gets threads and a runtime of its own. */
export const tinyParameters = 5e6;

/** What the memory of a model depends on, from its config.json. */
export interface ModelShape {
  readonly vocabulary: number;
  readonly width: number;
  readonly feedForward: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly positions: number;
  readonly hasTiedEmbeddings: boolean;
  readonly hasQkvBias: boolean;
  /** A norm of each head of q and k: qwen3, gemma3. */
  readonly hasHeadNorms: boolean;
  /** A second norm at the end of attention and feed-forward: gemma. */
  readonly hasBranchNorms: boolean;
  /** The logits pass tanh: gemma2. */
  readonly hasLogitSoftcap: boolean;
}

/**
Reads a folder's config.json; the core checks it when the model is loaded, so only what is needed here is checked here.

@throws IlrError `ILR_IO` where there is none, `ILR_INVALID_MODEL` where a size is missing.
*/
export async function readShape(folder: string): Promise<ModelShape> {
  const file = path.join(folder, 'config.json');
  const text = await readFile(file, 'utf8').catch((cause: Error) => {
    throw new IlrError('ILR_IO', `${file}: could not be read: ${cause.message}; expected a Hugging Face model folder`, {
      cause,
    });
  });
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (cause) {
    throw new IlrError('ILR_INVALID_MODEL', `${file}: expected JSON, got: ${(cause as Error).message}`, {cause});
  }
  return shapeOf(config, file);
}

/** @throws IlrError `ILR_INVALID_MODEL` where a size is missing. */
export function shapeOf(config: unknown, source = 'config.json'): ModelShape {
  const fields = (typeof config === 'object' && config !== null ? config : {}) as Readonly<Record<string, unknown>>;
  const size = (key: string, fallback?: number): number => {
    const value = fields[key] ?? fallback;
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
    throw new IlrError(
      'ILR_INVALID_MODEL',
      `${source}: ${key}: expected a whole number above 0, got ${JSON.stringify(value)}`,
    );
  };
  const heads = size('num_attention_heads');
  const width = size('hidden_size');
  const type = String(fields.model_type);
  const isGemma = type.startsWith('gemma');
  return {
    vocabulary: size('vocab_size'),
    width,
    feedForward: size('intermediate_size'),
    layers: size('num_hidden_layers'),
    heads,
    kvHeads: size('num_key_value_heads', heads),
    headSize: size('head_dim', isGemma ? 256 : Math.floor(width / heads)),
    positions: size('max_position_embeddings', 2048),
    hasTiedEmbeddings: (fields.tie_word_embeddings as boolean | undefined) ?? isGemma,
    hasQkvBias: type === 'qwen2',
    hasHeadNorms: type === 'qwen3' || type === 'gemma3_text',
    hasBranchNorms: isGemma,
    hasLogitSoftcap: type === 'gemma2' && fields.final_logit_softcapping !== null,
  };
}

/** Of one row of q, k and v together. */
export function qkvWidth({heads, kvHeads, headSize}: ModelShape): number {
  return (heads + 2 * kvHeads) * headSize;
}

/** Parameters of the whole model, a tied embedding once. */
export function parameterCount(shape: ModelShape): number {
  const {width, feedForward, layers, heads, headSize, vocabulary} = shape;
  const qkv = qkvWidth(shape);
  const norms = (shape.hasBranchNorms ? 4 : 2) * width + (shape.hasHeadNorms ? 2 * headSize : 0);
  const layer = norms + qkv * (width + (shape.hasQkvBias ? 1 : 0)) + heads * headSize * width + 3 * feedForward * width;
  return layers * layer + width + (shape.hasTiedEmbeddings ? 1 : 2) * vocabulary * width;
}

/** Parameters of LoRA terms of one rank on the given matrices of every layer. arXiv 2106.09685. */
export function adapterCount(shape: ModelShape, rank: number, targets: readonly string[]): number {
  const {width, feedForward, layers, heads, kvHeads, headSize} = shape;
  const sides: Readonly<Record<string, number>> = {
    q_proj: width + heads * headSize,
    k_proj: width + kvHeads * headSize,
    v_proj: width + kvHeads * headSize,
    o_proj: width + heads * headSize,
    gate_proj: width + feedForward,
    up_proj: width + feedForward,
    down_proj: width + feedForward,
  };
  const chosen = targets.includes('all-linear') ? Object.keys(sides) : targets;
  return layers * rank * chosen.reduce((sum, target) => sum + (sides[target] ?? 0), 0);
}
