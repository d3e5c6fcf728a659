import {existsSync} from 'node:fs';
import path from 'node:path';
import type {Command} from 'commander';
import {readConfigFile} from '../config-file.js';
import {IlrError} from '../errors.js';
import {commandLine} from './command-line.js';
import {interruptedExitCode, interruptSignals, isInterruption} from './interrupt.js';
import {collect, device} from './options.js';
import {Progress} from './progress.js';
import {runTraining} from './run.js';

interface TrainArguments {
  readonly set?: readonly string[];
  readonly resume?: boolean;
  readonly device?: string;
  readonly output?: string;
}

const help = `
  $ ilr-native pull gsm8k && ilr-native train recipes/gsm8k.yaml --set agents.0.model=models/a --set agents.1.model=models/b
  $ ilr-native train run.yaml --set steps=2 --set questionsPerStep=4 --output runs/try      a short try
  $ ilr-native train run.yaml --resume                                                      go on after Ctrl-C or a crash

A model is a Hugging Face folder, or a name that was pulled. docs/config.md lists every setting; \`ilr-native estimate\` says how much
memory a run takes. Ctrl-C finishes the step under way and saves (exit code 130); again, it stops at once.
The output folder gets metrics, dialogues, checkpoints, the trained agents and report.html (docs/output.md).`;

export function register(program: Command): void {
  program
    .command('train')
    .description('Train the agents of a configuration.')
    .argument('<config>', 'YAML file; recipes/ has examples')
    .option('--set <key=value>', 'change a setting, such as optimizer.learningRate=1e-5; may be repeated', collect)
    .option('--resume', 'go on from the latest checkpoint of the output folder')
    .option('--device <device>', 'cpu, cuda, cuda:N or auto', device)
    .option('--output <folder>', 'folder of metrics, dialogues and checkpoints')
    .addHelpText('after', help)
    .action(trainCommand);
}

async function trainCommand(file: string, options: TrainArguments): Promise<void> {
  const {config} = await readConfigFile(file, overridesOf(options));
  const interrupt = interruptSignals();
  const progress = new Progress(process.stdout, {
    agents: config.agents.map((agent) => agent.name),
    steps: config.steps,
    estimator: config.difficulty.estimator,
  });
  const goOn = `To go on: ${commandOf(file, options)}`;
  let step = 0;
  interrupt.first.addEventListener('abort', () =>
    progress.line(
      step === 0
        ? 'Stopping before the first step, as soon as what comes before it is measured and saved; Ctrl-C again stops at once and loses it.'
        : 'Stopping after this step; Ctrl-C again stops at once and loses it.',
    ),
  );
  try {
    const result = await runTraining(config, {
      resume: options.resume,
      stopAfterStep: interrupt.first,
      signal: interrupt.second,
      onEvent: (event) => {
        if (event.type === 'phase') step = event.step;
        progress.onEvent(event);
      },
    });
    if (result.stopped) {
      process.exitCode = interruptedExitCode;
      progress.line(`Stopped after step ${result.state.step}, which is saved. ${goOn}`);
    } else progress.line(`Done. The trained agents are in ${result.final}; metrics and dialogues in ${config.output}.`);
    if (result.report !== undefined) progress.line(`A page of the run: ${result.report}`);
  } catch (error) {
    if (!isInterruption(error, interrupt.second)) throw withNextStep(error, config.output, goOn);
    process.exitCode = interruptedExitCode;
    progress.line(`Stopped at once: the step under way is lost. ${goOn}`);
  } finally {
    progress.finish();
    interrupt.dispose();
  }
}

/** What failed for want of space or memory can go on when there is some. */
function withNextStep(error: unknown, output: string, goOn: string): unknown {
  const isForWant = IlrError.is(error) && ['ILR_IO', 'ILR_OUT_OF_MEMORY'].includes(error.code);
  if (!isForWant || !existsSync(path.join(output, 'config.yaml'))) return error;
  return new IlrError(error.code, `${error.message}\n${goOn}`, {cause: error});
}

function overridesOf({set = [], device, output}: TrainArguments): string[] {
  return [
    ...set,
    ...(device === undefined ? [] : [`device=${device}`]),
    ...(output === undefined ? [] : [`output=${output}`]),
  ];
}

/** The command that goes on with this run, ready to be pasted. */
function commandOf(file: string, {set = [], device, output}: TrainArguments): string {
  const words = ['ilr-native', 'train', file, ...set.flatMap((value) => ['--set', value])];
  if (device !== undefined) words.push('--device', device);
  if (output !== undefined) words.push('--output', output);
  return commandLine([...words, '--resume']);
}
