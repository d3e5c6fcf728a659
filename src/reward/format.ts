import type {RewardInput, ScoreFunction} from '../types.js';
import {boxedAnswer} from './boxed-answer.js';

/** One of the three. */
export interface FormatOptions {
  /** A filled `\boxed{}`. */
  readonly box?: boolean;
  /** `[think, answer]`: `<think>…</think><answer>…</answer>` and nothing else, each once, blanks aside. */
  readonly tags?: readonly string[];
  /** A regular expression (flags `su`) that the text has to match somewhere; anchors are the pattern's own matter. */
  readonly pattern?: string;
}

/** A longer text has no form: a bound on what a pattern is run on, not on what it does there. */
const maxText = 100_000;

/** 1 where an answer has the asked form and ended by itself, else 0. Well-formed is what has it; of what is correct it says nothing. */
export function formatReward(options: FormatOptions): ScoreFunction {
  const hasForm = formOf(options);
  return (input) => {
    const isWellFormed = input.completion.finishReason === 'stop' && hasForm(input);
    return {isWellFormed, reward: isWellFormed ? 1 : 0};
  };
}

function formOf({tags, pattern}: FormatOptions): (input: RewardInput) => boolean {
  if (tags !== undefined) return ({text}) => text.length <= maxText && hasTags(text, tags);
  if (pattern === undefined) return (input) => boxedAnswer(input) !== undefined;
  const expression = new RegExp(pattern, 'su');
  return ({text}) => text.length <= maxText && expression.test(text);
}

/** One pass: as open-r1's format and tag-count rewards in one, without a regular expression that could backtrack. */
function hasTags(text: string, tags: readonly string[]): boolean {
  let rest = text;
  for (const tag of tags) {
    const [open, close] = [`<${tag}>`, `</${tag}>`];
    const end = rest.indexOf(close);
    if (end < 0 || !rest.trimStart().startsWith(open)) return false;
    const inside = rest.slice(rest.indexOf(open) + open.length, end);
    if (tags.some((other) => inside.includes(`<${other}>`) || inside.includes(`</${other}>`))) return false;
    rest = rest.slice(end + close.length);
  }
  return rest.trim() === '';
}
