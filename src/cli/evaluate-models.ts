import {type RunConfig, runSchema} from '../config.js';
import type {SamplingSettings} from '../config-sampling.js';
import type {Split} from '../data/benchmarks.js';
import {IlrError} from '../errors.js';
import {EvalFolder} from '../eval/folder.js';
import type {EvalEvent, EvalModel, EvalPlan} from '../eval/plan.js';
import {type EvalMode, type EvalReport, type EvalSettings, evalModes} from '../eval/report.js';
import {runEvaluation} from '../eval/run.js';
import {rewardName} from '../reward/reward.js';
import {type OpenedBenchmarks, openBenchmarks} from './eval-benchmarks.js';
import {type FoundModels, findEvalModels} from './eval-models.js';
import {versions} from './versions.js';

/** What `ilr-native eval` is told; all but the questions has a default. */
export interface EvaluateModelsOptions {
  /** By their names, such as gsm8k. */
  readonly benchmarks?: readonly string[];
  /** Of the benchmarks; `test` by default. */
  readonly split?: Split;
  /** Holds the benchmarks' folders; `$ILR_DATA`, then the cache, where `pull` puts them, when left out. */
  readonly dataFolder?: string;
  /** Question files. */
  readonly data?: readonly string[];
  /** Of a run: prompts, lengths, reward, data fields, how agents are asked. The defaults, and what a folder remembers, when left out. */
  readonly config?: RunConfig;
  /** Names of fields of the question files, in place of `config.data.fields`. */
  readonly fields?: Partial<RunConfig['data']['fields']>;
  /** Where their gold answers stand, in place of `config.data.answer`. */
  readonly answer?: RunConfig['data']['answer'];
  /** The text of their questions, in place of `config.data.template`. */
  readonly template?: string;
  /** Only the first questions of each. */
  readonly questions?: number;
  /** `['solo']` by default. */
  readonly modes?: readonly EvalMode[];
  /** Per question beside the greedy one; 4 by default. */
  readonly samples?: number;
  /** Of pass@k and maj@k; `[samples]` by default. */
  readonly k?: readonly number[];
  /** Of a debate; 1 by default. */
  readonly rounds?: number;
  /** Of idea3; `adaptive` where there are validation questions, else `fixed`. */
  readonly strategy?: EvalSettings['strategy'];
  /** A file, or a benchmark such as gsm8k:train, of the questions that measure abilities. */
  readonly validation?: string;
  /** 0 by default. */
  readonly seed?: number;
  readonly temperature?: number;
  readonly maxNewTokens?: number;
  readonly prompt?: string;
  readonly system?: string;
  /** In place of each benchmark's own. */
  readonly reward?: string;
  readonly sampling?: Partial<SamplingSettings>;
  /** Folder of the base, where the models are adapters and do not name it. */
  readonly base?: string;
  /** `auto` by default. */
  readonly device?: string;
  /** As `config` says of an agent of the same name, else `float32`. */
  readonly dtype?: 'float32' | 'bfloat16';
  /** Questions that are asked, and saved, together; 32 by default. */
  readonly batch?: number;
  /** Folder of report and answers; `runs/eval` by default. */
  readonly output?: string;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: EvalEvent) => void;
}

type WithDefault = 'modes' | 'samples' | 'rounds' | 'seed' | 'device' | 'batch' | 'output';
type Resolved = EvaluateModelsOptions &
  Required<Pick<EvaluateModelsOptions, WithDefault>> & {readonly settings: RunConfig};

/**
Evaluates models on benchmarks and writes report and answers into the output folder. Answers that are there are not asked again.

@param paths - Hugging Face folders, adapters, checkpoints, or the output folders of runs; in debate and idea3 one may be named twice.
@throws IlrError before anything is asked where models, questions and options do not fit together; `ILR_ABORTED` by the signal, all finished
batches being saved.
*/
export async function evaluateModels(paths: readonly string[], options: EvaluateModelsOptions): Promise<EvalReport> {
  const {signal, onEvent} = options;
  const settings = settingsOf(options);
  const resolved: Resolved = {
    ...{modes: ['solo'], samples: 4, rounds: 1, seed: 0, device: 'auto', batch: 32, output: 'runs/eval'},
    ...withoutUndefined(options),
    settings,
  };
  const onWarning = (message: string) => onEvent?.({type: 'warning', message});
  requireTogether(resolved);
  const validation = resolved.modes.includes('idea3') ? (options.validation ?? settings.data.validation) : undefined;
  const benchmarks = await openBenchmarks(
    {...resolved, benchmarks: options.benchmarks ?? [], data: options.data ?? [], onWarning},
    validation,
  );
  try {
    const {sampling = {}} = options;
    const isConfigured = options.config !== undefined;
    const found = await findEvalModels(paths, {...resolved, sampling, isConfigured});
    const plan = planOf(resolved, found, benchmarks);
    warnOfPrompts(plan, onWarning);
    const folder = await EvalFolder.open(resolved.output);
    try {
      const {answers, strategies} = folder;
      const report = await runEvaluation(plan, {answers, strategies, signal, onEvent});
      await folder.write(report, plan);
      return report;
    } finally {
      await folder.close();
    }
  } finally {
    await benchmarks.close();
  }
}

