import {existsSync} from 'node:fs';
import {type Command, InvalidArgumentError} from 'commander';
import type {RunConfig} from '../config.js';
import {readConfigFile} from '../config-file.js';
import {keysAt, nearest} from '../config-keys.js';
import {splits} from '../data/benchmark.js';
import {benchmarkNames, type Split} from '../data/benchmarks.js';
import {IlrError} from '../errors.js';
import {type EvalMode, type EvalReport, type EvalResult, type EvalSettings, evalModes} from '../eval/report.js';
import {commandLine} from './command-line.js';
import {EvalProgress} from './eval-progress.js';
import {terminalTables} from './eval-table.js';
import {evaluateModels} from './evaluate-models.js';
import {interruptedExitCode, interruptSignals, isInterruption} from './interrupt.js';
import {collect, count, device, positive, temperature} from './options.js';
import {addSamplingFlags, type SamplingFlags, samplingOf} from './sampling-flags.js';
import {jsonText, print} from './terminal.js';

type Fields = Partial<RunConfig['data']['fields']>;

interface EvalArguments extends SamplingFlags {
  readonly benchmarks?: readonly string[];
  readonly split?: Split;
  readonly dataFolder?: string;
  readonly data?: readonly string[];
  readonly config?: string;
  readonly questions?: number;
  readonly modes: readonly EvalMode[];
  readonly samples: number;
  readonly k?: readonly number[];
  readonly rounds: number;
  readonly strategy?: EvalSettings['strategy'];
  readonly validation?: string;
  readonly seed: number;
  readonly temperature?: number;
  readonly maxNewTokens?: number;
  readonly prompt?: string;
  readonly system?: string;
  readonly reward?: string;
  readonly answer?: RunConfig['data']['answer'];
  readonly field?: Fields;
  readonly template?: string;
  readonly base?: string;
  readonly device: string;
  readonly dtype?: 'float32' | 'bfloat16';
  readonly batch: number;
  readonly output: string;
  readonly json?: boolean;
}

const help = `
Examples:
  $ ilr-native pull gsm8k && ilr-native eval runs/a/final --benchmarks gsm8k   each agent of a run, alone
  $ ilr-native eval base runs/a/final --benchmarks gsm8k,math500 --samples 8 --k 1,4,8
  $ ilr-native eval runs/a/final --data test.jsonl --modes solo,debate,idea3   alone, and answering together

The output folder gets report.html, report.md and report.json, and samples.jsonl with every answer. An answer that is there is not asked
again: after Ctrl-C the same command goes on, and ends in the same report. docs/eval.md says what each number means.`;

export function register(program: Command): void {
  const command = program
    .command('eval')
    .description('Measure models on question files: greedy pass@1, mean@k, pass@k, maj@k, with intervals and tests.')
    .argument('<models...>', 'Hugging Face folders, adapters, checkpoints, or the output folders of runs')
    .option('--benchmarks <names>', `separated by commas: ${benchmarkNames.join(', ')}`, names)
    .option('--split <split>', 'of the benchmarks: train, validation or test (default: test)', split)
    .option(
      '--data-folder <folder>',
      'holds a folder for each benchmark (default: $ILR_DATA, else where pull puts them)',
    )
    .option('--data <file>', 'questions of your own: JSON lines, JSON, CSV or Parquet; may be repeated', collect)
    .option('--config <file>', "take prompts, reward and data fields from a run's configuration")
    .option('--questions <count>', 'only the first ones of each', positive)
    .option('--modes <list>', 'solo, debate and idea3, separated by commas', modes, ['solo'])
    .option('--samples <count>', 'sampled answers per question beside the greedy one', count, 4)
    .option('--k <list>', 'the k of pass@k and maj@k, separated by commas (default: as many as samples)', kList)
    .option('--rounds <count>', 'of a debate: times each model reads the others and answers again', positive, 1)
    .option(
      '--strategy <name>',
      'of idea3: cooperative, competitive, fixed (drawn), adaptive (default: adaptive with --validation, else fixed)',
      strategy,
    )
    .option(
      '--validation <data>',
      'a file, or a benchmark such as gsm8k:train, that measures the abilities which adaptive follows',
    )
    .option('--seed <number>', 'of sampling and bootstrap', count, 0)
    .option('--temperature <number>', 'of the sampled answers (default: as in training, else 1)', temperature)
    .option('--max-new-tokens <count>', 'length of an answer (default: as in training, else 1024)', positive)
    .option('--prompt <text>', 'what is asked; {question} is filled in (default: as in training)')
    .option('--system <text>', 'system prompt (default: as in training, else none)')
    .option(
      '--reward <name>',
      'numeric, math, exact, code, or a module that exports a RewardFunction (default: as a benchmark asks; of a file, as --config says, else numeric)',
    )
    .option(
      '--answer <where>',
      'where the gold answer of a file stands: field, gsm8k (after ####), boxed or choice (default: as --config says, else field)',
      answer,
    )
    .option('--field <name=field>', `${fieldNames.join(', ')} of a file under another name; may be repeated`, field)
    .option('--template <text>', 'the text of a question of a file, with {field} for what is filled in')
    .option('--base <folder>', "an adapter's base (default: the folder that adapter_config.json names)")
    .option('--device <device>', 'cpu, cuda, cuda:N or auto', device, 'auto')
    .option('--dtype <dtype>', 'float32 or bfloat16 (default: as --config says, else float32)', dtype)
    .option('--batch <count>', 'questions that are asked, and saved, together', positive, 32)
    .option('--output <folder>', 'where report and answers go', 'runs/eval')
    .option('--json', 'print the results as one JSON array, for programs');
  addSamplingFlags(command).addHelpText('after', help).action(evalCommand);
}

