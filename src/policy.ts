/**
The seam between TypeScript and C++: token ids and typed arrays, never text, weights or gradients.
`native/core/types.h` holds the same shapes. Stages know this interface, not `NativePolicy`.
*/

/** n sequences end to end: sequence i is `ids.subarray(offsets[i], offsets[i + 1])`. */
export interface RaggedIds {
  readonly ids: Int32Array;
  /** [n+1] from 0, rising. */
  readonly offsets: Int32Array;
}

/** What each token writes: token i's UTF-8 bytes are `bytes.subarray(offsets[i], offsets[i + 1])`; special tokens write nothing. */
export interface TokenBytes {
  readonly bytes: Uint8Array;
  /** [n+1] from 0, rising; n is at most the model's vocabulary. */
  readonly offsets: Int32Array;
}

/** stop: a stop id or a stop string; length: `maxNewTokens`; context: the model's positions are used up. */
export type FinishReason = 'stop' | 'length' | 'context';

/**
How a token's distribution is changed before it is drawn. In transformers' order and with its meaning: logit bias, repetition penalty, bad
words, temperature, top-k, top-p, min-p. What is left out changes nothing. At temperature 0 top-k, top-p and min-p change nothing either.
*/
export interface SamplingOptions {
  /** Of the k most likely tokens, and those as likely as the k-th; 0: of all. */
  readonly topK?: number;
  /** Above 0, up to 1. Of the fewest most likely tokens that hold this mass (arXiv 1904.09751). */
  readonly topP?: number;
  /** 0 to 1. Of tokens at least this times as likely as the most likely one (arXiv 2407.01082). */
  readonly minP?: number;
  /** 0.01 to 100. Divides a positive logit of each token of prompt and completion, multiplies a negative one (arXiv 1909.05858). */
  readonly repetitionPenalty?: number;
  /** Added to the logits: values[i], -10000 to 10000, to that of token ids[i]. */
  readonly logitBias?: {readonly ids: Int32Array; readonly values: Float64Array};
  /** Token sequences that never appear; the end of a prompt may begin one. Other tokens may still write the same text. */
  readonly badWords?: RaggedIds;
  /** Up to 64 of at most 1024 bytes; needs `setTokenBytes`. The one that ends first in the text ends the completion. */
  readonly stopStrings?: readonly string[];
}

export interface GenerateRequest extends SamplingOptions {
  /** P prompts, none empty. Equal prompts are computed once. */
  readonly prompts: RaggedIds;
  readonly samplesPerPrompt: number;
  /** [P·samplesPerPrompt] one random stream per completion (`src/random.ts`): its draws depend on nothing else. */
  readonly streams: BigUint64Array;
  readonly maxNewTokens: number;
  /** 0 takes the most likely token. */
  readonly temperature: number;
  readonly stopIds: readonly number[];
  /** Completions decoded side by side; chosen by the core when left out. */
  readonly maxSlots?: number;
  /**
  Promises that a completion's ids and log-probs depend on its prompt and its stream alone, to the last bit, or rejects with `ILR_UNSUPPORTED`:
  the CPU keeps it always.
  */
  readonly batchInvariant?: boolean;
  readonly signal?: AbortSignal;
  /** Each token as it comes. */
  readonly onToken?: (index: number, id: number) => void;
}

export interface Completion {
  /** prompt · samplesPerPrompt + sample. */
  readonly index: number;
  /** Exactly what was sampled: the stop id, and all of the tokens of a stop string, included. */
  readonly ids: Int32Array;
  /** [ids] nats, of softmax(logits / temperature) as the model gives them, whatever the other options (temperature 1 where greedy). */
  readonly logprobs: Float32Array;
  readonly finishReason: FinishReason;
  /** Index of the stop string that ended it. */
  readonly stopString?: number;
  /** Where one did: bytes of its text, as the token bytes write it, before the stop string. */
  readonly textBytes?: number;
}

export interface GenerateCounters {
  /** Each unique prompt once. */
  readonly prefillTokens: number;
  readonly decodeSteps: number;
  readonly decodeTokens: number;
  readonly slots: number;
  /** Times a completion gave up its rows in a full cache to older ones; it goes on later as if it had not. */
  readonly putOff: number;
  /** Of prompts and completions whose rows had been given up. */
  readonly recomputedTokens: number;
  readonly peakBytes: number;
  readonly seconds: number;
}

/** Completions as they end; `counters` settles after the last one (or rejects with what ended the work). */
export interface Generation extends AsyncIterable<Completion> {
  readonly counters: Promise<GenerateCounters>;
}

export interface ScoreRequest {
  readonly sequences: RaggedIds;
  /** [ids] 1: wanted. A sequence's first token has no log-prob: 0 there. */
  readonly mask: Uint8Array;
  readonly temperature?: number;
  /** false: by the base under the adapter, the reference policy of an agent that trains one. */
  readonly adapter?: false;
  readonly signal?: AbortSignal;
}

export interface ScoreResult {
  /** [ids] nats, 0 where the mask is 0. */
  readonly logprobs: Float32Array;
  /** [ids] nats. */
  readonly entropies: Float32Array;
  readonly peakBytes: number;
}

