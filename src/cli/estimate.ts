import type {Command} from 'commander';
import {readConfigFile} from '../config-file.js';
import {estimateConfig, gigabytes} from '../estimate/plan.js';
import type {RunEstimate} from '../estimate/run.js';
import {requireModels} from './models.js';
import {collect} from './options.js';
import {readRunQuestions} from './run.js';
import {jsonText, print} from './terminal.js';

const help = `
Nothing is loaded: sizes come from the models' config.json, prompts from their tokenizers. Completions are taken at full length, so that a
run whose completions end early needs less. Estimates err by 15 % at most in the tests, which are of the CPU.
  $ ilr-native estimate recipes/gsm8k.yaml --set agents.0.dtype=bfloat16`;

export function register(program: Command): void {
  program
    .command('estimate')
    .description('Say how much memory a configuration needs, phase by phase, before anything is loaded.')
    .argument('<config>', 'YAML file; recipes/ has examples')
    .option('--set <key=value>', 'change a setting, such as groupSize=4; may be repeated', collect)
    .option('--json', 'print JSON, in bytes')
    .addHelpText('after', help)
    .action(async (file: string, {set = [], json}: {readonly set?: readonly string[]; readonly json?: boolean}) => {
      const {config} = await readConfigFile(file, [...set]);
      requireModels(config);
      const {train, validation = [], test = []} = await readRunQuestions(config);
      const estimate = await estimateConfig(config, [...train, ...validation, ...test]);
      print(process.stdout, json ? `${jsonText(estimate, 2)}\n` : table(estimate, process.availableMemory()));
    });
}

/** Rows of what is held and of what each phase needs beside it, agents as columns. */
export function table(estimate: RunEstimate, available: number): string {
  const names = Object.keys(estimate.held);
  const held = (part: 'weights' | 'optimizer' | 'reference') => names.map((name) => estimate.held[name]?.[part] ?? 0);
  const rows: [string, readonly number[]][] = [
    ['weights', held('weights')],
    ['optimizer', held('optimizer')],
    ...(held('reference').some((bytes) => bytes > 0)
      ? [['reference policy', held('reference')] as [string, number[]]]
      : []),
    ...estimate.phases.map(({phase, bytes}): [string, number[]] => [
      `+ ${phase}`,
      names.map((name) => bytes[name] ?? 0),
    ]),
  ];
  const width = Math.max(...rows.map(([label]) => label.length)) + 2;
  const column = Math.max(10, ...names.map((name) => name.length)) + 2;
  const line = (label: string, cells: readonly string[]) =>
    `${label.padEnd(width)}${cells.map((cell) => cell.padStart(column)).join('')}\n`;
  return [
    line('', names),
    ...rows.map(([label, bytes]) => line(label, bytes.map(gigabytes))),
    `\nProcess: ${gigabytes(estimate.processBytes)}; freed and kept for reuse: ${gigabytes(estimate.keptBytes)}. Peak: ${gigabytes(estimate.peakBytes)}, in ${estimate.peakPhase}. Free now: ${gigabytes(available)}.\n`,
  ].join('');
}
