import path from 'node:path';
import type {Command} from 'commander';
import {writeRunPage} from './run-page.js';
import {print} from './terminal.js';

export function register(program: Command): void {
  program
    .command('report')
    .description(
      'Write the page of a training run: what it gave, its curves, its last dialogues. For a run under way too.',
    )
    .argument('<run>', 'output folder of a run')
    .option('--output <file>', 'where the page goes (default: report.html in that folder)')
    .action(async (folder: string, {output}: {output?: string}) => {
      const file = await writeRunPage(folder, output ?? path.join(folder, 'report.html'));
      print(process.stdout, `${file}\n`);
    });
}
