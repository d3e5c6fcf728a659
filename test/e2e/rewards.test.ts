import {spawn} from 'node:child_process';
import {readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {stringify} from 'yaml';
import type {RunConfigInput} from '../../src/config.js';
import {packageRoot} from '../../src/native/paths.js';
import {latestCheckpoint} from '../../src/record/checkpoint.js';
import {readMetrics} from '../../src/record/metrics.js';
import type {TranscriptLine} from '../../src/record/transcript.js';
import type {StepMetrics} from '../../src/types.js';
import {folderWith} from '../helpers/folder.js';
import {answerJson, rewardServer} from '../helpers/reward-server.js';
import {tinyRunConfig, writeTinyRun} from '../helpers/tiny-run.js';

const cli = path.join(packageRoot(), 'bin', 'ilr-native.js');

function ilr(folder: string, args: readonly string[]): Promise<{code: number | null; output: string}> {
  const child = spawn(process.execPath, [cli, ...args], {
    cwd: folder,
    env: {...process.env, JUDGE_KEY: 's3cret'},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve) => child.on('close', (code) => resolve({code, output})));
}

test('real models learn by a reward of parts; a server that goes away ends the run, saved, and back again the run goes on', async (t) => {
  const folder = await folderWith(t);
  await writeTinyRun(folder);
  let fusion = 0;
  let isMended = false;
  const server = await rewardServer(t, ({body: {inputs}}, response) => {
    // two agents × four questions: the first step
    if (fusion === 8 && !isMended) return response.writeHead(500).end();
    if ((inputs[0] as {stage?: string}).stage === 'fusion') fusion++;
    answerJson(response, {grades: inputs.map(({text}) => text.length / 100)});
  });
  const overrides: Partial<RunConfigInput> = {
    reward: {
      parts: [
        {name: 'answer', function: 'reward.mjs'},
        {name: 'form', function: 'format', weight: 0.5, format: {pattern: '[0-9]'}},
        {name: 'again', function: 'repetition', weight: 0.25, repetition: {ngram: 2, unit: 'tokens'}},
        {name: 'judge', function: server.address, weight: 0.1, remote: {retries: 0, secretEnv: 'JUDGE_KEY'}},
      ],
    },
    strategy: {choose: 'fixed'},
    steps: 4,
    eval: {questions: 2, samples: 0},
    save: {every: 0},
    output: 'out',
  };
  const {data, ...rest} = tinyRunConfig(overrides);
  await writeFile(path.join(folder, 'parts.yaml'), stringify({...rest, data: {train: data.train}}));

  const broken = await ilr(folder, ['train', 'parts.yaml']);
  t.is(broken.code, 1, broken.output);
  t.regex(broken.output, /warning: 16 of 16 completions of ann \(fusion\) could not be graded .*judge: .*HTTP 500/);
  t.regex(broken.output, /of step 3, or of step 2 before it, got none; the first: judge: .*HTTP 500\./);
  t.false(broken.output.includes('s3cret'));
  t.is(server.posted[0]?.headers.authorization, 'Bearer s3cret');
  const {checkpoint} = await latestCheckpoint(path.join(folder, 'out', 'checkpoints'));
  t.regex(checkpoint?.folder ?? '', /step-000002$/);

  isMended = true;
  const mended = await ilr(folder, ['train', 'parts.yaml', '--resume']);
  t.is(mended.code, 0, mended.output);
  const steps = (await readMetrics(path.join(folder, 'out', 'metrics.jsonl'))) as StepMetrics[];
  t.deepEqual(
    steps.map(({step}) => step),
    [0, 1, 2, 3, 4],
  );
  const failures = steps.slice(1).map((step) => step['ann/failures']);
  t.deepEqual([failures[0], failures[2], failures[3]], [0, 0, 0]);
  t.is(failures[1], 32);
  const lines = (await readFile(path.join(folder, 'out', 'dialogues.jsonl'), 'utf8')).trim().split('\n');
  const transcript = lines.map((line) => JSON.parse(line) as TranscriptLine).filter(({step}) => step === 4);
  for (const agent of ['ann', 'bob']) {
    for (const stage of ['solo', 'fusion']) {
      const rollouts = transcript
        .filter((line) => line.agent === agent && line.stage === stage)
        .flatMap((line) => line.rollouts);
      t.is(rollouts.length, 16);
      for (const {parts = {}, reward, text} of rollouts) {
        t.is(parts.judge, text.length / 100);
        const {answer = 0, form = 0, again = 0, judge = 0} = parts;
        t.is(reward, answer + 0.5 * form + 0.25 * again + 0.1 * judge);
      }
      for (const name of ['answer', 'form', 'again', 'judge']) {
        const values = rollouts.map(({parts}) => parts?.[name] ?? Number.NaN);
        t.is(
          steps[4]?.[`${agent}/reward/${name}/${stage}`],
          values.reduce((total, value) => total + value, 0) / values.length,
        );
      }
    }
  }
});
