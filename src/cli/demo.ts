import path from 'node:path';
import type {Command} from 'commander';
import type {RunConfig} from '../config.js';
import {type DemoResult, type DemoStage, runDemo} from '../demo/run-demo.js';
import {resultLines} from '../demo/table.js';
import {WarmStartDisplay} from '../demo/warm-start-display.js';
import {setUp} from '../native/setup.js';
import {interruptedExitCode, interruptSignals, isInterruption} from './interrupt.js';
import {count, device as deviceOption} from './options.js';
import {duration, Progress} from './progress.js';
import {createSetupReport} from './setup-progress.js';
import {print, Screen} from './terminal.js';

interface DemoArguments {
  readonly seed: number;
  readonly output: string;
  readonly compare?: boolean;
  readonly keep?: boolean;
  readonly device: string;
}

export function register(program: Command): void {
  program
    .command('demo')
    .description('Two tiny agents, made from a seed, learn together on the CPU, in minutes.')
    .option('--seed <n>', 'of weights, warm start and training', count, 0)
    .option('--output <folder>', 'folder of questions, agents, metrics and dialogues', path.join('runs', 'demo'))
    .option('--compare', 'also train each agent alone (GRPO) at equal generated tokens')
    .option('--device <device>', 'cpu, cuda, cuda:N or auto', deviceOption, 'cpu')
    .option('--keep', 'take the warm-started agents of the last run with this seed, if there are some')
    .action(demoCommand);
}

async function demoCommand({seed, output, compare, keep, device}: DemoArguments): Promise<void> {
  await makeReady();
  const interrupt = interruptSignals();
  const display = new DemoDisplay(seed);
  try {
    const result = await runDemo({
      seed,
      device,
      output,
      compare,
      keep,
      signal: interrupt.first,
      onStage: display.onStage,
      onWarmStart: display.warmStart.onProgress,
      onEvent: (event) => display.progress?.onEvent(event),
    });
    display.end();
    const {warmStart, ilr, total} = result.seconds;
    const lines = [
      '',
      ...resultLines(result),
      '',
      `Took ${duration(total * 1000)}: warm start ${duration(warmStart * 1000)}, ILR with its evaluations ${duration(ilr * 1000)}.`,
      ...nextLines(result),
    ];
    print(process.stdout, `${lines.join('\n')}\n`);
  } catch (error) {
    display.end();
    if (!isInterruption(error, interrupt.first)) throw error;
    process.exitCode = interruptedExitCode;
    print(process.stdout, 'Stopped. Run the demo again to start over.\n');
  } finally {
    interrupt.dispose();
  }
}

/** LibTorch and the addon, where they are not there yet. */
async function makeReady(): Promise<void> {
  const screen = new Screen(process.stdout);
  await setUp({report: createSetupReport(screen)});
  screen.clear();
}

/** Where the files are, and commands to go on with: a question that an agent has learned to answer, where there is one. */
function nextLines({output, before, after, questionIds}: DemoResult): string[] {
  const learned = before.map(({greedy}, i) => greedy.findIndex((score, q) => score === 0 && after[i]?.greedy[q] === 1));
  const index = Math.max(
    0,
    learned.findIndex((q) => q >= 0),
  );
  const agent = before[index]?.agent as string;
  const question = questionIds[Math.max(0, learned[index] as number)] as string;
  const [start, trained] = [path.join(output, 'start', agent), path.join(output, 'ilr', 'final', agent)];
  return [
    `Files in ${output}: data, start (the agents before), ilr (metrics.jsonl, dialogues.jsonl, final: the agents after)`,
    `A page of the run: ${path.join(output, 'ilr', 'report.html')}`,
    'Next:',
    `  npx ilr-native sample ${start} '${question}' --temperature 0`,
    `  npx ilr-native sample ${trained} '${question}' --temperature 0`,
    `  npx ilr-native eval ${trained} --data ${path.join(output, 'data', 'test.jsonl')}`,
  ];
}

/** Shows the stages of a demo one after the other. */
class DemoDisplay {
  readonly warmStart = new WarmStartDisplay(process.stdout);
  progress: Progress | undefined;

  constructor(private readonly seed: number) {}

  readonly onStage = (stage: DemoStage, config: RunConfig): void => {
    this.end();
    const names = config.agents.map((agent) => agent.name);
    const text: Readonly<Record<DemoStage, string | undefined>> = {
      'warm-start': `Two agents (seed ${this.seed}): ${names.join(' and ')}. Supervised warm start: each learns sums with a habit of its own, and to talk.`,
      'kept-start': 'Warm-started agents of the last run (--keep).',
      dialogues: 'Measuring what the dialogue gives, and what is left of it without the peer …',
      ilr: `ILR: ${config.steps} steps of ${config.questionsPerStep} questions: share, analyse, fuse, learn.`,
      grpo: `GRPO: each agent alone from the same start, ${config.steps} steps at equal generated tokens.`,
      done: undefined,
    };
    if (text[stage] !== undefined) print(process.stdout, `${text[stage]}\n`);
    if (stage === 'ilr' || stage === 'grpo') {
      this.progress = new Progress(process.stdout, {
        agents: names,
        steps: config.steps,
        estimator: config.difficulty.estimator,
      });
    }
  };

  end(): void {
    this.warmStart.finish();
    this.progress?.finish();
    this.progress = undefined;
  }
}
