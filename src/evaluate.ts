import type {RunConfig} from './config.js';
import {IlrError} from './errors.js';
import {type DebateAnswer, debate} from './interact/debate.js';
import {difficultiesFromLevels, difficultiesFromPassRates, rankDifficulties} from './interact/difficulty.js';
import {analyse, fuse, type Idea3Options, share} from './interact/idea3.js';
import {sharePrompt} from './interact/prompts.js';
import {everyAgent, type Progress, sample, streamNames} from './interact/rollout.js';
import {type Purpose, streamOf} from './random.js';
import {withRelay} from './relay.js';
import {gradeGroup} from './reward/grade.js';
import {millisecondsOf} from './reward/reward.js';
import type {Watch} from './reward/watch.js';
import {textOf} from './sampling.js';
import {mean, sum} from './statistics.js';
import type {
  Agent,
  DifficultyTable,
  Group,
  Question,
  RewardFunction,
  SoloEvaluation,
  Strategy,
  UngradedGroup,
} from './types.js';

export interface EvaluateOptions {
  readonly config: Pick<RunConfig, 'seed' | 'dialogue' | 'reward'>;
  readonly reward: RewardFunction;
  readonly signal?: AbortSignal;
  readonly onProgress?: (agent: Agent) => Progress;
  readonly onWarning?: (message: string) => void;
  /** Told of all that is graded. */
  readonly watch?: Watch;
}

export interface SoloOptions extends EvaluateOptions {
  /** The agent's place in the run: its draws depend on it. */
  readonly agentIndex?: number;
  /** Sampled answers per question, at the agent's temperature. */
  readonly samples: number;
  /** Leave the greedy answer out. */
  readonly isSampledOnly?: boolean;
  readonly purpose?: Extract<Purpose, 'eval' | 'ability' | 'difficulty'>;
}

/** An agent alone, with the prompt of sharing. What cannot be graded counts as wrong. The draws do not depend on the step. */
export async function evaluateSolo(
  agent: Agent,
  questions: readonly Question[],
  options: SoloOptions,
): Promise<SoloEvaluation> {
  const greedy = options.isSampledOnly ? [] : await answerAlone(agent, questions, {...options, samples: 1}, true);
  const sampled = options.samples === 0 ? [] : await answerAlone(agent, questions, options, false);
  return {
    agent: agent.name,
    questionIds: questions.map((question) => question.id),
    greedy: greedy.map(accuracyOf),
    sampled: sampled.map(accuracyOf),
    wellFormed: mean((options.isSampledOnly ? sampled : greedy).map(wellFormedShareOf)),
  };
}

export interface FusionOptions extends EvaluateOptions {
  /** Greedy in every stage, or sampled once. */
  readonly isGreedy: boolean;
  /** Control: the peers' ideas are replaced by copies of the agent's own, so that what fusion loses was the peers'. */
  readonly shouldCopyOwn?: boolean;
  /** From 0: sampled dialogues of other rounds are drawn apart. */
  readonly round?: number;
}

export interface FusionEvaluation {
  readonly agent: string;
  readonly questionIds: readonly string[];
  /** [questions] 1 where the shared idea is correct. */
  readonly solo: readonly number[];
  /** [questions] 1 where the fused answer is correct; 0 where the dialogue did not fit. */
  readonly fusion: readonly number[];
  readonly wellFormed: number;
  readonly groups: readonly Group[];
}

/** Whole dialogues, one per question and agent, with given strategies [N][Q]. */
export async function evaluateFusion(
  agents: readonly Agent[],
  questions: readonly Question[],
  strategies: readonly (readonly Strategy[])[],
  options: FusionOptions,
): Promise<FusionEvaluation[]> {
  const {config, signal, onProgress, onWarning, isGreedy, shouldCopyOwn, round} = options;
  const idea3: Idea3Options = {
    seed: config.seed,
    dialogue: config.dialogue,
    groupSize: 1,
    isGreedy,
    shouldCopyOwn,
    round,
    signal,
    onProgress,
    onWarning,
  };
  const ideas = await share(
    agents,
    agents.map(() => questions),
    idea3,
  );
  const discussions = await analyse(agents, ideas, strategies, idea3);
  const fused = await fuse(agents, discussions, streamNames(questions), idea3);
  return everyAgent(agents, async (agent, index) => {
    const solo = await gradeAll(ideas[index] as UngradedGroup[], options);
    const fusion = await gradeAll(fused[index] as (UngradedGroup | undefined)[], options);
    const groups = fusion.filter((group) => group !== undefined);
    return {
      agent: agent.name,
      questionIds: questions.map((question) => question.id),
      solo: solo.map(accuracyOf),
      fusion: fusion.map((group) => (group === undefined ? 0 : accuracyOf(group))),
      wellFormed: mean(groups.map(wellFormedShareOf)),
      groups,
    };
  });
}

