import {IlrError} from '../errors.js';
import type {Completion} from '../policy.js';
import {ragged} from '../ragged.js';
import {textOf} from '../sampling.js';
import type {Agent, Question} from '../types.js';

export interface Ask {
  readonly promptIds: Int32Array;
  /** One random stream per sample. */
  readonly streams: readonly bigint[];
}

export type Progress = (done: number, total: number, tokens: number) => void;

export interface SampleOptions {
  readonly maxNewTokens: number;
  /** Take the most likely tokens in place of sampling at the agent's temperature. */
  readonly isGreedy?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: Progress;
}

/**
Samples every ask of one agent in one `generate` call.

@returns [asks][samples]; all asks have the same number of samples.
*/
export async function sample(agent: Agent, asks: readonly Ask[], options: SampleOptions): Promise<Completion[][]> {
  const samples = asks[0]?.streams.length ?? 0;
  if (samples === 0) return asks.map(() => []);
  const generation = agent.policy.generate({
    ...agent.sampling,
    prompts: ragged(asks.map((ask) => ask.promptIds)),
    samplesPerPrompt: samples,
    streams: BigUint64Array.from(asks.flatMap((ask) => ask.streams)),
    maxNewTokens: options.maxNewTokens,
    temperature: options.isGreedy ? 0 : agent.temperature,
    stopIds: [...agent.text.stopIds, ...(agent.stopIds ?? [])],
    signal: options.signal,
  });
  // The loop below throws what ended the work; `counters` rejects with the same.
  generation.counters.catch(() => {});
  const completions = new Array<Completion>(asks.length * samples);
  let done = 0;
  let tokens = 0;
  options.onProgress?.(done, completions.length, tokens);
  for await (const completion of generation) {
    completions[completion.index] = completion;
    done++;
    tokens += completion.ids.length;
    options.onProgress?.(done, completions.length, tokens);
  }
  if (done !== completions.length) {
    throw new IlrError(
      'ILR_INVALID_ARGUMENT',
      `Expected ${completions.length} completions of ${agent.name}, its policy gave ${done}.`,
    );
  }
  return asks.map((_, i) => completions.slice(i * samples, (i + 1) * samples));
}

/** Runs `work` for every agent at once and waits for all of them, so that none is left at work when one fails. */
export async function everyAgent<T>(
  agents: readonly Agent[],
  work: (agent: Agent, index: number) => Promise<T>,
): Promise<T[]> {
  const results = await Promise.allSettled(agents.map(work));
  const failures = results.filter((result) => result.status === 'rejected').map((result) => result.reason as unknown);
  if (failures.length > 0) throw failures.find((failure) => !isAbort(failure)) ?? failures[0];
  return results.map((result) => (result as PromiseFulfilledResult<T>).value);
}

/** Keys of the questions of a batch: their ids, and a number behind the ones that come again, so that no two share a stream. */
export function streamNames(questions: readonly Question[]): string[] {
  const seen = new Map<string, number>();
  return questions.map(({id}) => {
    const times = seen.get(id) ?? 0;
    seen.set(id, times + 1);
    return times === 0 ? id : `${id}#${times}`;
  });
}

/** What an agent wrote, as it goes on in a chat: the template ends an assistant turn itself. */
export function withoutStop(agent: Agent, ids: Int32Array): Int32Array {
  const last = ids.at(-1);
  return last !== undefined && agent.text.stopIds.includes(last) ? ids.subarray(0, -1) : ids;
}

export function textsOf(agent: Agent, completions: readonly Completion[]): string[] {
  return completions.map((completion) => textOf(agent.text, completion));
}

export function isAbort(error: unknown): boolean {
  return IlrError.is(error) && error.code === 'ILR_ABORTED';
}