async function evalCommand(paths: readonly string[], options: EvalArguments): Promise<void> {
  const missing = options.data?.find((file) => !existsSync(file));
  if (missing !== undefined)
    throw new IlrError('ILR_IO', `${missing}: expected a question file, got nothing (looked in ${process.cwd()})`);
  const {config: file, field: fields, ...rest} = options;
  const config = file === undefined ? undefined : (await readConfigFile(file)).config;
  const interrupt = interruptSignals();
  const progress = new EvalProgress(process.stderr);
  try {
    const report = await evaluateModels(paths, {
      ...rest,
      ...{config, fields},
      sampling: samplingOf(options),
      signal: interrupt.first,
      onEvent: progress.onEvent,
    });
    progress.finish();
    print(process.stdout, options.json ? `${jsonText(resultsOf(report), 2)}\n` : terminalTables(report));
    progress.line(
      `The report is in ${options.output}: report.html, report.md, report.json; every answer in samples.jsonl.`,
    );
  } catch (error) {
    if (!isInterruption(error, interrupt.first)) throw error;
    process.exitCode = interruptedExitCode;
    progress.finish();
    const again = commandLine(['ilr-native', ...process.argv.slice(2)]);
    progress.line(`Stopped; the answers so far are saved in ${options.output}. To go on: ${again}`);
  } finally {
    progress.finish();
    interrupt.dispose();
  }
}

const fieldNames = keysAt(['data', 'fields']);

/** Adds `name=field` to the others. */
function field(text: string, earlier: Fields = {}): Fields {
  const [, name = '', value = ''] = /^(\w+)=(.+)$/.exec(text) ?? [];
  if (fieldNames.includes(name)) return {...earlier, [name]: value};
  throw new InvalidArgumentError(`Expected ${fieldNames.join(', ')}, = and the name of a field.`);
}

function names(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, ...text.split(',').map((word) => word.trim())];
}

function split(text: string): Split {
  return oneOf(text, splits);
}

function modes(text: string): readonly EvalMode[] {
  return text.split(',').map((word) => oneOf(word.trim(), evalModes));
}

function strategy(text: string): NonNullable<EvalSettings['strategy']> {
  return oneOf(text, ['cooperative', 'competitive', 'fixed', 'adaptive'] as const);
}

function answer(text: string): RunConfig['data']['answer'] {
  return oneOf(text, ['field', 'gsm8k', 'boxed', 'choice'] as const);
}

function dtype(text: string): 'float32' | 'bfloat16' {
  return oneOf(text, ['float32', 'bfloat16'] as const);
}

function oneOf<T extends string>(word: string, known: readonly T[]): T {
  const found = known.find((each) => each === word);
  if (found !== undefined) return found;
  const near = nearest(word, known);
  throw new InvalidArgumentError(
    `Expected ${known.join(', ')}, got ${JSON.stringify(word)}.${near ? ` Did you mean ${near}?` : ''}`,
  );
}

function kList(text: string): readonly number[] {
  return [...new Set(text.split(',').map((word) => positive(word.trim())))].sort((a, b) => a - b);
}

/** The results as `--json` prints them: one object each, with the greedy and the mean sampled accuracy by name. */
function resultsOf({results, models, settings: {samples}}: EvalReport): unknown[] {
  return results.map((result) => ({
    model: result.model,
    folder: models.find(({name}) => name === result.model)?.folder,
    benchmark: result.benchmark,
    mode: result.mode,
    questions: result.questions,
    greedy: intervalOf(result, 'greedy'),
    ...(samples > 0 && {sampled: intervalOf(result, `mean@${samples}`)}),
    samples,
    wellFormed: result.greedy?.wellFormed,
    scores: result.scores,
    figures: {greedy: result.greedy, sampled: result.sampled},
  }));
}

function intervalOf({scores}: EvalResult, name: string): unknown {
  return scores.find((score) => score.name === name)?.interval;
}
