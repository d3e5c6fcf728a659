import type {SamplingSettings} from './config-sampling.js';
import {IlrError} from './errors.js';
import type {SamplingOptions} from './policy.js';
import {ragged} from './ragged.js';
import type {Agent, AgentText} from './types.js';

/** The agent with answers drawn as `settings` says; its policy learns what each token writes where there are stop strings. */
export async function withSampling<T extends Agent>(agent: T, settings: SamplingSettings | undefined): Promise<T> {
  if (settings === undefined) return agent;
  const {stopStrings} = settings;
  if (stopStrings.length > 0) {
    if (agent.text.tokenBytes === undefined)
      throw new IlrError(
        'ILR_UNSUPPORTED',
        `${agent.name}: stop strings need AgentText.tokenBytes, which this agent's text does not have; use stop ids`,
      );
    await agent.policy.setTokenBytes(agent.text.tokenBytes());
  }
  return {...agent, sampling: samplingOptions(agent.text, settings), stopIds: settings.stopIds};
}

/** Settings in the policy's terms: texts become token ids. What changes nothing is left out. */
export function samplingOptions(text: AgentText, settings: SamplingSettings): SamplingOptions {
  const {topK, topP, minP, repetitionPenalty, logitBias, badWords, stopStrings} = settings;
  const biased = Object.entries(logitBias);
  const words = badWords.flatMap((word) =>
    typeof word === 'string' ? waysToWrite(text, word) : [Int32Array.from(word)],
  );
  return {
    ...(topK > 0 && {topK}),
    ...(topP < 1 && {topP}),
    ...(minP > 0 && {minP}),
    ...(repetitionPenalty !== 1 && {repetitionPenalty}),
    ...(biased.length > 0 && {
      logitBias: {
        ids: Int32Array.from(biased, ([id]) => Number(id)),
        values: Float64Array.from(biased, ([, bias]) => bias),
      },
    }),
    ...(words.length > 0 && {badWords: ragged(words)}),
    ...(stopStrings.length > 0 && {stopStrings}),
  };
}

/** At the start of a text and inside of it, as vLLM's `bad_words`. */
function waysToWrite(text: AgentText, word: string): Int32Array[] {
  const [bare, spaced] = [text.encode(word.trimStart()), text.encode(` ${word.trimStart()}`)] as [
    Int32Array,
    Int32Array,
  ];
  const isNew = spaced[0] !== bare[0] && spaced.length === bare.length;
  return [bare, ...(isNew ? [spaced] : [])].filter((ids) => ids.length > 0);
}

/** Names of the options by which what is drawn differs from softmax(logits / temperature), which is all that training and log-probs know of. */
export function changesOf(options: SamplingOptions = {}): (keyof SamplingOptions)[] {
  const {topK = 0, topP = 1, minP = 0, repetitionPenalty = 1, logitBias, badWords} = options;
  const changes = {
    topK: topK > 0,
    topP: topP < 1,
    minP: minP > 0,
    repetitionPenalty: repetitionPenalty !== 1,
    logitBias: (logitBias?.ids.length ?? 0) > 0,
    badWords: (badWords?.ids.length ?? 0) > 0,
  };
  return (Object.keys(changes) as (keyof typeof changes)[]).filter((name) => changes[name]);
}

/** What a completion says: its text, up to the stop string where one ended it. */
export function textOf(text: AgentText, completion: {readonly ids: Int32Array; readonly textBytes?: number}): string {
  const {ids, textBytes} = completion;
  const all = text.decode(ids);
  if (textBytes === undefined || text.tokenBytes === undefined) return all;
  const {bytes, offsets} = text.tokenBytes();
  // An id that the tokenizer lacks (a model's vocabulary may be padded) is nothing.
  const parts = [...ids].map((id) => bytes.subarray(offsets[id] ?? bytes.length, offsets[id + 1]));
  const before = Buffer.concat(parts).subarray(0, textBytes).toString();
  // A decoder may take the space off the start of a text.
  return before.startsWith(' ') && !all.startsWith(' ') ? before.slice(1) : before;
}
