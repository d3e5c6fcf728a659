import path from 'node:path';
import type {RunConfig} from '../config.js';
import {readQuestions} from '../data/questions.js';
import {IlrError} from '../errors.js';
import type {EvalBenchmark} from '../eval/plan.js';
import {stampOf} from '../record/files.js';
import {hashOf} from '../record/identity.js';
import {prepareReward} from '../reward/grade.js';
import {loadReward, rewardModules, rewardName} from '../reward/reward.js';
import type {Question, RewardFunction} from '../types.js';

export interface BenchmarkOptions {
  /** Question files. */
  readonly data: readonly string[];
  /** In place of each benchmark's own. */
  readonly reward?: string;
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
  readonly questions: readonly Question[];
}

type RewardSettings = RunConfig['reward'];

/**
Reads all questions and makes their graders ready. Questions whose gold answer cannot be graded are left out, with a warning.

@throws IlrError `ILR_INVALID_DATA` for a benchmark without a question that can be graded, and what reading and the reward functions throw.
*/
export async function openBenchmarks(
  options: BenchmarkOptions,
  validationFile: string | undefined,
): Promise<OpenedBenchmarks> {
  const {settings} = options;
  const read = await readAll(options);
  const own = rewardOf(settings.reward, options.reward);
  const validation = validationFile === undefined ? [] : await readFile(validationFile, options);
  const graders = new Graders();
  try {
    for (const {reward, questions} of read) await graders.open(reward, questions);
    await graders.open(own, validation);
    await graders.prepare();
    return {
      benchmarks: await Promise.all(read.map((each) => toBenchmark(each, graders, options.onWarning))),
      validation: validation.filter((question) => graders.get(own).accepts?.(question) !== false),
      validationReward: graders.get(own),
      close: () => graders.close(),
    };
  } catch (error) {
    await graders.close();
    throw error;
  }
}

async function readAll(options: BenchmarkOptions): Promise<ReadBenchmark[]> {
  const {data, settings} = options;
  const reward = rewardOf(settings.reward, options.reward);
  const read: ReadBenchmark[] = [];
  for (const file of data) {
    const short = path.basename(file).replace(/\.\w+$/, '');
    const isTwice = data.filter((other) => path.basename(other).replace(/\.\w+$/, '') === short).length > 1;
    const questions = (await readFile(file, options)).slice(0, options.questions);
    read.push({name: isTwice ? file : short, reward, questions});
  }
  return read;
}

/** The reward of the settings, or a function by its name; what a part of that name would be told is left behind. */
function rewardOf(settings: RewardSettings, named: string | undefined): RewardSettings {
  if (named === undefined || named === settings.function) return settings;
  const {correct, wellFormed, none, timeoutSeconds} = settings;
  return {correct, wellFormed, none, function: named, ...(timeoutSeconds !== undefined && {timeoutSeconds})};
}

async function readFile(file: string, {settings, onWarning}: BenchmarkOptions): Promise<readonly Question[]> {
  const {questions, warnings} = await readQuestions(file, settings.data);
  for (const message of warnings) onWarning(message);
  return questions;
}

async function toBenchmark(
  {name, description, reward, questions}: ReadBenchmark,
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
      `${name}: left out ${leftOut.length} of ${questions.length} questions whose answer cannot be graded; ` +
        `the first is ${first.id} with answer ${JSON.stringify(first.answer.slice(0, 80))}`,
    );
  return {
    name,
    ...(description !== undefined && {description}),
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