function settingsOf({config, fields, answer, template}: EvaluateModelsOptions): RunConfig {
  const base = config ?? runSchema.parse({agents: [{name: 'model', model: '.'}], data: {train: ''}});
  const changes = {...(answer !== undefined && {answer}), ...(template !== undefined && {template})};
  return {...base, data: {...base.data, ...changes, fields: {...base.data.fields, ...fields}}};
}

function planOf(
  options: Resolved,
  {models, named}: FoundModels,
  {benchmarks, validation, validationReward}: OpenedBenchmarks,
): EvalPlan {
  const {samples, seed, rounds, batch, modes, settings} = options;
  const isTogether = modes.some((mode) => mode !== 'solo');
  if (isTogether && named.length < 2)
    throw new IlrError(
      'ILR_INVALID_ARGUMENT',
      `--modes ${modes.join(',')}: expected at least two models that answer together, got one. Name another, or the same one twice.`,
    );
  const strategy = modes.includes('idea3') ? strategyOf(options, validation.length) : undefined;
  return {
    models,
    group: isTogether ? named : [],
    benchmarks,
    settings: {
      seed,
      modes: evalModes.filter((mode) => modes.includes(mode)),
      samples,
      k: options.k ?? (samples > 0 ? [samples] : []),
      ...(strategy && {strategy}),
      ...(modes.includes('debate') && {rounds}),
      level: 0.95,
      resamples: 10_000,
    },
    dialogue: (models[named[0] as number] as EvalModel).dialogue,
    reward: settings.reward,
    batch,
    versions: versions(),
    cooperativeShare: settings.strategy.cooperativeShare,
    ...(strategy === 'adaptive' && {
      adaptive: {
        difficulty: settings.difficulty,
        choose: settings.strategy.choose === 'question' ? ('question' as const) : ('agent' as const),
        validation: validation.slice(0, settings.ability.questions),
        reward: validationReward,
        rewardName: options.reward ?? rewardName(settings.reward),
      },
    }),
  };
}

function strategyOf({strategy, settings}: Resolved, validation: number): NonNullable<EvalSettings['strategy']> {
  const usual = validation > 0 && settings.strategy.choose !== 'fixed' ? 'adaptive' : 'fixed';
  const chosen = strategy ?? usual;
  if (chosen === 'adaptive' && validation === 0)
    throw new IlrError(
      'ILR_INVALID_ARGUMENT',
      '--strategy adaptive: expected questions that measure abilities, got none. Name them with --validation.',
    );
  return chosen;
}

/** Models that talk are asked in the same words. */
function warnOfPrompts({models, group, dialogue}: EvalPlan, onWarning: (message: string) => void): void {
  const others = group.map((place) => models[place]).filter((model) => model?.prompt !== dialogue.prompts.share);
  if (others.length > 0)
    onWarning(
      `models that answer together are asked as ${models[group[0] as number]?.name} was in training, ` +
        `others were asked otherwise (${[...new Set(others.map((model) => model?.name))].join(', ')}); --prompt says what is asked of all`,
    );
}

/** All that can be said of the options before a file is opened. */
function requireTogether({benchmarks = [], data = [], k = [], samples, prompt}: Resolved): void {
  const refuse = (message: string): never => {
    throw new IlrError('ILR_INVALID_ARGUMENT', message);
  };
  if (benchmarks.length + data.length === 0)
    refuse('expected questions: name benchmarks with --benchmarks (gsm8k, math500, …) or a file with --data');
  const large = k.find((each) => each > samples);
  if (large !== undefined)
    refuse(`--k ${large}: expected at most as many as there are samples (${samples}); raise --samples`);
  if (prompt !== undefined && !prompt.includes('{question}'))
    refuse('--prompt: expected the placeholder {question}, or nothing is asked');
}

function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
