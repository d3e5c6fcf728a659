import {cacheRows} from './cache.js';
import {adapterCount, type ModelShape, parameterCount, qkvWidth} from './shape.js';

/** How a policy is held and trained. */
export interface PolicyPlan {
  readonly shape: ModelShape;
  readonly dtype: 'float32' | 'float64' | 'bfloat16';
  /** false: no optimiser, no gradient. */
  readonly isTrainable: boolean;
  readonly adapter?: {readonly rank: number; readonly targetModules: readonly string[]};
  readonly optimizer?: 'adamw' | 'lean';
  readonly moments?: 'float32' | 'bfloat16' | 'int8';
  readonly gradientCheckpointing?: boolean;
}

/** Bytes that a policy holds between calls. */
export interface HeldBytes {
  /** Shared by every policy over the same base where there is an adapter. */
  readonly weights: number;
  readonly adapter: number;
  readonly optimizer: number;
}

export interface GenerateLoad {
  /** Different prompts of one call. */
  readonly prompts: number;
  readonly samplesPerPrompt: number;
  /** Of the longest prompt. */
  readonly promptTokens: number;
  readonly maxNewTokens: number;
  readonly maxSlots?: number;
}

/** One minibatch: groups of completions behind one prompt each. */
export interface TrainLoad {
  readonly groups: readonly {
    readonly promptTokens: number;
    readonly completions: number;
    readonly completionTokens: number;
  }[];
  readonly microBatchTokens?: number;
}

// The core's own bounds (native/core): what it lays out at once.
const cacheBytes = 2 ** 30;
const mostSlots = 256;
const prefillTokens = 4096;
const scoreTokens = 4096;
const chunkBytes = 64 * 2 ** 20;
const activationBudget = 2 ** 30;
/** Blocks come in eight sizes per power of two: a sixteenth is lost on average. */
const rounding = 1.05;

const bytesOf = {float32: 4, float64: 8, bfloat16: 2} as const;

export function heldBytes(plan: PolicyPlan): HeldBytes {
  const parameters = parameterCount(plan.shape);
  const {adapter, isTrainable} = plan;
  const adapterParameters = adapter === undefined ? 0 : adapterCount(plan.shape, adapter.rank, adapter.targetModules);
  const element = bytesOf[plan.dtype];
  const learned = !isTrainable ? 0 : adapter === undefined ? parameters : adapterParameters;
  return {
    weights: parameters * element,
    adapter: adapterParameters * Math.max(4, element), // float32 at least
    optimizer: learned * optimizerBytes(adapter === undefined ? plan : {...plan, dtype: 'float32'}),
  };
}

/** Bytes of one parameter's optimiser state. */
function optimizerBytes({dtype, optimizer = 'adamw', moments = 'float32'}: PolicyPlan): number {
  const moment = {float32: dtype === 'float64' ? 8 : 4, bfloat16: 2, int8: 1 + 4 / 256}[moments];
  const master = dtype !== 'bfloat16' ? 0 : optimizer === 'lean' ? 2 : 4;
  return 2 * moment + master;
}

/** Most bytes of a generate call beyond what is held: keys and values, and the largest forward pass with its logits. */
export function generateBytes(plan: PolicyPlan, load: GenerateLoad): number {
  const {shape} = plan;
  const row = 2 * shape.layers * shape.kvHeads * shape.headSize * Math.max(4, bytesOf[plan.dtype]); // float32 at least, on the CPU
  const newTokens = Math.min(load.maxNewTokens, Math.max(1, shape.positions - load.promptTokens));
  const slots = Math.min(load.prompts * load.samplesPerPrompt, load.maxSlots ?? mostSlots);
  const cache = cacheRows({...load, newTokens, slots, limit: Math.floor(cacheBytes / row)});
  const prefill = Math.min(
    Math.max(prefillTokens, load.promptTokens),
    Math.ceil(slots / load.samplesPerPrompt) * load.promptTokens,
  );
  const logits = slots * shape.vocabulary * logitBytes(plan);
  const prefilling = cache.first * row + prefill * forwardBytes(plan);
  const decoding = cache.last * row + slots * forwardBytes(plan) + logits;
  return rounding * Math.max(prefilling, decoding);
}

/** Most bytes of a logprobs call over sequences of this length. */
export function logprobsBytes(plan: PolicyPlan, load: {readonly sequences: number; readonly tokens: number}): number {
  const rows = Math.min(load.sequences * load.tokens, Math.max(scoreTokens, load.tokens));
  const hidden = 2 * rows * plan.shape.width * bytesOf[plan.dtype];
  return rounding * Math.max(rows * forwardBytes(plan), hidden + 2 * logitChunk(plan, rows));
}

