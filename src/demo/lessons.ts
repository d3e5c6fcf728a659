import {fusionPrompt, letterOf, type Prompts, rankPrompt, sharePrompt} from '../interact/prompts.js';
import type {Random} from '../random.js';
import type {TinyTokenizer} from '../text/tiny-tokenizer.js';
import type {Agent, Message, Strategy} from '../types.js';
import {drawLevel, drawSum, questionOf} from './curriculum.js';
import {firstDifference, fuse, type Learner, type Line, solve} from './habits.js';
import {operationText, type Sum} from './sums.js';
import {encodeWords} from './vocabulary.js';

/** A chat to be learned from: ids, and 1 where the agent itself speaks. */
export interface Lesson {
  readonly ids: Int32Array;
  readonly mask: Uint8Array;
}

/** Whom a teacher lets an agent talk with. */
export type Partner = 'peer' | 'itself' | 'copy';

export interface Classroom {
  readonly agent: Agent;
  readonly learner: Learner;
  readonly peer: Learner;
  readonly prompts: Prompts;
  readonly tokenizer: TinyTokenizer;
  readonly random: Random;
}

/** Questions in a list to be ranked. */
const rankedQuestions = 4;

/** One worked answer, from the prompt of a test. */
export function soloLesson({agent, learner, prompts, tokenizer, random}: Classroom): Lesson {
  const sum = drawTrainingSum(random);
  return chat(tokenizer, [
    ...sharePrompt(agent, prompts, questionOf(sum)),
    said(tokenizer, solutionText(solve(random, learner, sum))),
  ]);
}

/**
A whole dialogue: share, analyse, fuse. The partner is the peer, another attempt of the agent itself, or a copy of its own idea: an agent that only
ever met a helpful peer would learn that the second answer is the right one, and not look at the peer.
*/
export function dialogueLesson(
  {agent, learner, peer, prompts, tokenizer, random}: Classroom,
  partner: Partner,
  strategy: Strategy,
): Lesson {
  const sum = drawTrainingSum(random);
  const own = solve(random, learner, sum);
  const theirs = partner === 'copy' ? own : solve(random, partner === 'peer' ? peer : learner, sum);
  const conversation = {
    question: questionOf(sum),
    strategy,
    idea: wordIds(tokenizer, solutionText(own)),
    peers: [{agent: 1, text: solutionText(theirs)}],
    analysis: wordIds(tokenizer, analysisText(own, theirs, strategy)),
  };
  const fused = fuse(random, learner, sum, {own, peer: theirs});
  return chat(tokenizer, [...fusionPrompt(agent, prompts, conversation), said(tokenizer, solutionText(fused))]);
}

/** A list of questions and its order from easiest to hardest; questions of one level stay in the order of the list. */
export function rankingLesson({agent, prompts, tokenizer, random}: Classroom): Lesson {
  const questions = Array.from({length: rankedQuestions}, () => questionOf(drawTrainingSum(random)));
  const order = [...questions.keys()].sort((a, b) => (questions[a]?.level ?? 0) - (questions[b]?.level ?? 0));
  return chat(tokenizer, [...rankPrompt(agent, prompts, questions), said(tokenizer, order.map(letterOf).join(' '))]);
}

/** `49-6=43-7=36\boxed{36}` */
export function solutionText(lines: readonly Line[]): string {
  const chain = lines.map((line) => `${operationText(line)}=${line.after}`).join('');
  return `${lines[0]?.before}${chain}\\boxed{${lines.at(-1)?.after}}`;
}

/** The first line where two ideas part, and which of its results to take, or to drop. */
export function analysisText(own: readonly Line[], peer: readonly Line[], strategy: Strategy): string {
  const difference = firstDifference(own, peer);
  if (difference === undefined) return 'We agree.';
  const [mine, theirs] = difference;
  const right = rightOf(mine) === theirs.after ? theirs.after : mine.after;
  const wrong = right === mine.after ? theirs.after : mine.after;
  const verdict = strategy === 'cooperative' ? `Take ${right}` : `Drop ${wrong}`;
  return `At ${mine.before}${operationText(mine)}: mine ${mine.after}, peer ${theirs.after}. ${verdict}.`;
}

function rightOf({before, sign, operand}: Line): number {
  return sign === '+' ? before + operand : before - operand;
}

function drawTrainingSum(random: Random): Sum {
  return drawSum(random, 'train', drawLevel(random));
}

function said(tokenizer: TinyTokenizer, text: string): Message {
  return {role: 'assistant', content: [wordIds(tokenizer, text)]};
}

function wordIds(tokenizer: TinyTokenizer, text: string): Int32Array {
  return Int32Array.from(encodeWords(tokenizer, text));
}

/** The ids of `messages` in the tiny chat template. */
function chat(tokenizer: TinyTokenizer, messages: readonly Message[]): Lesson {
  const ids: number[] = [];
  const mask: (0 | 1)[] = [];
  const add = (added: Iterable<number>, isOwn: boolean) => {
    for (const id of added) {
      ids.push(id);
      mask.push(isOwn ? 1 : 0);
    }
  };
  for (const {role, content} of messages) {
    const isOwn = role === 'assistant';
    add([isOwn ? tokenizer.ids.assistant : tokenizer.ids.user], false);
    for (const part of content) add(typeof part === 'string' ? encodeWords(tokenizer, part) : part, isOwn);
    add([tokenizer.ids.end], isOwn);
  }
  return {ids: Int32Array.from(ids), mask: Uint8Array.from(mask)};
}
