import {IlrError} from '../errors.js';
import type {TinyTokenizer} from '../text/tiny-tokenizer.js';

/** The tiny agents' whole language: digits, signs, and the words of recipes/tiny.yaml and of the lessons. */
export const specials = {user: '<|user|>', assistant: '<|assistant|>', end: '<|end|>'} as const;

export const pieces: readonly string[] = [
  ...'0123456789+-=',
  // A whole operation is one word: a result then hangs on two tokens, its value's last digit and the operation.
  ...[...'23456789'].flatMap((operand) => [`+${operand}`, `-${operand}`]),
  '\\boxed{',
  '}',
  'Peer: ',
  '\n',
  'Cooperate.',
  'Compete.',
  'Final?',
  'At ',
  ': mine ',
  ', peer ',
  '. Take ',
  '. Drop ',
  'We agree.',
  '.',
  'Rank:',
  ...'ABCD',
  ' ',
];

const longestFirst = [...pieces].sort((a, b) => b.length - a.length);
const pattern = new RegExp(longestFirst.map((piece) => piece.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|'), 'y');

/**
Ids of a text in the demo's own words: what the agents' tokenizer gives for them (a test holds the two equal), at a hundredth of the time,
since a warm start reads some ten thousand dialogues.
*/
export function encodeWords(tokenizer: TinyTokenizer, text: string): number[] {
  const ids: number[] = [];
  for (let at = 0; at < text.length; at = pattern.lastIndex) {
    pattern.lastIndex = at;
    const piece = pattern.exec(text)?.[0];
    const id = piece === undefined ? undefined : tokenizer.vocab.get(piece);
    if (id === undefined) {
      throw new IlrError(
        'ILR_INVALID_CONFIG',
        `The demo's agents know ${pieces.length} words, none of which begins ${JSON.stringify(text.slice(at))}. ` +
          'Keep dialogue.prompts to the words of src/demo/vocabulary.ts.',
      );
    }
    ids.push(id);
  }
  return ids;
}
