import path from 'node:path';
import type {RunConfig} from '../config.js';
import {nearest} from '../config-keys.js';
import {benchmarkNames, findBenchmark, isBenchmark, readBenchmark, type Split} from '../data/benchmarks.js';
import {readQuestions} from '../data/questions.js';
import {readSource} from '../data/source.js';
import {IlrError} from '../errors.js';
import type {EvalBenchmark} from '../eval/plan.js';
import {stampOf} from '../record/files.js';
import {hashOf} from '../record/identity.js';
import {gradableQuestions, prepareReward} from '../reward/grade.js';
import {loadReward, rewardModules, rewardName} from '../reward/reward.js';
import type {Question, RewardFunction} from '../types.js';

export interface BenchmarkOptions {
  /** Names of `src/data/benchmarks.ts`. */
  readonly benchmarks: readonly string[];
  /** Of the named ones; `test` when left out. */
  readonly split?: Split;
  /** Holds the folders of the named ones; `$ILR_DATA`, then the cache, when left out. */
  readonly dataFolder?: string;
  /** Question files. */
  readonly data: readonly string[];
  /** In place of each benchmark's own. */
  readonly reward?: string;
  /** What is asked in place of a benchmark's own prompt. */
  readonly prompt?: string;
  /** Only the first ones. */
  readonly questions?: number;
  readonly settings: RunConfig;
  readonly onWarning: (message: string) => void;
}

export interface OpenedBenchmarks {
  readonly benchmarks: readonly EvalBenchmark[];
  /** Questions that measure abilities, by the reward of `settings`. */
  readonly validation: readonly Question[];
  readonly validationReward: RewardFunction;
  close(): Promise<void>;
}

interface ReadBenchmark {
  readonly name: string;
  readonly description?: string;
  readonly reward: RewardSettings;
  readonly prompt?: string;
  readonly questions: readonly Question[];
}

type RewardSettings = RunConfig['reward'];

/**
Reads all questions and makes their graders ready. Questions whose gold answer cannot be graded are left out, with a warning.

@throws IlrError `ILR_INVALID_DATA` for a benchmark without a question that can be graded, and what reading and the reward functions throw.
*/
export async function openBenchmarks(
  options: BenchmarkOptions,
  validationSource: string | undefined,
): Promise<OpenedBenchmarks> {
  const {settings} = options;
  const read = await readAll(options);
  const own = rewardOf(settings.reward, options.reward);
  const validation = validationSource === undefined ? [] : await readValidation(validationSource, options);
  const graders = new Graders();
  try {
    for (const {reward, questions} of read) await graders.open(reward, questions);
    await graders.open(own, validation);
    await graders.prepare();
    return {
      benchmarks: await Promise.all(read.map((each) => toBenchmark(each, graders, options.onWarning))),
      validation: gradableQuestions('validation', validation, graders.get(own), options.onWarning),
      validationReward: graders.get(own),
      close: () => graders.close(),
    };
  } catch (error) {
    await graders.close();
    throw error;
  }
}

async function readAll(options: BenchmarkOptions): Promise<ReadBenchmark[]> {
  const {benchmarks, data, settings, questions: count} = options;
  const reward = rewardOf(settings.reward, options.reward);
  const read: ReadBenchmark[] = [];
  for (const name of new Set(benchmarks.map(knownName))) read.push(await readNamed(name, options));
  const shortNames = data.map((file) => path.basename(file).replace(/\.\w+$/, ''));
  const taken = [...read.map(({name}) => name), ...shortNames];
  for (const [i, file] of data.entries()) {
    const short = shortNames[i] as string;
    const isTwice = taken.filter((other) => other === short).length > 1;
    read.push({name: isTwice ? file : short, reward, questions: await readFile(file, options)});
  }
  return read.map((each) => ({...each, questions: each.questions.slice(0, count)}));
}

/** @throws IlrError `ILR_INVALID_ARGUMENT` with the nearest known name. */
function knownName(name: string): string {
  if (isBenchmark(name)) return findBenchmark(name).name;
  const near = nearest(name, benchmarkNames);
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `--benchmarks: expected ${benchmarkNames.join(', ')}, got ${JSON.stringify(name)}.${near ? ` Did you mean ${near}?` : ''} A file goes to --data.`,
  );
}

