import type {Command} from 'commander';
import {type RunConfig, runSchema} from '../config.js';
import {readConfigFile} from '../config-file.js';
import {readQuestions} from '../data/questions.js';
import {IlrError} from '../errors.js';
import {evaluateSolo} from '../evaluate.js';
import {type AgentProfile, readProfile} from '../record/agent-folder.js';
import {loadRewardFunction} from '../reward/reward.js';
import {type Interval, meanInterval} from '../statistics.js';
import type {Question, RewardFunction} from '../types.js';
import {loadAgent} from './agents.js';
import {interruptedExitCode, interruptSignals, isInterruption} from './interrupt.js';
import {type FoundModel, findModels} from './models.js';
import {collect, count, device, positive, temperature} from './options.js';
import {Progress} from './progress.js';
import {addSamplingFlags, type SamplingFlags, samplingOf} from './sampling-flags.js';

interface EvalArguments extends SamplingFlags {
  readonly data: string;
  readonly config?: string;
  readonly questions?: number;
  readonly samples: number;
  readonly seed: number;
  readonly temperature?: number;
  readonly maxNewTokens?: number;
  readonly prompt?: string;
  readonly system?: string;
  readonly reward?: string;
  readonly answer?: 'field' | 'gsm8k' | 'boxed';
  readonly field?: readonly string[];
  readonly base?: string;
  readonly device: string;
  readonly json?: boolean;
}

/** One model's solo accuracy; shares from 0 to 1, with 95 % bootstrap intervals over questions. */
export interface EvalReport {
  readonly model: string;
  readonly folder: string;
  readonly questions: number;
  readonly greedy: Interval;
  /** Left out with `--samples 0`. */
  readonly sampled?: Interval;
  readonly samples: number;
  readonly wellFormed: number;
}

export function register(program: Command): void {
  const command = program
    .command('eval')
    .description('Measure how often a model, or each agent of a checkpoint, is right alone.')
    .argument('<model>', 'Hugging Face folder, adapter, checkpoint, or the output folder of a run')
    .requiredOption('--data <file>', 'questions, JSON lines')
    .option('--config <file>', "take prompt, reward and data fields from a run's configuration")
    .option('--questions <count>', 'only the first ones', positive)
    .option('--samples <count>', 'sampled answers per question beside the greedy one', count, 4)
    .option('--seed <number>', 'of sampling and bootstrap', count, 0)
    .option('--temperature <number>', 'of the sampled answers (default: as in training, else 1)', temperature)
    .option('--max-new-tokens <count>', 'length of an answer (default: as in training, else 1024)', positive)
    .option('--prompt <text>', 'what is asked; {question} is filled in (default: as in training)')
    .option('--system <text>', 'system prompt (default: as in training)')
    .option('--reward <function>', 'numeric, math, exact or a module (default: as --config says, else numeric)')
    .option(
      '--answer <where>',
      'where the gold answer stands: field, gsm8k (after ####) or boxed (default: as --config says, else field)',
    )
    .option('--field <name=field>', 'id, question, answer or level under another name; may be repeated', collect)
    .option('--base <folder>', "an adapter's base (default: the folder that adapter_config.json names)")
    .option('--device <device>', 'cpu, cuda, cuda:N or auto', device, 'auto')
    .option('--json', 'one JSON array, for programs');
  addSamplingFlags(command).action(evalCommand);
}

async function evalCommand(folder: string, options: EvalArguments): Promise<void> {
  const settings = await settingsOf(options);
  const {questions, warnings} = await readQuestions(options.data, settings.data);
  const reward = await loadRewardFunction(options.reward ?? settings.reward.function, process.cwd());
  const interrupt = interruptSignals();
  const progress = new Progress(process.stderr, {agents: [], steps: 0});
  try {
    for (const message of warnings) progress.onEvent({type: 'warning', message});
    const reports: EvalReport[] = [];
    for (const model of await findModels(folder))
      reports.push(
        await evaluateModel(model, questions.slice(0, options.questions), reward, settings, options, {
          signal: interrupt.first,
          progress,
        }),
      );
    progress.finish();
    process.stdout.write(options.json ? `${JSON.stringify(reports, null, 2)}\n` : tableOf(reports));
  } catch (error) {
    if (!isInterruption(error, interrupt.first)) throw error;
    process.exitCode = interruptedExitCode;
  } finally {
    progress.finish();
    interrupt.dispose();
  }
}

