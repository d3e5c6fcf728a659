import type {RunConfig} from '../config.js';
import {IlrError} from '../errors.js';
import type {Completion} from '../policy.js';
import {Random, streamOf} from '../random.js';
import {textOf} from '../sampling.js';
import {mean, midRanks, spearman, sum} from '../statistics.js';
import type {Agent, DifficultyTable, Question} from '../types.js';
import {letterOf, type Prompts, rankPrompt} from './prompts.js';
import {everyAgent, type Progress, sample} from './rollout.js';

export interface RankingOptions {
  readonly seed: number;
  readonly prompts: Prompts;
  readonly difficulty: RunConfig['difficulty'];
  readonly signal?: AbortSignal;
  readonly onProgress?: (agent: Agent) => Progress;
}

interface Ranking {
  /** [questions] mean place in [0, 1] over the lists that parsed; undefined where none did. */
  readonly places: readonly (number | undefined)[];
  readonly parsed: number;
  readonly lists: number;
}

/**
D_q by self-ranking: every agent orders shuffled lists of questions from easiest to hardest; places are averaged over the lists and
pooled over the agents, then replaced by their mid-rank: D_q = (mid-rank − 0.5) / M.

@throws IlrError `ILR_DIFFICULTY` when fewer than half of the rankings are permutations of their list.
Departure: list size, rounds and pooling are unknown in the paper; after DSC, arXiv 2408.13457.
*/
export async function rankDifficulties(
  agents: readonly Agent[],
  questions: readonly Question[],
  options: RankingOptions,
): Promise<DifficultyTable> {
  const rankings = await everyAgent(agents, (agent, index) => rankByAgent(agent, index, questions, options));
  const parseRate = sum(rankings.map((r) => r.parsed)) / Math.max(1, sum(rankings.map((r) => r.lists)));
  if (parseRate < 0.5) {
    throw new IlrError(
      'ILR_DIFFICULTY',
      `Expected at least half of the agents’ self-rankings to be permutations of their list, got ${(100 * parseRate).toFixed(1)} %. ` +
        'Try difficulty.estimator: pass-rate (sampled solo pass rates) or field (the `level` of each question), or a smaller difficulty.listSize.',
    );
  }
  const pooled = questions.map((_, q) => {
    const places = rankings.map((r) => r.places[q]).filter((place) => place !== undefined);
    return places.length === 0 ? 0.5 : mean(places);
  });
  return table('self-ranking', questions, pooled, parseRate);
}

/** D_q by sampled solo pass rates [agents][questions]: the mid-rank of 1 − their mean. */
export function difficultiesFromPassRates(
  questions: readonly Question[],
  passRates: readonly (readonly number[])[],
): DifficultyTable {
  const failure = questions.map((_, q) => 1 - mean(passRates.map((rates) => rates[q] as number)));
  return table('pass-rate', questions, failure, 1);
}

/** D_q by the mid-rank of each question's `level`. */
export function difficultiesFromLevels(questions: readonly Question[]): DifficultyTable {
  const levels = questions.map(({id, level}) => {
    if (level !== undefined) return level;
    throw new IlrError(
      'ILR_DIFFICULTY',
      `Expected a level on every question for difficulty.estimator: field, got none on question ${id}. ` +
        'Check data.fields.level, or try self-ranking or pass-rate.',
    );
  });
  return table('field', questions, levels, 1);
}

/**
The order that a reply to `rankPrompt` gives: numbers 1..B, or letters, or digits without anything between them.

@returns [B] 0-based questions from easiest to hardest; undefined unless it is a full permutation.
*/
export function parseRanking(reply: string, size: number): number[] | undefined {
  const text = reply.slice(0, 10_000);
  const numbers = (text.match(/\d+/g) ?? []).map((digits) => Number(digits) - 1);
  const digits = size <= 9 ? (text.match(/\d/g) ?? []).map((digit) => Number(digit) - 1) : [];
  const letters = (text.match(/\b[A-Z]\b/g) ?? []).map((letter) => letter.charCodeAt(0) - letterOf(0).charCodeAt(0));
  return [numbers, digits, letters].find((order) => isPermutation(order, size));
}

async function rankByAgent(
  agent: Agent,
  index: number,
  questions: readonly Question[],
  options: RankingOptions,
): Promise<Ranking> {
  const {seed, difficulty} = options;
  const lists = Array.from({length: difficulty.rounds}, (_, round) => {
    const order = new Random({seed, purpose: 'difficulty', agent: index, step: round}).shuffle([...questions.keys()]);
    return chunks(order, difficulty.listSize);
  }).flat();
  const contextLength = agent.policy.info().contextLength;
  const asked = lists
    .map((list, i) => ({
      list,
      promptIds: agent.text.promptIds(
        rankPrompt(
          agent,
          options.prompts,
          list.map((q) => questions[q] as Question),
        ),
      ),
      streams: [streamOf({seed, purpose: 'difficulty', agent: index, sample: i})],
    }))
    .filter(({promptIds}) => promptIds.length < contextLength);
  const replies = await sample(agent, asked, {
    maxNewTokens: difficulty.maxNewTokens,
    isGreedy: true,
    signal: options.signal,
    onProgress: options.onProgress?.(agent),
  });
  const places = questions.map((): number[] => []);
  let parsed = 0;
  asked.forEach(({list}, i) => {
    const order = parseRanking(textOf(agent.text, replies[i]?.[0] as Completion), list.length);
    if (order === undefined) return;
    parsed++;
    order.forEach((item, place) => {
      places[list[item] as number]?.push(place / (list.length - 1));
    });
  });
  return {places: places.map((p) => (p.length === 0 ? undefined : mean(p))), parsed, lists: lists.length};
}

function table(
  estimator: DifficultyTable['estimator'],
  questions: readonly Question[],
  scores: readonly number[],
  parseRate: number,
): DifficultyTable {
  const ranks = midRanks(scores);
  const difficulties = questions.map(({id}, q) => [id, ((ranks[q] as number) - 0.5) / questions.length] as const);
  const levels = questions.map((question) => question.level).filter((level) => level !== undefined);
  const correlation = levels.length === questions.length ? spearman(scores, levels) : Number.NaN;
  return {
    estimator,
    difficulties: Object.fromEntries(difficulties),
    parseRate,
    ...(Number.isNaN(correlation) ? {} : {levelCorrelation: correlation}),
  };
}

/** Lists of `size`; a last list of one question says nothing and goes. */
function chunks(order: readonly number[], size: number): number[][] {
  const out: number[][] = [];
  for (let i = 0; i + 1 < order.length; i += size) out.push(order.slice(i, i + size));
  return out;
}

function isPermutation(order: readonly number[], size: number): boolean {
  return order.length === size && new Set(order).size === size && order.every((item) => item >= 0 && item < size);
}
