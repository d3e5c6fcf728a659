import path from 'node:path';
import type {RunConfig} from '../config.js';
import type {Split} from '../data/benchmark.js';
import {overlapWarnings} from '../data/overlap.js';
import {benchmarkOf, readSource} from '../data/source.js';
import {messageOf} from '../errors.js';
import {requireMemory} from '../estimate/plan.js';
import {hashWeights} from '../record/agent-folder.js';
import type {Checkpoint} from '../record/checkpoint.js';
import {checkSameRun, hashOf, hashQuestions} from '../record/identity.js';
import {type FoundRun, findRun, RunFolder} from '../record/run-folder.js';
import {loadReward} from '../reward/reward.js';
import {train} from '../train.js';
import type {TrainEvent, TrainOptions, TrainResult} from '../types.js';
import {type OpenedRun, openRun} from './agents.js';
import {requireModels} from './models.js';
import {isShared} from './policies.js';
import {writeRunPage} from './run-page.js';
import {versions} from './versions.js';

export interface RunOptions {
  readonly resume?: boolean;
  readonly signal?: AbortSignal;
  readonly stopAfterStep?: AbortSignal;
  readonly onEvent?: (event: TrainEvent) => void;
  /** Passed on to `train`: the questions are not read from `config.data` then, and so on. */
  readonly questions?: TrainOptions['questions'];
  readonly reward?: TrainOptions['reward'];
  readonly tokenBudgetPerStep?: TrainOptions['tokenBudgetPerStep'];
}

export interface RunResult extends TrainResult {
  /** `<output>/final`, one Hugging Face folder per agent; undefined when the run was stopped. */
  readonly final?: string;
  /** `<output>/report.html`; undefined where it could not be written. */
  readonly report?: string;
}

/** Trains the agents of a config and writes the run down in its output folder. */
export async function runTraining(config: RunConfig, options: RunOptions = {}): Promise<RunResult> {
  const found = await findRun(config.output, options.resume ?? false);
  if (found.checkpoint) requireSameConfig(found.checkpoint, config);
  else requireModels(config);
  const questions = options.questions ?? (await readRunQuestions(config, options.onEvent));
  const {train: training, validation = [], test = []} = questions;
  await requireMemory(config, [...training, ...validation, ...test]);
  // Ahead of the agents, for it takes a moment and may be refused.
  const reward = options.reward ?? (await loadReward(config.reward, process.cwd()));
  try {
    const opened = await openRun(config, found.checkpoint);
    try {
      return await runOpened(config, {...options, reward}, found, questions, opened);
    } finally {
      await opened.close();
    }
  } finally {
    if (options.reward === undefined) await reward.close?.();
  }
}

/** Before anything is loaded; threads, device and questions are compared when they are known. */
function requireSameConfig({folder, manifest}: Checkpoint, config: RunConfig): void {
  checkSameRun(manifest.identity, {...manifest.identity, config}, folder);
}

async function runOpened(
  config: RunConfig,
  options: RunOptions,
  found: FoundRun,
  questions: TrainOptions['questions'],
  opened: OpenedRun,
): Promise<RunResult> {
  const {agents, threads, device, sideFiles} = opened;
  const folder = await RunFolder.open({
    found,
    identity: {
      config,
      threads,
      device,
      questions: hashQuestions([questions.train, questions.validation ?? []]),
      fixedWeights: await hashFixedWeights(config),
      versions: versions(),
    },
    sideFiles,
  });
  try {
    for (const message of [...found.warnings, ...folder.warnings]) options.onEvent?.({type: 'warning', message});
    const result = await train({
      config,
      agents,
      questions,
      recorder: folder,
      resumeFrom: await folder.resumeFrom(),
      difficulty: await folder.knownDifficulty(),
      signal: options.signal,
      stopAfterStep: options.stopAfterStep,
      onEvent: options.onEvent,
      reward: options.reward,
      tokenBudgetPerStep: options.tokenBudgetPerStep,
    });
    const final = result.stopped ? undefined : await folder.finish(agents);
    return {...result, ...(final && {final}), report: await tryRunPage(config.output, options.onEvent)};
  } finally {
    await folder.close();
  }
}

/** The page is made from what is written down: where it cannot be, nothing is lost. */
async function tryRunPage(output: string, onEvent: RunOptions['onEvent']): Promise<string | undefined> {
  try {
    return await writeRunPage(output, path.join(output, 'report.html'));
  } catch (error) {
    onEvent?.({type: 'warning', message: `the page of the run was not written: ${messageOf(error)}`});
    return undefined;
  }
}

/** Of the weights that a resumed run loads again from where they were: bases of adapters, agents and references that stay as they are. */
async function hashFixedWeights(config: RunConfig): Promise<string | undefined> {
  const folders = config.agents.flatMap((agent) => {
    const {model, adapter, trainable} = agent;
    const staysAsItWas = config.reference.kind === 'frozen' || !trainable;
    const start = staysAsItWas && adapter?.folder !== undefined ? [adapter.folder] : [];
    return staysAsItWas || isShared(agent) ? [model, ...start] : [];
  });
  return folders.length === 0 ? undefined : hashOf(await Promise.all(folders.map(hashWeights)));
}

/** The questions of a run. What is trained on and tested with too is warned of. */
export async function readRunQuestions(
  {data, eval: {data: test = data.test}, dialogue: {prompts}}: RunConfig,
  onEvent?: RunOptions['onEvent'],
): Promise<TrainOptions['questions']> {
  const warn = (message: string) => onEvent?.({type: 'warning', message});
  const read = async (source: string, split: Split) => {
    const {questions, warnings} = await readSource(source, {
      format: data,
      split,
      folder: data.folder,
      env: process.env,
    });
    for (const message of warnings) warn(message);
    return questions;
  };
  const questions = {
    train: (await read(data.train, 'train')).slice(0, data.limit),
    validation: data.validation === undefined ? undefined : await read(data.validation, 'validation'),
    test: test === undefined ? undefined : await read(test, 'test'),
  };
  const {title, prompt} = benchmarkOf(data.train) ?? {};
  if (prompt !== undefined && prompts.share.includes('\\boxed'))
    warn(
      `${title} asks for programs, but dialogue.prompts.share asks for an answer in \\boxed{}. Set it, such as to ` +
        `${JSON.stringify(prompt)}, and dialogue.prompts.fuse likewise.`,
    );
  const {train: training, ...tested} = questions;
  if (onEvent !== undefined) for (const message of overlapWarnings(training, tested)) warn(message);
  return questions;
}
