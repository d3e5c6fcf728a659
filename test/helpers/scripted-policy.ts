import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {IlrError} from '../../src/errors.js';
import type {
  Completion,
  FinishReason,
  GenerateRequest,
  Generation,
  Policy,
  PolicyInfo,
  ScoreRequest,
  ScoreResult,
  TokenBytes,
  TrainingBatch,
  UpdateOptions,
  UpdateResult,
} from '../../src/policy.js';
import {sequenceAt} from '../../src/ragged.js';
import type {Agent, AgentText} from '../../src/types.js';
import {updateResult} from './update-result.js';

/** A policy without weights: what it says comes from a function. For tests of everything above the seam. */

const specials = ['<|user|>', '<|assistant|>', '<|system|>', '<|end|>'] as const;
const endId = 256 + specials.indexOf('<|end|>');

/** One id per UTF-8 byte, and four special tokens: `<|user|>question<|end|><|assistant|>`. */
export const byteText: AgentText = {
  promptIds(messages) {
    const ids: number[] = [];
    for (const {role, content} of messages) {
      ids.push(256 + specials.indexOf(`<|${role}|>`));
      for (const part of content) ids.push(...(typeof part === 'string' ? Buffer.from(part) : part));
      ids.push(endId);
    }
    return Int32Array.from([...ids, 256 + specials.indexOf('<|assistant|>')]);
  },
  encode: (text) => Int32Array.from(Buffer.from(text)),
  decode: (ids) => Buffer.from([...ids].filter((id) => id < 256)).toString(),
  stopIds: [endId],
  vocabSize: 256 + specials.length,
};

/** The whole of a prompt, special tokens by name. */
export function show(ids: Int32Array): string {
  let out = '';
  let bytes: number[] = [];
  for (const id of [...ids, -1]) {
    if (id >= 0 && id < 256) {
      bytes.push(id);
      continue;
    }
    out += Buffer.from(bytes).toString() + (specials[id - 256] ?? '');
    bytes = [];
  }
  return out;
}

export interface Scene {
  /** As `show` writes it. */
  readonly prompt: string;
  /** In [0, 1), of the completion's stream and of what the policy has learned; 0 where greedy. */
  readonly draw: number;
  readonly isGreedy: boolean;
  readonly updates: number;
}

export type Script = (scene: Scene) => string | {readonly text: string; readonly finishReason: FinishReason};

export interface ScriptedState {
  readonly updates: number;
  /** Changes with all that it was trained on, and changes all that it draws. */
  readonly memory: number;
}

export class ScriptedPolicy implements Policy {
  readonly batches: TrainingBatch[] = [];
  readonly options: UpdateOptions[] = [];
  readonly requests: GenerateRequest[] = [];
  readonly scored: ScoreRequest[] = [];
  generatedTokens = 0;
  tokenBytes: TokenBytes | undefined;
  state: ScriptedState = {updates: 0, memory: 1};

  constructor(
    private readonly script: Script,
    private readonly contextLength = 100_000,
  ) {}

  info(): PolicyInfo {
    return {
      modelType: 'scripted',
      vocabSize: byteText.vocabSize,
      contextLength: this.contextLength,
      parameters: 0,
      eosIds: [endId],
      dtype: 'none',
      device: 'cpu',
      step: this.state.updates,
      weightBytes: 0,
      optimizerBytes: 0,
      trainedParameters: 1,
      adapter: {rank: 1, alpha: 1, rankStabilized: false, targetModules: ['q_proj'], parameters: 1},
    };
  }

  async setTokenBytes(table: TokenBytes): Promise<void> {
    this.tokenBytes = table;
  }

  generate(request: GenerateRequest): Generation {
    this.requests.push(request);
    const iterate = () => this.complete(request);
    return {
      [Symbol.asyncIterator]: iterate,
      counters: Promise.resolve({
        prefillTokens: request.prompts.ids.length,
        decodeSteps: 0,
        decodeTokens: 0,
        slots: 1,
        putOff: 0,
        recomputedTokens: 0,
        peakBytes: 0,
        seconds: 0,
      }),
    };
  }

