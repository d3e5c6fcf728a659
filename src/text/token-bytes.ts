import {IlrError} from '../errors.js';
import type {TokenBytes} from '../policy.js';

interface DecoderStep {
  readonly type?: string;
  readonly decoders?: readonly DecoderStep[];
  readonly pattern?: {readonly String?: string};
  readonly content?: string;
  readonly replacement?: string;
  readonly stop?: number;
}

/**
What each token writes in the middle of a text, so that stop strings can be found in the bytes of tokens. What a decoder does to the start of a
text (a leading space taken off) does not show in it.

@param tokens - [ids] a token's string in the vocabulary; nothing where an id has none.
@param skipped - Ids that write nothing: special tokens.
@param decoder - Of tokenizer.json.
@throws IlrError `ILR_UNSUPPORTED` where what a token writes depends on more than the token.
*/
export function tokenBytesOf(
  tokens: readonly (string | undefined)[],
  skipped: ReadonlySet<number>,
  decoder: unknown,
): TokenBytes {
  const write = writerOf(stepsOf(decoder as DecoderStep | null | undefined));
  const parts: Uint8Array[] = [];
  const offsets = new Int32Array(tokens.length + 1);
  for (let id = 0; id < tokens.length; id++) {
    const token = tokens[id];
    const part = token === undefined || skipped.has(id) ? new Uint8Array() : write(token);
    parts.push(part);
    offsets[id + 1] = (offsets[id] as number) + part.length;
  }
  return {bytes: new Uint8Array(Buffer.concat(parts)), offsets};
}

function stepsOf(decoder: DecoderStep | null | undefined): readonly DecoderStep[] {
  if (decoder == null) return [{}];
  return decoder.type === 'Sequence' ? (decoder.decoders ?? []).flatMap(stepsOf) : [decoder];
}

function writerOf(steps: readonly DecoderStep[]): (token: string) => Uint8Array {
  const texts: ((token: string) => string)[] = [];
  let isByteLevel = false;
  let hasByteFallback = false;
  for (const step of steps) {
    const {type, pattern, content = '', replacement = '▁', stop = 0} = step;
    if (type === 'ByteLevel') isByteLevel = true;
    else if (type === 'ByteFallback') hasByteFallback = true;
    else if (type === 'Metaspace') texts.push((token) => token.replaceAll(replacement, ' '));
    else if (type === 'Replace' && typeof pattern?.String === 'string') {
      const from = pattern.String;
      texts.push((token) => token.replaceAll(from, content));
    } else if (type !== 'Fuse' && !(type === 'Strip' && stop === 0)) throw unsupported(step);
  }
  return (token) => {
    const byte = hasByteFallback ? /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1] : undefined;
    if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
    const text = texts.reduce((result, change) => change(result), token);
    return (isByteLevel ? byteLevel(text) : undefined) ?? Buffer.from(text);
  };
}

function unsupported(step: DecoderStep): IlrError {
  return new IlrError(
    'ILR_UNSUPPORTED',
    `stop strings need a tokenizer whose decoder is made of ByteLevel, Metaspace, Replace (of a string), ByteFallback, Fuse and Strip, got ${JSON.stringify(step.type ?? null)}; use stop ids`,
  );
}

/** GPT-2's way to show a byte as a character: printable ones as they are, the others from U+0100 on. */
const byteOfCharacter: ReadonlyMap<string, number> = (() => {
  const isShown = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return new Map(
    Array.from({length: 256}, (_, byte) => [String.fromCodePoint(isShown(byte) ? byte : next++), byte] as const),
  );
})();

/** As the library does it: a token with a character that stands for no byte is its own UTF-8. */
function byteLevel(token: string): Uint8Array | undefined {
  const bytes: number[] = [];
  for (const character of token) {
    const byte = byteOfCharacter.get(character);
    if (byte === undefined) return undefined;
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