export interface TrainingBatch {
  /** Each prompt once, however many completions it has. An empty sequence is allowed (then the first completion token is context only). */
  readonly prompts: RaggedIds;
  readonly completions: RaggedIds & {
    /** [B] */
    readonly promptIndex: Int32Array;
    /** [ids] 1: trained. */
    readonly mask: Uint8Array;
    /** [ids] nats; ignored by `nll`. */
    readonly samplerLogprobs: Float32Array;
    /** [ids] nats: π_old by the scorer. Left out: `samplerLogprobs` are π_old. exp(old − sampler) is the importance correction. */
    readonly oldLogprobs?: Float32Array;
    /** [ids] nats, of the reference policy; needed where `beta` > 0. */
    readonly refLogprobs?: Float32Array;
  };
  /** [B] calibrated rewards; ignored by `nll`. */
  readonly rewards: Float64Array;
  /** [B] equal numbers form a group; not the same as promptIndex; ignored by `nll`. */
  readonly groupIndex: Int32Array;
  /** [B] added after normalisation. */
  readonly extraAdvantage: Float64Array;
  /** [B] index into stageWeights; each stage is normalised by its own token count. */
  readonly stage: Uint8Array;
  readonly stageWeights: Float64Array;
  /** [B] what is subtracted from each reward, with `baseline: 'given'`. */
  readonly baseline?: Float64Array;
  /**
  [S] tokens that `dapo`, `cispo` and `vespo` divide a stage by: those trained of the whole generation batch, over its number of
  minibatches. Left out: of this batch.
  */
  readonly stageTokens?: Float64Array;
}

export interface OptimizerOptions {
  readonly learningRate: number;
  /** The learning rate rises linearly over the optimiser's first steps. */
  readonly warmupSteps?: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** `linear` and `cosine` fall from the end of the warm-up to `minLearningRateFraction` of the rate at `totalSteps`. Default `constant`. */
  readonly schedule?: 'constant' | 'linear' | 'cosine';
  /** Optimiser steps, warm-up included; needed by `linear` and `cosine`. */
  readonly totalSteps?: number;
  /** 0 to 1, default 0. */
  readonly minLearningRateFraction?: number;
  /** Of matrices and embeddings; norms and biases do not decay. */
  readonly weightDecay?: number;
  /** 0: no clipping. */
  readonly maxGradNorm?: number;
}

export type PolicyLoss = 'grpo' | 'bnpo' | 'dr_grpo' | 'dapo' | 'cispo' | 'sapo' | 'luspo' | 'vespo';

export interface UpdateOptions extends OptimizerOptions {
  /** docs/paper.md has the formulas. `dapo`: clipped surrogate, mean over all trained tokens of a stage. `nll`: negative log-likelihood. */
  readonly loss: PolicyLoss | 'nll';
  readonly temperature?: number;
  /** `sequence`: exp of the mean log-ratio of a completion (GSPO, arXiv 2507.18071). */
  readonly ratio?: 'token' | 'sequence';
  readonly epsilonLow?: number;
  readonly epsilonHigh?: number;
  /** Two-sided clipping: the largest ratio, whatever the advantage. */
  readonly delta?: number;
  /** `cispo`: the largest weight. */
  readonly cispoCap?: number;
  readonly sapoTemperaturePositive?: number;
  readonly sapoTemperatureNegative?: number;
  readonly vespoKPositive?: number;
  readonly vespoLambdaPositive?: number;
  readonly vespoKNegative?: number;
  readonly vespoLambdaNegative?: number;
  /** `dr_grpo` divides by it. */
  readonly maxCompletionTokens?: number;
  /** Weight of the KL divergence from the reference policy; above 0 needs `refLogprobs`. */
  readonly beta?: number;
  readonly kl?: 'k1' | 'k2' | 'k3';
  readonly klUnbiased?: boolean;
  readonly entropyBonus?: number;
  /** Share of the tokens, those of the highest entropy, that the policy loss is taken over. */
  readonly topEntropyFraction?: number;
  /** Of the sampler's distribution, by exp(old − sampler). */
  readonly importanceCorrection?: 'none' | 'token_truncate' | 'token_mask' | 'sequence_truncate' | 'sequence_mask';
  readonly importanceMax?: number;
  readonly importanceMin?: number;
  /** Leaves out completions with a negative advantage whose mean of sampler − present log-prob is above it. */
  readonly offPolicyThreshold?: number;
  readonly baseline?: 'group' | 'leave-one-out' | 'given';
  readonly scale?: 'group' | 'batch' | 'none';
  readonly std?: 'population' | 'sample';
  readonly stdEpsilon?: number;
  readonly microBatchTokens?: number;
  /** Computes each layer again in the backward pass: less memory, about a third more time, the same bits. */
  readonly gradientCheckpointing?: boolean;
  readonly signal?: AbortSignal;
  /** Micro-batches done of all. Must not throw. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface UpdateResult {
  readonly loss: number;
  /**
  Nats. This and the figures of ratio, KL, importance, masks and sampler are of the tokens that were computed: those of completions
  whose advantage is not 0, or all trained ones with `beta` or `entropyBonus`. NaN where there were none, or where the loss has no
  such thing.
  */
  readonly entropy: number;
  /** Before clipping. */
  readonly gradNorm: number;
  /** As used, warm-up and schedule included. */
  readonly learningRate: number;
  /** Of the chosen level; a sequence's ratio counts once per token. */
  readonly ratioMean: number;
  readonly ratioMax: number;
  /** Tokens whose gradient the clip removed (`cispo`: whose weight was capped); the sum of the next two. */
  readonly ratioClippedFraction: number;
  /** The ratio too low and the advantage negative. */
  readonly ratioClippedLowFraction: number;
  /** Above 1 + epsilonHigh, `delta` or the cap. */
  readonly ratioClippedHighFraction: number;
  /** Mean of the chosen estimator, where `refLogprobs` are given. */
  readonly kl: number;
  /** Weight of a token by the importance correction. */
  readonly importanceMean: number;
  readonly importanceMax: number;
  readonly offPolicyDroppedFraction: number;
  /** Of all trained tokens. */
  readonly entropyDroppedFraction: number;
  readonly samplerKl: number;
  readonly samplerMaxAbsDiff: number;
  /** A gradient was not finite: weights and optimiser are as before. */
  readonly skipped: boolean;
  readonly step: number;
  readonly skippedSteps: number;
  readonly trainedTokens: number;
  /** Of them, those with a term in the loss. 0: no step was taken. */
  readonly learningTokens: number;
  readonly forwardTokens: number;
  readonly microBatches: number;
  readonly zeroSpreadGroups: number;
  readonly groups: number;
  readonly peakBytes: number;
  readonly seconds: number;
  /** [B] before extraAdvantage. */
  readonly advantages: Float64Array;
}

