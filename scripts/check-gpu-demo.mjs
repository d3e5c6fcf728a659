// A whole demo run on a device, its result as JSON on stdout. It fails where the agents did not learn.
//   node scripts/check-gpu-demo.mjs cuda
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {runDemo} from '../dist/src/demo/run-demo.js';

const device = process.argv[2] ?? 'cuda';
const output = mkdtempSync(path.join(tmpdir(), 'ilr-demo-'));
const log = (text) => process.stderr.write(`${text}\n`);
const quick = process.env.ILR_CHECK_QUICK === '1'; // for a rehearsal: the way, not the learning
const {before, after, seconds, generatedTokens} = await runDemo({
  seed: 0,
  device,
  output: path.join(output, 'demo'),
  ...(quick ? {warmStartTokens: 20_000, overrides: ['steps=1', 'difficulty.estimator=field']} : {}),
  onStage: (stage) => log(stage),
}).finally(() => rmSync(output, {recursive: true, force: true}));
const mean = ({greedy}) => greedy.reduce((sum, score) => sum + score, 0) / greedy.length;
const accuracy = before.map((evaluation, i) => ({before: mean(evaluation), after: mean(after[i])}));
process.stdout.write(`${JSON.stringify({device, quick, accuracy, generatedTokens, seconds}, undefined, 2)}\n`);
// The demo's own result on the CPU is a gain of each agent; a run that breaks the loop loses or stays.
if (!quick && accuracy.some(({before, after}) => !(after > before))) {
  log('an agent did not gain');
  process.exitCode = 1;
}
