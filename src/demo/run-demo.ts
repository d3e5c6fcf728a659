import {mkdir, readdir, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {openRun} from '../cli/agents.js';
import {runTraining} from '../cli/run.js';
import type {RunConfig} from '../config.js';
import {readConfigFile} from '../config-file.js';
import {IlrError} from '../errors.js';
import {packageRoot} from '../native/paths.js';
import {Random} from '../random.js';
import {profileOf} from '../record/agent-folder.js';
import {prepareReward} from '../reward/grade.js';
import {loadReward} from '../reward/reward.js';
import {mean} from '../statistics.js';
import type {Question, SoloEvaluation, StepMetrics, TrainEvent} from '../types.js';
import {drawQuestions, type Split} from './curriculum.js';
import {type DialogueEffect, measureDialogues} from './dialogues.js';
import {hasStart, makeStart} from './start.js';
import type {WarmStartProgress} from './warm-start.js';

export interface DemoOptions {
  readonly seed: number;
  /** Default `cpu`, where the demo's figures are reproduced digit for digit. */
  readonly device?: string;
  readonly output: string;
  /** Take the warm-started agents of the last run with this seed, where there are some. */
  readonly keep?: boolean;
  /** Train by GRPO too, from the same start and with as many generated tokens. */
  readonly compare?: boolean;
  /** Of each agent's warm start, and changes to recipes/tiny.yaml (`steps=2`): for short runs that test the way, not the learning. */
  readonly warmStartTokens?: number;
  readonly overrides?: readonly string[];
  readonly signal?: AbortSignal;
  readonly onStage?: (stage: DemoStage, config: RunConfig) => void;
  readonly onWarmStart?: (agent: string, progress: WarmStartProgress) => void;
  readonly onEvent?: (event: TrainEvent) => void;
  readonly now?: () => number;
}

export type DemoStage = 'warm-start' | 'kept-start' | 'dialogues' | 'ilr' | 'grpo' | 'done';

export interface Ranking {
  readonly parseRate: number;
  readonly levelCorrelation?: number;
}

export interface DemoResult {
  readonly seed: number;
  readonly output: string;
  readonly questionIds: readonly string[];
  readonly before: readonly SoloEvaluation[];
  readonly after: readonly SoloEvaluation[];
  readonly dialoguesBefore: readonly DialogueEffect[];
  readonly dialoguesAfter: readonly DialogueEffect[];
  /** [N] share of the dialogues in training that were cooperative. */
  readonly cooperative: readonly number[];
  /** Left out where difficulty was not found by ranking. */
  readonly ranking?: Ranking;
  readonly grpo?: {readonly after: readonly SoloEvaluation[]; readonly generatedTokens: readonly number[]};
  /** [N] in ILR's training steps. */
  readonly generatedTokens: readonly number[];
  readonly seconds: {readonly warmStart: number; readonly ilr: number; readonly grpo?: number; readonly total: number};
}

/** Written into every output folder of the demo: only a folder that has it is ever emptied. */
const marker = 'demo.json';

/** Numbers of questions; every level has the same share. */
const numQuestions = {train: 960, validation: 200, test: 600} as const;
/** Every run is tested on the same questions, so that seeds can be compared. */
const questionSeed = 2026;

/**
Two tiny agents, made from a seed, learn together: questions, warm start, ILR, and what came of it.

@throws IlrError `ILR_INVALID_ARGUMENT` when `output` holds something else than an earlier demo; `ILR_ABORTED` on `signal`.
*/
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const {seed, output, signal} = options;
  const clock = startClock(options.now ?? (() => performance.now()));
  const config = await readRecipe(options);
  await clearOutput(output, options.keep ?? false);
  const questions = await writeQuestions(path.join(output, 'data'));
  const tested = questions.test.slice(0, config.eval.questions);
  const measureEffects = (of: RunConfig) => {
    options.onStage?.('dialogues', of);
    return effectsOf(of, tested, signal);
  };

  const start = await clock.time(() => warmStartAgents(config, options));
  const dialoguesBefore = await measureEffects(config);
  const ilr = await clock.time(() => learnTogether(config, options));
  const dialoguesAfter = await measureEffects(withModels(config, ilr.value.final));
  const grpo = options.compare
    ? await clock.time(() => learnAlone(config, options, ilr.value.generatedTokens))
    : undefined;

  const {before, after, cooperative, ranking, generatedTokens} = ilr.value;
  const result: DemoResult = {
    seed,
    output,
    questionIds: tested.map(({id}) => id),
    before,
    after,
    dialoguesBefore,
    dialoguesAfter,
    cooperative,
    ranking,
    grpo: grpo && {after: grpo.value.after, generatedTokens: grpo.value.generatedTokens},
    generatedTokens,
    seconds: {warmStart: start.seconds, ilr: ilr.seconds, grpo: grpo?.seconds, total: clock.seconds()},
  };
  await writeFile(path.join(output, 'result.json'), `${JSON.stringify(result)}\n`);
  options.onStage?.('done', config);
  return result;
}

function startClock(now: () => number) {
  const startedAt = now();
  const secondsSince = (from: number) => (now() - from) / 1000;
  return {
    seconds: () => secondsSince(startedAt),
    async time<T>(work: () => Promise<T>): Promise<{readonly value: T; readonly seconds: number}> {
      const from = now();
      return {value: await work(), seconds: secondsSince(from)};
    },
  };
}

