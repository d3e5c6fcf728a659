import {mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {readRun} from '../../src/record/read-run.js';
import {folderWith} from '../helpers/folder.js';

const config = 'method: ilr\nsteps: 2\nagents:\n  - name: ann\n';

const dialogue = (step: number, question: string, text = 'x') => ({
  step,
  question,
  agent: 'ann',
  stage: 'solo',
  turns: [{author: 'user', role: 'question', text, ids: [1]}],
  rollouts: [
    {
      text,
      reward: 1,
      isCorrect: true,
      isWellFormed: true,
      finishReason: 'stop',
      ids: [1],
      author: 'ann',
      role: 'share',
    },
  ],
});

const lines = (values: readonly unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('');

test('a run under way: its metrics, the dialogues of its last step, what a checkpoint knows', async (t) => {
  const folder = await folderWith(t);
  await writeFile(path.join(folder, 'config.yaml'), config);
  await writeFile(path.join(folder, 'metrics.jsonl'), '{"step":0,"a":1,"b":null}\n{"step":1,"a":2}\n{"step":2,"a');
  await writeFile(
    path.join(folder, 'dialogues.jsonl'),
    `${lines([dialogue(1, 'q1'), dialogue(2, 'q2'), dialogue(2, 'q3')])}{"step":3,"que`,
  );
  for (const step of ['step-000001', 'step-000010', 'damaged-step-000011']) {
    await mkdir(path.join(folder, 'checkpoints', step), {recursive: true});
    const before = [{agent: 'ann', questionIds: ['q'], greedy: [Number(step.slice(-2))], sampled: []}];
    await writeFile(path.join(folder, 'checkpoints', step, 'trainer.json'), JSON.stringify({before}));
  }
  const run = await readRun(folder);
  t.deepEqual([run.method, run.steps, run.agents, run.isFinished], ['ilr', 2, ['ann'], false]);
  t.deepEqual(run.metrics, [
    {step: 0, a: 1},
    {step: 1, a: 2},
  ]);
  t.deepEqual(
    run.dialogues.map(({question}) => question),
    ['q2', 'q3'],
  );
  t.is(run.before?.[0]?.greedy[0], 10);
  t.is(run.latest, undefined);
});

test('of a long dialogues.jsonl only the end is read', async (t) => {
  const folder = await folderWith(t);
  await writeFile(path.join(folder, 'config.yaml'), config);
  await writeFile(path.join(folder, 'metrics.jsonl'), '{"step":0}\n');
  const long = dialogue(1, 'q1', 'é'.repeat(1 << 21));
  await writeFile(path.join(folder, 'dialogues.jsonl'), lines([long, long, dialogue(1, 'q2')]));
  const {dialogues} = await readRun(folder);
  t.deepEqual(
    dialogues.map(({question}) => question),
    ['q2'],
  );
});

test('what is no run is refused, by the file that says so', async (t) => {
  const folder = await folderWith(t);
  await t.throwsAsync(readRun(folder), {code: 'ILR_INVALID_ARGUMENT', message: /expected the output folder of a run/});
  await t.throwsAsync(readRun(path.join(folder, 'none')), {code: 'ILR_INVALID_ARGUMENT'});
  await writeFile(path.join(folder, 'config.yaml'), config);
  await writeFile(path.join(folder, 'metrics.jsonl'), '{"step":0}\n[]\n');
  await t.throwsAsync(readRun(folder), {
    code: 'ILR_INVALID_DATA',
    message: /metrics\.jsonl:2: expected what a run writes/,
  });
  await writeFile(path.join(folder, 'metrics.jsonl'), '');
  await writeFile(path.join(folder, 'config.yaml'), 'agents: 3');
  await t.throwsAsync(readRun(folder), {code: 'ILR_INVALID_DATA', message: /config\.yaml/});
});
