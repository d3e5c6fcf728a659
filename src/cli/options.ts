import {InvalidArgumentError} from 'commander';

/** Readers of options for commander: what is not as expected is said in its way, before anything is opened. */

export function positive(text: string): number {
  return whole(text, 1);
}

export function count(text: string): number {
  return whole(text, 0);
}

function whole(text: string, least: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw new InvalidArgumentError(`Expected a whole number of at least ${least}.`);
}

export function temperature(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError('Expected a number of at least 0.');
}

export function device(text: string): string {
  if (/^(auto|cpu|cuda(:\d+)?)$/.test(text)) return text;
  throw new InvalidArgumentError('Expected auto, cpu, cuda or cuda:N.');
}

/** For options that may be given several times. */
export function collect(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, text];
}
