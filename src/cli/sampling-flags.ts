import {type Command, InvalidArgumentError} from 'commander';
import type {SamplingSettings} from '../config-sampling.js';
import {collect, count} from './options.js';

/** What the flags below leave in commander's options. */
export interface SamplingFlags {
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly logitBias?: Readonly<Record<string, number>>;
  readonly badWord?: readonly string[];
  readonly stop?: readonly string[];
  readonly stopId?: readonly number[];
}

/** Adds the flags that say how an answer is drawn. */
export function addSamplingFlags(command: Command): Command {
  return command
    .option('--top-k <count>', 'draw from the k most likely tokens; 0: all', count)
    .option('--top-p <mass>', 'draw from the fewest most likely tokens that hold this mass, such as 0.95', share(false))
    .option(
      '--min-p <share>',
      'leave out tokens less likely than this share of the most likely one, such as 0.05',
      share(true),
    )
    .option(
      '--repetition-penalty <factor>',
      'above 1: what stands in prompt or answer becomes less likely, such as 1.1',
      penalty,
    )
    .option('--logit-bias <id=bias>', 'add to the logit of a token; may be repeated', bias)
    .option('--bad-word <text>', 'never write it in its usual tokens; may be repeated', collect)
    .option('--stop <text>', 'end before this text; may be repeated', collect)
    .option('--stop-id <id>', 'end with this token, too; may be repeated', ids)
    .addHelpText(
      'after',
      `
The next token's logits are changed in this order, as in transformers: logit bias, repetition penalty, bad words, temperature, top-k, top-p,
min-p. At temperature 0 the most likely token is taken, and top-k, top-p and min-p change nothing.`,
    );
}

/** The settings that were given, in the words of the configuration. */
export function samplingOf(flags: SamplingFlags): Partial<SamplingSettings> {
  const {topK, topP, minP, repetitionPenalty, logitBias, badWord, stop, stopId} = flags;
  return {
    ...(topK !== undefined && {topK}),
    ...(topP !== undefined && {topP}),
    ...(minP !== undefined && {minP}),
    ...(repetitionPenalty !== undefined && {repetitionPenalty}),
    ...(logitBias !== undefined && {logitBias: {...logitBias}}),
    ...(badWord !== undefined && {badWords: [...badWord]}),
    ...(stop !== undefined && {stopStrings: [...stop]}),
    ...(stopId !== undefined && {stopIds: [...stopId]}),
  };
}

function share(mayBeZero: boolean): (text: string) => number {
  return (text) => {
    const value = numberOf(text);
    if (value <= 1 && (mayBeZero ? value >= 0 : value > 0)) return value;
    throw new InvalidArgumentError(
      mayBeZero ? 'Expected a number from 0 to 1.' : 'Expected a number above 0, up to 1.',
    );
  };
}

function penalty(text: string): number {
  const value = numberOf(text);
  if (value >= 0.01 && value <= 100) return value;
  throw new InvalidArgumentError('Expected a number from 0.01 to 100; 1 changes nothing.');
}

function bias(text: string, earlier: Readonly<Record<string, number>> = {}): Readonly<Record<string, number>> {
  const [, id, value] = /^(\d+)=(.+)$/.exec(text) ?? [];
  if (id !== undefined && Math.abs(numberOf(value)) <= 1e4) return {...earlier, [id]: numberOf(value)};
  throw new InvalidArgumentError('Expected a token id, = and a number from -10000 to 10000, such as 42=-5.');
}

function ids(text: string, earlier: readonly number[] = []): readonly number[] {
  return [...earlier, count(text)];
}

function numberOf(text = ''): number {
  return text.trim() === '' ? Number.NaN : Number(text);
}
