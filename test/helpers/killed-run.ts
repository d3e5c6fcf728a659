import {readdirSync} from 'node:fs';
import path from 'node:path';
import {runTraining} from '../../src/cli/run.js';
import {readConfigFile} from '../../src/config-file.js';
import type {TrainEvent, TrainPhase} from '../../src/types.js';

/** A moment of a run: `delayMs` after the first event of `phase` in `step` by which at least `done` of it is done. */
export interface Moment {
  readonly step: number;
  readonly phase: TrainPhase;
  readonly done: number;
  readonly delayMs: number;
  /** save: kill when the unfinished checkpoint has this many files, in place of `delayMs`. */
  readonly files?: number;
}

/** Runs a config in this process and, given a moment, kills the process there as a power cut would: nothing is caught or flushed. */
async function main([file, resume, moment]: readonly string[]): Promise<void> {
  const {config} = await readConfigFile(file as string);
  await runTraining(config, {
    resume: resume === 'resume',
    onEvent: moment === undefined ? undefined : killAt(JSON.parse(moment), path.join(config.output, 'checkpoints')),
  });
}

function killAt(moment: Moment, checkpoints: string): (event: TrainEvent) => void {
  let isOver = false;
  return (event) => {
    const isIt = event.type === 'phase' && event.step === moment.step && event.phase === moment.phase;
    if (isOver || !isIt || event.done < moment.done) return;
    isOver = true;
    if (moment.files !== undefined) killInSave(checkpoints, moment.files);
    else if (moment.delayMs === 0) kill();
    else setTimeout(kill, moment.delayMs);
  };
}

/** Looks between any two pieces of work of this process. */
function killInSave(checkpoints: string, files: number): void {
  const names = readdirSync(checkpoints, {recursive: true}) as string[];
  const unfinished = names.filter((name) => name.startsWith('.tmp-') && path.extname(name) !== '');
  if (unfinished.length >= files) kill();
  setImmediate(killInSave, checkpoints, files);
}

function kill(): void {
  process.kill(process.pid, 'SIGKILL');
}

await main(process.argv.slice(2));