/** Most bytes of an update: gradients, the activations of a micro-batch, and the logits of a chunk of its tokens. */
export function updateBytes(plan: PolicyPlan, load: TrainLoad): number {
  const {shape} = plan;
  const element = bytesOf[plan.dtype];
  const budget =
    load.microBatchTokens || Math.min(2048, Math.max(512, Math.floor(activationBudget / budgetedBytes(plan))));
  const gradients =
    element *
    (plan.adapter ? adapterCount(shape, plan.adapter.rank, plan.adapter.targetModules) : parameterCount(shape));
  // The output embedding's gradient is made whole beside the one that is being summed.
  const output = plan.adapter ? 0 : shape.vocabulary * shape.width * element;
  const batches = microBatches(load, budget);
  // At the start of the backward pass, with every activation and the logits of a chunk; with checkpoints, also inside one layer.
  const starts = batches.map(({tokens, trained}, i) => {
    const before = (i > 0 ? gradients : 0) + output;
    const atHead = tokens * keptBytes(plan) + (shape.hasLogitSoftcap ? 3 : 2) * logitChunk(plan, trained);
    const inLayer = plan.gradientCheckpointing
      ? tokens * (keptBytes(plan) + layerBytes(plan) + forwardBytes(plan) / 2)
      : 0;
    return before + Math.max(atHead, inLayer);
  });
  const end = gradients + output * ((shape.hasTiedEmbeddings ? 1 : 0) + (batches.length > 1 ? 1 : 0));
  return rounding * Math.max(...starts, end);
}

/** How the core cuts a minibatch: each prompt once, its completions behind it, until the budget is full. */
function microBatches({groups}: TrainLoad, budget: number): {readonly tokens: number; readonly trained: number}[] {
  const batches: {tokens: number; trained: number}[] = [];
  for (const {promptTokens, completions, completionTokens} of groups) {
    for (let i = 0; i < completions; i++) {
      const last = batches.at(-1);
      const added = completionTokens + (i === 0 ? promptTokens : 0);
      if (last && last.tokens + added <= budget) {
        last.tokens += added;
        last.trained += completionTokens;
      } else batches.push({tokens: promptTokens + completionTokens, trained: completionTokens});
    }
  }
  return batches;
}

function logitBytes({dtype}: PolicyPlan): number {
  return dtype === 'float64' ? 8 : 4;
}

function logitChunk(plan: PolicyPlan, rows: number): number {
  const row = plan.shape.vocabulary * logitBytes(plan);
  return Math.min(rows, Math.max(16, Math.floor(chunkBytes / row))) * row;
}

/** Of one token in a forward pass that keeps nothing: its widest layer, computed in float32 where the weights are narrower. */
function forwardBytes({shape, dtype}: PolicyPlan): number {
  return (5 * shape.width + 3 * shape.feedForward) * Math.max(4, bytesOf[dtype]);
}

/** Of one token, what is kept for the backward pass. */
function keptBytes(plan: PolicyPlan): number {
  const {shape, dtype, gradientCheckpointing} = plan;
  const ends = 3 * shape.width * bytesOf[dtype];
  return ends + shape.layers * (gradientCheckpointing ? shape.width * bytesOf[dtype] : layerBytes(plan));
}

/** Of one token in one layer: what norms, products, attention and the gate read. */
function layerBytes({shape, dtype}: PolicyPlan): number {
  const {width, feedForward, heads, headSize} = shape;
  const qkv = qkvWidth(shape);
  const attended = heads * headSize;
  const values =
    (shape.hasBranchNorms ? 6 : 4) * width +
    (shape.hasHeadNorms ? 2 : 1) * qkv +
    attended +
    heads +
    3 * feedForward +
    2;
  // Attention on the CPU keeps float32.
  const widened = dtype === 'bfloat16' ? 3 * (qkv + attended) : 0;
  return values * bytesOf[dtype] + widened;
}

/** What the core reckons a token at when it chooses the size of a micro-batch (`Model::activation_bytes_per_token`). */
function budgetedBytes({shape, dtype}: PolicyPlan): number {
  const {width, feedForward, heads, headSize, layers} = shape;
  const layer =
    (shape.hasBranchNorms ? 9 : 5) * width +
    (shape.hasHeadNorms ? 3 : 2) * qkvWidth(shape) +
    heads * headSize +
    3 * feedForward;
  return layers * layer * bytesOf[dtype];
}
