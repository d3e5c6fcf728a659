import {spawn} from 'node:child_process';
import {readdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {stringify} from 'yaml';
import type {RunConfigInput} from '../../src/config.js';
import {stampOf} from '../../src/record/files.js';
import {readMetrics, withoutClock} from '../../src/record/metrics.js';
import type {Moment} from './killed-run.js';
import {tinyRunConfig} from './tiny-run.js';

/** Runs of `writeTinyRun`'s agents in a process of their own, which may be killed. */

const child = fileURLToPath(new URL('./killed-run.js', import.meta.url));

/** Runs with its output in `<folder>/<name>` and says how the process ended. */
export async function runInChild(
  folder: string,
  name: string,
  mode: 'start' | 'resume',
  moment?: Moment,
  overrides: Partial<RunConfigInput> = {},
): Promise<{code: number | null; signal: string | null; errors: string}> {
  const file = path.join(folder, `${name}.yaml`);
  await writeFile(file, stringify({...tinyRunConfig(overrides), output: path.join(folder, name)}));
  const args = [child, file, mode, ...(moment ? [JSON.stringify(moment)] : [])];
  const started = spawn(process.execPath, args, {stdio: ['ignore', 'ignore', 'pipe']});
  let errors = '';
  started.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text;
  });
  return new Promise((resolve) => started.on('close', (code, signal) => resolve({code, signal, errors})));
}

/** All that two equal runs must have in common; files as hashes, for a difference between long texts is slow to print. */
export async function resultOf(folder: string, name: string) {
  const at = (...parts: string[]) => path.join(folder, name, ...parts);
  const last = ['checkpoints', 'step-000006'];
  const moving = (await readdir(at(...last, 'ann'))).includes('reference');
  const files = [
    ['dialogues.jsonl'],
    [...last, 'trainer.json'],
    ...['ann', 'bob'].flatMap((agent) => [
      ['final', agent, 'model.safetensors'],
      [...last, agent, 'optimizer.safetensors'],
      ...(moving ? [[...last, agent, 'reference', 'model.safetensors']] : []),
    ]),
  ];
  return {
    metrics: (await readMetrics(at('metrics.jsonl'))).map(withoutClock),
    checkpoints: (await readdir(at('checkpoints'))).sort(),
    files: await Promise.all(files.map(async (file) => [file.join('/'), (await stampOf(at(...file))).sha256])),
  };
}