/** recipes/tiny.yaml with the folders of this run. */
async function readRecipe({seed, output, device = 'cpu', overrides = []}: DemoOptions): Promise<RunConfig> {
  const file = path.join(packageRoot(), 'recipes', 'tiny.yaml');
  const {config} = await readConfigFile(file, [`device=${device}`, ...overrides]);
  const data = (split: Split) => path.resolve(output, 'data', `${split}.jsonl`);
  return {
    ...config,
    seed,
    output: path.join(output, 'ilr'),
    agents: config.agents.map((agent) => ({...agent, model: path.resolve(output, 'start', agent.name)})),
    data: {...config.data, train: data('train'), validation: data('validation'), test: data('test')},
  };
}

/** Empties the folder of an earlier demo, but for a start that is to be kept. */
async function clearOutput(output: string, keep: boolean): Promise<void> {
  await mkdir(output, {recursive: true});
  const entries = await readdir(output);
  if (entries.length > 0 && !entries.includes(marker)) {
    throw new IlrError(
      'ILR_INVALID_ARGUMENT',
      `Expected ${output} to be a new folder or one of an earlier demo, but it holds ${entries.length} other files. Give another one with --output.`,
    );
  }
  for (const entry of entries) {
    if (entry !== marker && !(keep && entry === 'start')) await rm(path.join(output, entry), {recursive: true});
  }
  await writeFile(path.join(output, marker), '{"format": 1}\n');
}

async function writeQuestions(folder: string): Promise<Record<Split, Question[]>> {
  await mkdir(folder, {recursive: true});
  const draw = async (split: Split): Promise<Question[]> => {
    const random = new Random({seed: questionSeed, purpose: 'data', question: split});
    const questions = drawQuestions(random, split, numQuestions[split]);
    const lines = questions.map(({id, text, answer, level}) => JSON.stringify({id, question: text, answer, level}));
    await writeFile(path.join(folder, `${split}.jsonl`), `${lines.join('\n')}\n`);
    return questions;
  };
  return {train: await draw('train'), validation: await draw('validation'), test: await draw('test')};
}

async function warmStartAgents(config: RunConfig, options: DemoOptions): Promise<void> {
  const start = {
    names: config.agents.map(({name}) => name),
    seed: options.seed,
    prompts: config.dialogue.prompts,
    profiles: config.agents.map((_, index) => profileOf(config, index)),
    folder: path.join(options.output, 'start'),
    device: options.device,
    tokens: options.warmStartTokens,
    signal: options.signal,
    onProgress: options.onWarmStart,
  };
  const isKept = options.keep && (await hasStart(start));
  options.onStage?.(isKept ? 'kept-start' : 'warm-start', config);
  if (!isKept) await makeStart(start);
}

async function effectsOf(
  config: RunConfig,
  questions: readonly Question[],
  signal: AbortSignal | undefined,
): Promise<DialogueEffect[]> {
  const run = await openRun(config);
  try {
    const reward = await loadReward(config.reward, process.cwd());
    try {
      await prepareReward(reward, questions);
      return await measureDialogues(run.agents, questions, {config, reward, signal});
    } finally {
      await reward.close?.();
    }
  } finally {
    await run.close();
  }
}

interface Training {
  readonly final: string;
  readonly before: readonly SoloEvaluation[];
  readonly after: readonly SoloEvaluation[];
  readonly cooperative: readonly number[];
  readonly ranking?: Ranking;
  readonly generatedTokens: readonly number[];
}

async function trainAgents(
  config: RunConfig,
  {signal, onEvent}: DemoOptions,
  tokenBudgetPerStep?: readonly number[],
): Promise<Training> {
  const steps: StepMetrics[] = [];
  let ranking: Ranking | undefined;
  const {state, final} = await runTraining(config, {
    signal,
    tokenBudgetPerStep,
    onEvent: (event) => {
      if (event.type === 'step' && event.metrics.step > 0) steps.push(event.metrics);
      if (event.type === 'difficulty' && config.difficulty.estimator === 'self-ranking') {
        ranking = {parseRate: event.parseRate, levelCorrelation: event.levelCorrelation};
      }
      onEvent?.(event);
    },
  });
  return {
    final: final as string,
    before: state.before ?? [],
    after: state.latest ?? [],
    cooperative: config.agents.map(({name}) => mean(steps.map((step) => step[`${name}/strategy/cooperative`] ?? 0))),
    ranking,
    generatedTokens: state.generatedTokens,
  };
}

function learnTogether(config: RunConfig, options: DemoOptions): Promise<Training> {
  options.onStage?.('ilr', config);
  return trainAgents(config, options);
}

/** The baseline: the same start, each agent alone, as many generated tokens. */
function learnAlone(config: RunConfig, options: DemoOptions, generatedTokens: readonly number[]): Promise<Training> {
  const alone: RunConfig = {...config, method: 'grpo', matchTokens: true, output: path.join(options.output, 'grpo')};
  options.onStage?.('grpo', alone);
  return trainAgents(
    alone,
    options,
    generatedTokens.map((tokens) => tokens / config.steps),
  );
}

function withModels(config: RunConfig, folder: string): RunConfig {
  return {...config, agents: config.agents.map((agent) => ({...agent, model: path.join(folder, agent.name)}))};
}