export interface DebateOptions extends EvaluateOptions {
  /** Greedy in every round, or sampled. */
  readonly isGreedy: boolean;
  /** Revisions after the first answers. */
  readonly rounds: number;
  /** Which one of independent sampled debates this is; 0 when left out. */
  readonly sample?: number;
}

export interface DebateEvaluation {
  readonly agent: string;
  readonly questionIds: readonly string[];
  /** [rounds + 1][questions] 1 where the answer is correct after so many revisions; one that did not fit leaves the answer before it. */
  readonly rounds: readonly (readonly number[])[];
  /** [rounds + 1][questions] The very group of the round before where the answer stands. */
  readonly groups: readonly (readonly Group[])[];
  /** Of the last answers. */
  readonly wellFormed: number;
  /** [questions] that the agent wrote in all rounds. */
  readonly tokens: readonly number[];
}

/** Whole debates, one per question. The vote over the agents' last answers is the caller's: `Rollout.answer` of `groups`. */
export async function evaluateDebate(
  agents: readonly Agent[],
  questions: readonly Question[],
  options: DebateOptions,
): Promise<DebateEvaluation[]> {
  const {config, signal, onProgress, onWarning, isGreedy, rounds, sample} = options;
  const {seed, dialogue} = config;
  const held = await debate(agents, questions, {
    ...{seed, dialogue, rounds, sample, isGreedy},
    ...{signal, onProgress, onWarning},
  });
  return everyAgent(agents, async (agent, index) => {
    const answers = held.map((round) => round[index] as DebateAnswer[]);
    const distinct = [...new Set(answers.flat())];
    const graded = await gradeAll(distinct, options);
    const groupOf = new Map(distinct.map((answer, i) => [answer, graded[i] as Group]));
    const groups = answers.map((round) => round.map((answer) => groupOf.get(answer) as Group));
    return {
      agent: agent.name,
      questionIds: questions.map((question) => question.id),
      rounds: groups.map((round) => round.map(accuracyOf)),
      groups,
      wellFormed: mean((groups.at(-1) ?? []).map(wellFormedShareOf)),
      tokens: questions.map((_, q) => sum([...new Set(groups.map((round) => round[q] as Group))].map(tokensOf))),
    };
  });
}

/** D_q of `questions` by the configured estimator. */
export async function measureDifficulty(
  agents: readonly Agent[],
  questions: readonly Question[],
  options: EvaluateOptions & {readonly config: Pick<RunConfig, 'difficulty'>},
): Promise<DifficultyTable> {
  const {config, signal, onProgress} = options;
  switch (config.difficulty.estimator) {
    case 'self-ranking':
      return rankDifficulties(agents, questions, {
        seed: config.seed,
        prompts: config.dialogue.prompts,
        difficulty: config.difficulty,
        signal,
        onProgress,
      });
    case 'pass-rate':
      return difficultiesFromPassRates(
        questions,
        await samplePassRates(agents, questions, config.difficulty.samples, 'difficulty', options),
      );
    case 'field':
      return difficultiesFromLevels(questions);
  }
}

/** [N] γ: greedy accuracy on validation questions, or, for `ema`, a sampled pass rate, to be of one kind with what refreshes it. */
export async function measureAbilities(
  agents: readonly Agent[],
  questions: readonly Question[],
  options: EvaluateOptions & {readonly config: Pick<RunConfig, 'ability'>},
): Promise<number[]> {
  if (options.config.ability.refresh === 'ema') {
    return (await samplePassRates(agents, questions, 1, 'ability', options)).map(mean);
  }
  const results = await everyAgent(agents, (agent, agentIndex) =>
    evaluateSolo(agent, questions, {...options, agentIndex, samples: 0, purpose: 'ability'}),
  );
  return results.map((result) => mean(result.greedy));
}

