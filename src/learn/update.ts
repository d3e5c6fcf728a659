import type {RunConfig} from '../config.js';
import type {LossSettings} from '../config-loss.js';
import type {OptimizerOptions, Policy, ScoreRequest, TrainingBatch, UpdateOptions, UpdateResult} from '../policy.js';
import {ragged, sequenceAt} from '../ragged.js';
import {sum} from '../statistics.js';

/** Another policy, or the trained one without its adapter. */
export type Reference = Policy | 'base';

export interface ScoreOptions {
  readonly policy: Policy;
  /** Of sampling and of training. */
  readonly temperature: number;
  /** π_old is scored anew, in place of the sampler's log-probs. */
  readonly shouldScoreOld: boolean;
  /** π_ref, where the loss weighs a divergence from it. */
  readonly reference?: Reference;
  readonly signal?: AbortSignal;
}

/** The batches with what their log-probs are compared with, π_old and π_ref: scored before the first update. */
export async function scoreBatches(
  batches: readonly TrainingBatch[],
  options: ScoreOptions,
): Promise<readonly TrainingBatch[]> {
  const {policy, shouldScoreOld, reference} = options;
  if (!shouldScoreOld && reference === undefined) return batches;
  const scored: TrainingBatch[] = [];
  for (const batch of batches) {
    const oldLogprobs = shouldScoreOld ? await score(batch, policy, options) : undefined;
    const refLogprobs = reference && (await score(batch, reference, options));
    const more = {...(oldLogprobs && {oldLogprobs}), ...(refLogprobs && {refLogprobs})};
    scored.push({...batch, completions: {...batch.completions, ...more}});
  }
  return scored;
}

export interface LearnOptions {
  /** Passes over the batches (μ), in the same order. */
  readonly iterations: number;
  /** Of every `update`. */
  readonly update: UpdateOptions;
  readonly onProgress?: (done: number, total: number, tokens: number) => void;
}

/** @returns [iterations · batches]. */
export async function learn(
  policy: Policy,
  batches: readonly TrainingBatch[],
  {iterations, update, onProgress}: LearnOptions,
): Promise<UpdateResult[]> {
  const total = iterations * batches.length;
  const results: UpdateResult[] = [];
  onProgress?.(0, total, 0);
  for (let iteration = 0; iteration < iterations; iteration++) {
    for (const batch of batches) {
      results.push(await policy.update(batch, update));
      onProgress?.(results.length, total, sum(results.map((each) => each.trainedTokens)));
    }
  }
  return results;
}

/** The part of `update`'s options that the loss and the advantages decide. */
export function lossOptions(
  loss: LossSettings,
  advantage: RunConfig['advantage'],
): Omit<UpdateOptions, keyof OptimizerOptions> {
  const {type, sapo, vespo} = loss;
  const same = passedOn.filter((key) => loss[key] !== undefined).map((key) => [key, loss[key]]);
  return {
    loss: type,
    ...Object.fromEntries(same),
    ...(sapo && {
      sapoTemperaturePositive: sapo.temperaturePositive,
      sapoTemperatureNegative: sapo.temperatureNegative,
    }),
    ...(vespo && {
      vespoKPositive: vespo.kPositive,
      vespoLambdaPositive: vespo.lambdaPositive,
      vespoKNegative: vespo.kNegative,
      vespoLambdaNegative: vespo.lambdaNegative,
    }),
    baseline: advantage.baseline === 'ema' ? 'given' : advantage.baseline,
    scale: advantage.scale,
    ...(advantage.std !== undefined && {std: advantage.std}),
    ...(advantage.epsilon !== undefined && {stdEpsilon: advantage.epsilon}),
  };
}

/** What the configuration and the policy call by the same name. */
const passedOn = [
  'ratio',
  'epsilonLow',
  'epsilonHigh',
  'delta',
  'cispoCap',
  'beta',
  'kl',
  'klUnbiased',
  'entropyBonus',
  'topEntropyFraction',
  'importanceCorrection',
  'importanceMax',
  'importanceMin',
  'offPolicyThreshold',
] as const;

/** [completion ids] */
async function score(batch: TrainingBatch, scorer: Reference, options: ScoreOptions): Promise<Float32Array> {
  const request = scoreRequest(batch, options);
  const {logprobs} =
    scorer === 'base' ? await options.policy.logprobs({...request, adapter: false}) : await scorer.logprobs(request);
  return completionPart(batch, logprobs);
}

/** Each completion behind its prompt, at the temperature that it is trained at. */
function scoreRequest({prompts, completions}: TrainingBatch, {temperature, signal}: ScoreOptions): ScoreRequest {
  const pairs = Array.from(completions.promptIndex, (prompt, b) => ({
    prompt: sequenceAt(prompts, prompt),
    completion: sequenceAt(completions, b),
    mask: completions.mask.subarray(completions.offsets[b], completions.offsets[b + 1]),
  }));
  const sequences = ragged(pairs.map(({prompt, completion}) => joined(prompt, completion)));
  const mask = new Uint8Array(sequences.ids.length);
  pairs.forEach((pair, b) => {
    mask.set(pair.mask, (sequences.offsets[b] as number) + pair.prompt.length);
  });
  return {sequences, mask, temperature, signal};
}

/** @param logprobs - Of prompts and completions, as `scoreRequest` lays them. */
function completionPart({prompts, completions}: TrainingBatch, logprobs: Float32Array): Float32Array {
  const part = new Float32Array(completions.ids.length);
  let end = 0;
  completions.promptIndex.forEach((prompt, b) => {
    const start = end + sequenceAt(prompts, prompt).length;
    end = start + sequenceAt(completions, b).length;
    part.set(logprobs.subarray(start, end), completions.offsets[b]);
  });
  return part;
}

function joined(first: Int32Array, second: Int32Array): Int32Array {
  const both = new Int32Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