export interface PolicyInfo {
  readonly modelType: string;
  readonly vocabSize: number;
  readonly contextLength: number;
  /** Of the model; an adapter's come on top. */
  readonly parameters: number;
  readonly eosIds: readonly number[];
  readonly dtype: string;
  readonly device: string;
  /** Optimiser steps taken. */
  readonly step: number;
  readonly weightBytes: number;
  /** Moments, and master or remainder; 0 where it is frozen. */
  readonly optimizerBytes: number;
  /** 0 where the policy is frozen. */
  readonly trainedParameters: number;
  /** Where it trains, or has loaded, an adapter in place of the model. */
  readonly adapter?: AdapterInfo;
}

/** A new LoRA adapter (arXiv 2106.09685): W x + (alpha / rank)·B A x, only A and B being trained. */
export interface NewAdapterOptions {
  /** r, 1 to 4096. Default 8. */
  readonly rank?: number;
  /** Default 16. */
  readonly alpha?: number;
  /** alpha / √rank in place of alpha / rank (rsLoRA, arXiv 2312.03732). Default false. */
  readonly rankStabilized?: boolean;
  /** Of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj; `all-linear` (the default) is all of them. */
  readonly targetModules?: 'all-linear' | readonly string[];
  /** Of A, drawn as PEFT draws it; B begins at zero. Default 0. */
  readonly seed?: bigint | number;
}

/** A new adapter, or one in PEFT's format. */
export type AdapterOptions = NewAdapterOptions | {readonly folder: string};

export interface AdapterInfo {
  readonly rank: number;
  readonly alpha: number;
  readonly rankStabilized: boolean;
  readonly targetModules: readonly string[];
  readonly parameters: number;
}

export interface SaveOptions {
  /** Also optimizer.safetensors, so that training can go on. */
  readonly optimizer?: boolean;
  /** The whole model with the adapter's terms added to it, in place of the adapter. */
  readonly merge?: boolean;
  /** An abort leaves each file whole, as it was or as it is to be. */
  readonly signal?: AbortSignal;
}

/** A model with its optimiser: samples, scores, learns. Calls keep their order. Every rejection is an `IlrError`. */
export interface Policy {
  info(): PolicyInfo;
  /** Hands over what each token writes, for stop strings; kept for all later calls of `generate`. */
  setTokenBytes(table: TokenBytes): Promise<void>;
  generate(request: GenerateRequest): Generation;
  logprobs(request: ScoreRequest): Promise<ScoreResult>;
  update(batch: TrainingBatch, options: UpdateOptions): Promise<UpdateResult>;
  /** Weights ← mix·(those of `other`) + (1 − mix)·(these), for a reference policy that follows; models of one shape. */
  copyFrom(other: Policy, mix: number): Promise<void>;
  /**
  Writes config.json and model.safetensors, generation_config.json where the model was loaded with one (of an adapter, PEFT's
  adapter_config.json and adapter_model.safetensors), and optimizer.safetensors with
  `optimizer: true`, into an existing folder: all are synced, then renamed together. What fails leaves the folder's files as they were.
  */
  save(folder: string, options?: SaveOptions): Promise<void>;
  dispose(): Promise<void>;
}