async function readNamed(name: string, options: BenchmarkOptions): Promise<ReadBenchmark> {
  const {split = 'test', settings, onWarning, prompt} = options;
  const folder = options.dataFolder ?? settings.data.folder;
  const known = findBenchmark(name);
  const {questions, warnings} = await readBenchmark(name, {split, folder, env: process.env});
  for (const message of warnings) onWarning(message);
  return {
    name: split === 'test' ? name : `${name} (${split})`,
    description: known.description,
    reward: rewardOf(settings.reward, options.reward ?? known.reward),
    ...(prompt === undefined && known.prompt !== undefined && {prompt: known.prompt}),
    questions,
  };
}

/** The reward of the settings, or a function by its name; what a part of that name would be told is left behind. */
function rewardOf(settings: RewardSettings, named: string | undefined): RewardSettings {
  if (named === undefined || named === settings.function) return settings;
  const {correct, wellFormed, none, timeoutSeconds} = settings;
  return {correct, wellFormed, none, function: named, ...(timeoutSeconds !== undefined && {timeoutSeconds})};
}

async function readValidation(source: string, options: BenchmarkOptions): Promise<readonly Question[]> {
  const {settings, onWarning} = options;
  const {data} = settings;
  const folder = options.dataFolder ?? data.folder;
  const {questions, warnings} = await readSource(source, {format: data, split: 'train', folder, env: process.env});
  for (const message of warnings) onWarning(message);
  return questions;
}

async function readFile(file: string, {settings, onWarning}: BenchmarkOptions): Promise<readonly Question[]> {
  const {questions, warnings} = await readQuestions(file, settings.data);
  for (const message of warnings) onWarning(message);
  return questions;
}

async function toBenchmark(
  {name, description, reward, prompt, questions}: ReadBenchmark,
  graders: Graders,
  onWarning: (message: string) => void,
): Promise<EvalBenchmark> {
  const grader = graders.get(reward);
  const leftOut = questions.filter((question) => grader.accepts?.(question) === false);
  const [first] = leftOut;
  if (leftOut.length === questions.length)
    throw new IlrError(
      'ILR_INVALID_DATA',
      `${name}: expected at least one question whose answer ${rewardName(reward)} can grade, got none of ${questions.length}. Try another --reward.`,
    );
  if (first !== undefined)
    onWarning(
      `${name}: left out ${leftOut.length} of ${questions.length} questions that cannot be graded; ` +
        `the first is ${first.id}${first.tests ? '' : ` with answer ${JSON.stringify(first.answer.slice(0, 80))}`}`,
    );
  return {
    name,
    ...(description !== undefined && {description}),
    ...(prompt !== undefined && {prompt}),
    reward: grader,
    rewardName: rewardName(reward),
    rewardIdentity: await identityOf(reward),
    questions: questions.filter((question) => !leftOut.includes(question)),
    leftOut,
  };
}

/** Of the settings and of the modules that they name. */
async function identityOf(reward: RewardSettings): Promise<string> {
  const modules = await Promise.all(rewardModules(reward, process.cwd()).map((file) => stampOf(file)));
  return hashOf([reward, modules.map(({sha256}) => sha256)]);
}

/** The reward functions of an evaluation, each opened once and shown all of its questions at once. */
class Graders {
  private readonly opened = new Map<string, {readonly reward: RewardFunction; questions: readonly Question[]}>();

  async open(settings: RewardSettings, questions: readonly Question[]): Promise<void> {
    const key = JSON.stringify(settings);
    const known = this.opened.get(key) ?? {reward: await loadReward(settings, process.cwd()), questions: []};
    known.questions = [...known.questions, ...questions];
    this.opened.set(key, known);
  }

  async prepare(): Promise<void> {
    for (const {reward, questions} of this.opened.values()) await prepareReward(reward, questions);
  }

  get(settings: RewardSettings): RewardFunction {
    return (this.opened.get(JSON.stringify(settings)) as {reward: RewardFunction}).reward;
  }

  async close(): Promise<void> {
    for (const {reward} of this.opened.values()) await reward.close?.();
  }
}
