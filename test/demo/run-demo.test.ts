import {access, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {type DemoOptions, type DemoStage, runDemo} from '../../src/demo/run-demo.js';
import {resultLines} from '../../src/demo/table.js';
import {folderWith} from '../helpers/folder.js';

/** Long enough to go all the way, too short to learn anything. */
const short = (output: string, changes: Partial<DemoOptions> = {}): DemoOptions => ({
  seed: 3,
  output,
  warmStartTokens: 10_000,
  overrides: [
    'steps=2',
    'difficulty.estimator=field',
    'questionsPerStep=4',
    'eval.questions=40',
    'ability.questions=20',
  ],
  ...changes,
});

test('a demo goes from warm start to comparison and leaves its files', async (t) => {
  const output = path.join(await folderWith(t), 'demo');
  const stages: DemoStage[] = [];
  const result = await runDemo(short(output, {compare: true, onStage: (stage) => stages.push(stage)}));
  t.deepEqual(stages, ['warm-start', 'dialogues', 'ilr', 'dialogues', 'grpo', 'done']);
  t.deepEqual(
    result.before.map(({agent, greedy, sampled}) => [agent, greedy.length, sampled.length]),
    [
      ['qwen', 40, 40],
      ['llama', 40, 40],
    ],
  );
  t.is(result.questionIds.length, 40);
  t.is(result.dialoguesBefore[1]?.copied.length, 40);
  t.true(resultLines(result).some((line) => line.startsWith('Generated tokens, ILR and GRPO')));
  for (const file of [
    'start/qwen/model.safetensors',
    'ilr/final/llama/tokenizer.json',
    'grpo/metrics.jsonl',
    'data/test.jsonl',
  ]) {
    await t.notThrowsAsync(access(path.join(output, file)));
  }
  t.deepEqual(JSON.parse(await readFile(path.join(output, 'result.json'), 'utf8')).before, result.before);
});

test('nothing is kept from run to run but a start that was asked for, of the same seed', async (t) => {
  const output = path.join(await folderWith(t), 'demo');
  const stages: DemoStage[] = [];
  const onStage = (stage: DemoStage) => stages.push(stage);
  const first = await runDemo(short(output));
  const again = await runDemo(short(output, {onStage}));
  const kept = await runDemo(short(output, {onStage, keep: true}));
  const other = await runDemo(short(output, {onStage, keep: true, seed: 4}));
  t.deepEqual(
    stages.filter((stage) => stage.endsWith('start')),
    ['warm-start', 'kept-start', 'warm-start'],
  );
  t.deepEqual(again.after, first.after);
  t.deepEqual(kept.after, first.after);
  t.notDeepEqual(other.after, first.after);
});

test('a folder that holds something else is left alone', async (t) => {
  const output = await folderWith(t);
  await writeFile(path.join(output, 'thesis.tex'), 'precious');
  await t.throwsAsync(runDemo(short(output)), {code: 'ILR_INVALID_ARGUMENT', message: /--output/});
  t.is(await readFile(path.join(output, 'thesis.tex'), 'utf8'), 'precious');
});

test('a stopped demo rejects as aborted', async (t) => {
  const output = path.join(await folderWith(t), 'demo');
  const stop = new AbortController();
  const onWarmStart = () => stop.abort();
  await t.throwsAsync(runDemo(short(output, {signal: stop.signal, onWarmStart})), {code: 'ILR_ABORTED'});
});