/** What `--config` says, else the defaults. */
async function settingsOf({config, field = [], answer}: EvalArguments): Promise<RunConfig> {
  const base =
    config === undefined
      ? runSchema.parse({agents: [{name: 'model', model: '.'}], data: {train: ''}})
      : (await readConfigFile(config)).config;
  const fields = {...base.data.fields, ...fieldsOf(field)};
  return {...base, data: {...base.data, fields, answer: answerOf(answer) ?? base.data.answer}};
}

function answerOf(answer: string | undefined): RunConfig['data']['answer'] | undefined {
  if (answer === undefined || answer === 'field' || answer === 'gsm8k' || answer === 'boxed') return answer;
  throw new IlrError('ILR_INVALID_ARGUMENT', `--answer: expected field, gsm8k or boxed, got ${JSON.stringify(answer)}`);
}

function fieldsOf(pairs: readonly string[]): Partial<RunConfig['data']['fields']> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const match = /^(id|question|answer|level)=(.+)$/.exec(pair);
      if (match) return [match[1], match[2]];
      throw new IlrError(
        'ILR_INVALID_ARGUMENT',
        `--field: expected id, question, answer or level, = and a name, got ${JSON.stringify(pair)}`,
      );
    }),
  );
}

async function evaluateModel(
  {name, folder}: FoundModel,
  questions: readonly Question[],
  reward: RewardFunction,
  settings: RunConfig,
  options: EvalArguments,
  {signal, progress}: {signal: AbortSignal; progress: Progress},
): Promise<EvalReport> {
  const profile = options.config === undefined ? await readProfile(folder) : undefined;
  const trained = settings.agents.find((agent) => options.config !== undefined && agent.name === name);
  const agent = await loadAgent(folder, {
    name,
    system: options.system ?? trained?.system,
    temperature:
      options.temperature ??
      (options.config === undefined ? undefined : settings.eval.temperature) ??
      trained?.temperature,
    sampling: {...(settings.eval.sampling ?? trained?.sampling), ...samplingOf(options)},
    chat: trained?.chat,
    template: trained?.template,
    base: options.base,
    device: options.device,
    trainable: false,
  });
  try {
    const {greedy, sampled, wellFormed} = await evaluateSolo(agent, questions, {
      config: {seed: options.seed, dialogue: dialogueOf(settings, profile, options), reward: settings.reward},
      reward,
      samples: options.samples,
      signal,
      onProgress: () => (done, total, tokens) =>
        progress.onEvent({type: 'phase', step: 0, phase: 'eval', agent: name, done, total, tokens}),
      onWarning: (message) => progress.onEvent({type: 'warning', message}),
    });
    const interval = (values: readonly number[]) => meanInterval(values, {seed: options.seed});
    return {
      model: name,
      folder,
      questions: questions.length,
      greedy: interval(greedy),
      ...(sampled.length > 0 && {sampled: interval(sampled)}),
      samples: options.samples,
      wellFormed,
    };
  } finally {
    await agent.close();
  }
}

function dialogueOf(
  {dialogue}: RunConfig,
  profile: AgentProfile | undefined,
  {prompt, maxNewTokens}: EvalArguments,
): RunConfig['dialogue'] {
  return {
    maxNewTokens: {
      ...dialogue.maxNewTokens,
      share: maxNewTokens ?? profile?.maxNewTokens ?? dialogue.maxNewTokens.share,
    },
    prompts: {...dialogue.prompts, share: prompt ?? profile?.prompt ?? dialogue.prompts.share},
  };
}

function tableOf(reports: readonly EvalReport[]): string {
  const percent = (share: number) => (100 * share).toFixed(1);
  const cell = (interval: Interval | undefined) =>
    interval === undefined ? '-' : `${percent(interval.mean)} [${percent(interval.low)}, ${percent(interval.high)}]`;
  const rows = [
    ['model', 'questions', 'greedy % [95 %]', 'sampled % [95 %]', 'well-formed %'],
    ...reports.map((report) => [
      report.model,
      String(report.questions),
      cell(report.greedy),
      cell(report.sampled),
      percent(report.wellFormed),
    ]),
  ];
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((text, column) => text.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