  /** Last first: nothing may depend on the order in which completions end. */
  private async *complete(request: GenerateRequest): AsyncGenerator<Completion> {
    for (let index = request.streams.length - 1; index >= 0; index--) {
      await new Promise(setImmediate);
      if (request.signal?.aborted) throw new IlrError('ILR_ABORTED', 'Generation was aborted.');
      const prompt = sequenceAt(request.prompts, Math.floor(index / request.samplesPerPrompt));
      if (prompt.length >= this.contextLength)
        throw new IlrError('ILR_INVALID_ARGUMENT', 'The prompt fills the context.');
      const {ids, finishReason} = this.say(request, prompt, request.streams[index] as bigint);
      this.generatedTokens += ids.length;
      yield {index, ids, logprobs: new Float32Array(ids.length).fill(-0.5), finishReason};
    }
  }

  private say(request: GenerateRequest, prompt: Int32Array, stream: bigint) {
    const isGreedy = request.temperature === 0;
    const mixed = (stream ^ (BigInt(this.state.memory) * 0x9e3779b97f4a7c15n)) & 0xffffffffn;
    const draw = isGreedy ? 0 : Number(mixed) / 2 ** 32;
    const said = this.script({prompt: show(prompt), draw, isGreedy, updates: this.state.updates});
    const {text, finishReason} = typeof said === 'string' ? {text: said, finishReason: 'stop' as const} : said;
    const ids = [...byteText.encode(text), ...(finishReason === 'stop' ? [endId] : [])];
    return ids.length > request.maxNewTokens
      ? {ids: Int32Array.from(ids.slice(0, request.maxNewTokens)), finishReason: 'length' as const}
      : {ids: Int32Array.from(ids), finishReason};
  }

  /** −id/1000, less a little that changes with all that it was trained on; the base has learned nothing. */
  async logprobs(request: ScoreRequest): Promise<ScoreResult> {
    await new Promise(setImmediate);
    if (request.signal?.aborted) throw new IlrError('ILR_ABORTED', 'Scoring was aborted.');
    this.scored.push(request);
    const memory = request.adapter === false ? 1 : this.state.memory;
    const {ids} = request.sequences;
    const logprobs = Float32Array.from(ids, (id, t) => (request.mask[t] ? -id / 1000 - (memory % 1009) / 1e4 : 0));
    return {logprobs, entropies: new Float32Array(ids.length), peakBytes: 0};
  }

  async update(batch: TrainingBatch, options: UpdateOptions): Promise<UpdateResult> {
    await new Promise(setImmediate);
    if (options.signal?.aborted) throw new IlrError('ILR_ABORTED', 'The update was aborted.');
    this.batches.push(batch);
    this.options.push(options);
    let memory = this.state.memory;
    const {ids, oldLogprobs = [], refLogprobs = []} = batch.completions;
    const inThousandths = [...batch.rewards, ...(batch.baseline ?? []), ...oldLogprobs, ...refLogprobs];
    for (const value of [...ids, ...inThousandths.map((each) => Math.round(1000 * each))]) {
      memory = (Math.imul(memory, 31) + value) >>> 0;
    }
    this.state = {updates: this.state.updates + 1, memory};
    const groups = new Set(batch.groupIndex).size;
    return updateResult({
      loss: memory / 2 ** 32,
      entropy: 1,
      gradNorm: 1,
      learningRate: options.learningRate,
      step: this.state.updates,
      trainedTokens: batch.completions.ids.length,
      forwardTokens: batch.completions.ids.length,
      groups,
      advantages: new Float64Array(batch.rewards.length),
    });
  }

  async copyFrom(other: ScriptedPolicy, mix: number): Promise<void> {
    const memory = Math.round(mix * other.state.memory + (1 - mix) * this.state.memory);
    this.state = {updates: this.state.updates, memory};
  }

  async save(folder: string): Promise<void> {
    await writeFile(join(folder, 'scripted.json'), JSON.stringify(this.state));
  }

  async dispose(): Promise<void> {}
}

export function scriptedAgent(
  name: string,
  script: Script,
  options: {readonly contextLength?: number; readonly systemPrompt?: string; readonly temperature?: number} = {},
): Agent & {readonly policy: ScriptedPolicy} {
  return {
    name,
    policy: new ScriptedPolicy(script, options.contextLength),
    text: byteText,
    systemPrompt: options.systemPrompt,
    temperature: options.temperature ?? 1,
  };
}