/** Grades groups in order; a dialogue that was not held stays undefined. */
export function gradeAll<T extends UngradedGroup | undefined>(
  groups: readonly T[],
  options: EvaluateOptions,
): Promise<(T extends UngradedGroup ? Group : undefined)[]>;
export async function gradeAll(
  groups: readonly (UngradedGroup | undefined)[],
  {reward, config, signal, watch}: EvaluateOptions,
): Promise<(Group | undefined)[]> {
  const {share, fuse} = config.dialogue.maxNewTokens;
  const {options, timeoutSeconds} = config.reward;
  const given = {reward, weights: config.reward, timeoutMs: millisecondsOf(timeoutSeconds), options};
  const graded = await withRelay(signal, (relay) => {
    const gradeOne = (group: UngradedGroup) =>
      gradeGroup(group, {...given, signal: relay.signal, maxNewTokens: group.stage === 'solo' ? share : fuse});
    return Promise.all(groups.map(async (group) => group && gradeOne(group)));
  });
  watch?.(graded);
  return graded;
}

/**
Checks that each question leaves an agent room to answer.

@throws IlrError `ILR_INVALID_DATA` naming the question whose solo prompt fills the context.
*/
export function requirePromptsFit(
  agents: readonly Agent[],
  questions: readonly Question[],
  {prompts}: RunConfig['dialogue'],
): void {
  for (const agent of agents) {
    const {contextLength} = agent.policy.info();
    const words = Buffer.byteLength(prompts.share) + Buffer.byteLength(agent.systemPrompt ?? '');
    for (const question of questions) {
      // Tokenizers write fewer tokens than bytes, so that only long questions must be tokenised to know.
      if (words + Buffer.byteLength(question.text) < contextLength / 2) continue;
      const {length} = agent.text.promptIds(sharePrompt(agent, prompts, question));
      if (length < contextLength) continue;
      throw new IlrError(
        'ILR_INVALID_DATA',
        `Expected prompts of fewer than ${contextLength} tokens, the context of ${agent.name}, got ${length} for question ${question.id}. ` +
          'Remove it, or use a model with a longer context.',
      );
    }
  }
}

/** Share of a group's rollouts that are correct. */
function accuracyOf(group: Group): number {
  return mean(group.rollouts.map((rollout) => (rollout.isCorrect ? 1 : 0)));
}

function tokensOf(group: Group): number {
  return sum(group.rollouts.map(({completion}) => completion.ids.length));
}

function wellFormedShareOf(group: Group): number {
  return mean(group.rollouts.map((rollout) => (rollout.isWellFormed ? 1 : 0)));
}

async function samplePassRates(
  agents: readonly Agent[],
  questions: readonly Question[],
  samples: number,
  purpose: 'ability' | 'difficulty',
  options: EvaluateOptions,
): Promise<(readonly number[])[]> {
  const results = await everyAgent(agents, (agent, agentIndex) =>
    evaluateSolo(agent, questions, {...options, agentIndex, samples, isSampledOnly: true, purpose}),
  );
  return results.map((result) => result.sampled);
}

/** [questions] the graded answers that `evaluateSolo` counts: the greedy one, or `samples` drawn ones. */
export async function answerAlone(
  agent: Agent,
  questions: readonly Question[],
  options: SoloOptions,
  isGreedy: boolean,
): Promise<Group[]> {
  const {config, agentIndex = 0, purpose = 'eval', samples} = options;
  const keys = streamNames(questions);
  const asks = questions.map((question, q) => ({
    promptIds: agent.text.promptIds(sharePrompt(agent, config.dialogue.prompts, question)),
    streams: Array.from({length: samples}, (_, k) =>
      streamOf({seed: config.seed, purpose, agent: agentIndex, question: keys[q], sample: k}),
    ),
  }));
  const completions = await sample(agent, asks, {
    maxNewTokens: config.dialogue.maxNewTokens.share,
    isGreedy,
    signal: options.signal,
    onProgress: options.onProgress?.(agent),
  });
  const groups = questions.map((question, q) => ({
    question,
    agent: agentIndex,
    stage: 'solo' as const,
    promptIds: asks[q]?.promptIds as Int32Array,
    completions: completions[q] ?? [],
    texts: (completions[q] ?? []).map((completion) => textOf(agent.text, completion)),
  }));
  return gradeAll(groups, options);
}
