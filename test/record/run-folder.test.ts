import {existsSync} from 'node:fs';
import {mkdir, mkdtemp, readdir, readFile, truncate, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {type RunConfigInput, runSchema} from '../../src/config.js';
import {IlrError} from '../../src/errors.js';
import type {Policy} from '../../src/policy.js';
import {profileOf, readProfile, readSideFiles} from '../../src/record/agent-folder.js';
import type {RunIdentity} from '../../src/record/identity.js';
import {readMetrics, withoutClock} from '../../src/record/metrics.js';
import {findRun, RunFolder} from '../../src/record/run-folder.js';
import type {Agent, Group, TrainerState} from '../../src/types.js';

const temporary = () => mkdtemp(path.join(tmpdir(), 'ilr-run-'));

function identity(over: Partial<RunConfigInput> = {}): RunIdentity {
  const config = runSchema.parse({agents: [{name: 'ada', model: 'm'}], data: {train: 't'}, ...over});
  return {config, threads: [1], device: 'cpu', questions: 'q', versions: {}};
}

function agentAt(step: number): Agent {
  const policy = {
    info: () => ({trainedParameters: 1}),
    save: (folder: string, options?: {optimizer?: boolean}) =>
      writeFile(
        path.join(folder, 'model.safetensors'),
        `weights of ${step}${options?.optimizer ? ' and optimizer' : ''}`,
      ),
  } as Policy;
  return {name: 'ada', policy, text: {} as Agent['text'], temperature: 1};
}

const stateAt = (step: number) => ({version: 1, step}) as TrainerState;

const group: Group = {
  question: {id: 'q1', text: '1+1', answer: '2'},
  agent: 0,
  stage: 'fusion',
  promptIds: Int32Array.of(1, 2),
  dialogue: {
    question: {id: 'q1', text: '1+1', answer: '2'},
    agent: 0,
    strategy: 'cooperative',
    turns: [
      {author: 'user', role: 'question', ids: Int32Array.of(5), text: '1+1'},
      {author: 0, role: 'share', ids: Int32Array.of(6, 7), text: '2'},
    ],
  },
  rollouts: [
    {
      completion: {index: 0, ids: Int32Array.of(8, 9), logprobs: Float32Array.of(-1, -2), finishReason: 'stop'},
      text: '3',
      reward: 0.1,
      isCorrect: false,
      isWellFormed: true,
    },
  ],
};

async function open(
  t: ExecutionContext,
  output: string,
  resume: boolean,
  over: Partial<RunConfigInput> = {},
): Promise<RunFolder> {
  const sideFiles = [new Map([['tokenizer.json', Buffer.from('{}')]])];
  const folder = await RunFolder.open({found: await findRun(output, resume), identity: identity(over), sideFiles});
  t.teardown(() => folder.close());
  return folder;
}

test('a killed run that is resumed ends with the files of one never stopped', async (t) => {
  const [whole, killed] = [await temporary(), await temporary()];
  const runTo = async (folder: RunFolder, from: number, to: number, saveAt: readonly number[]) => {
    for (let step = from; step <= to; step++) {
      if (step > 0) await folder.dialogues(step, [group]);
      await folder.step({step, loss: step / 3});
      if (saveAt.includes(step)) await folder.checkpoint(stateAt(step), [agentAt(step)]);
    }
  };
  const straight = await open(t, whole, false);
  await runTo(straight, 0, 4, [2, 4]);
  const first = await open(t, killed, false);
  await runTo(first, 0, 3, [2]);
  await writeFile(path.join(killed, 'metrics.jsonl'), '{"step":4,"lo', {flag: 'a'});
  await mkdir(path.join(killed, 'checkpoints', '.tmp-step-000004-1'));
  const second = await open(t, killed, true);
  t.deepEqual(await second.resumeFrom(), stateAt(2));
  await runTo(second, 3, 4, [4]);
  for (const name of ['metrics.jsonl', 'dialogues.jsonl', 'config.yaml'])
    t.is(await readFile(path.join(killed, name), 'utf8'), await readFile(path.join(whole, name), 'utf8'), name);
  t.deepEqual((await readdir(path.join(killed, 'checkpoints'))).sort(), ['step-000002', 'step-000004']);
});

test('a run killed ahead of its first checkpoint starts from the beginning, with the difficulties it had', async (t) => {
  const output = await temporary();
  const table = {estimator: 'field', difficulties: {q1: 0.5}, parseRate: 1} as const;
  const first = await open(t, output, false);
  await first.difficulty(table);
  await first.step({step: 0});
  await first.step({step: 1});
  const found = await findRun(output, true);
  t.regex(found.warnings[0] ?? '', /no checkpoint: the run starts from the beginning/);
  const second = await open(t, output, true);
  t.is(await second.resumeFrom(), undefined);
  t.deepEqual(await second.knownDifficulty(), table);
  t.is(await readFile(path.join(output, 'metrics.jsonl'), 'utf8'), '');
  const other = await open(t, output, true, {difficulty: {samples: 9}});
  t.is(await other.knownDifficulty(), undefined, 'another config computes them again');
});

test('who wrote each token is in dialogues.jsonl', async (t) => {
  const output = await temporary();
  const folder = await open(t, output, false);
  const {dialogue: _, ...solo} = group;
  await folder.dialogues(1, [{...solo, stage: 'solo'}, group]);
  const lines = (await readFile(path.join(output, 'dialogues.jsonl'), 'utf8')).trimEnd().split('\n');
  t.deepEqual(
    lines.map((line) => JSON.parse(line).turns),
    [
      [{author: 'user', role: 'question', text: '1+1', ids: [1, 2]}],
      [
        {author: 'user', role: 'question', text: '1+1', ids: [5]},
        {author: 'ada', role: 'share', text: '2', ids: [6, 7]},
      ],
    ],
  );
  t.deepEqual(JSON.parse(lines[1] ?? '').rollouts, [
    {
      author: 'ada',
      role: 'fuse',
      text: '3',
      ids: [8, 9],
      reward: 0.1,
      isCorrect: false,
      isWellFormed: true,
      finishReason: 'stop',
    },
  ]);
});

test('a folder with something in it is not written to without resume', async (t) => {
  const output = await temporary();
  await writeFile(path.join(output, 'precious.txt'), '');
  const error = await t.throwsAsync(findRun(output, false), {instanceOf: IlrError, message: /not empty.*--resume/});
  t.is((error as IlrError).code, 'ILR_INVALID_ARGUMENT');
  await t.throwsAsync(findRun(output, true), {message: /no config\.yaml/});
});

test('a damaged checkpoint is passed over with a warning and set aside, so that pruning spares the good one', async (t) => {
  const output = await temporary();
  const first = await open(t, output, false, {save: {keep: 1}});
  await first.checkpoint(stateAt(1), [agentAt(1)]);
  const second = await open(t, output, true, {save: {keep: 2}});
  await second.checkpoint(stateAt(2), [agentAt(2)]);
  await truncate(path.join(output, 'checkpoints', 'step-000002', 'ada', 'model.safetensors'), 4);
  const found = await findRun(output, true);
  t.regex(found.warnings[0] ?? '', /model\.safetensors: expected \d+ bytes, found 4.*Going on from step 1/);
  const third = await open(t, output, true, {save: {keep: 1}});
  t.deepEqual(await third.resumeFrom(), stateAt(1));
  t.deepEqual((await readdir(path.join(output, 'checkpoints'))).sort(), ['damaged-step-000002', 'step-000001']);
});

test('a changed config is refused with the key', async (t) => {
  const output = await temporary();
  const first = await open(t, output, false);
  await first.checkpoint(stateAt(1), [agentAt(1)]);
  const error = await t.throwsAsync(open(t, output, true, {optimizer: {learningRate: 0.5}}), {instanceOf: IlrError});
  t.is((error as IlrError).code, 'ILR_CHECKPOINT');
  t.regex(error?.message ?? '', /optimizer\.learningRate: 0\.000001 in the checkpoint, 0\.5 now/);
  await t.notThrowsAsync(open(t, output, true, {steps: 7, eval: {every: 1}}));
});

test('finish writes models without optimisers, and again in place of earlier ones', async (t) => {
  const output = await temporary();
  const folder = await open(t, output, false);
  await folder.finish([agentAt(1)]);
  t.is(await folder.finish([agentAt(2)]), path.join(output, 'final'));
  t.deepEqual(await readdir(path.join(output, 'final', 'ada')), ['model.safetensors', 'tokenizer.json']);
  t.is(await readFile(path.join(output, 'final', 'ada', 'model.safetensors'), 'utf8'), 'weights of 2');
});

test('an output folder that another living process trains in is refused, a dead one is not', async (t) => {
  const output = await temporary();
  const stat = await readFile(`/proc/${process.ppid}/stat`, 'utf8');
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  await writeFile(path.join(output, 'config.yaml'), '');
  await writeFile(path.join(output, 'run.lock'), `${process.ppid} ${started}`);
  await t.throwsAsync(open(t, output, true), {message: new RegExp(`process ${process.ppid} is training in`)});
  await writeFile(path.join(output, 'run.lock'), `${process.ppid} 1`);
  const folder = await RunFolder.open({found: await findRun(output, true), identity: identity(), sideFiles: []});
  await folder.step({step: 0});
  await folder.close();
  t.false((await readdir(output)).includes('run.lock'));
});

test('an agent folder remembers how the agent was asked, and carries tokenizer and generation settings', async (t) => {
  const model = await temporary();
  for (const name of ['tokenizer.json', 'generation_config.json', 'chat_template.jinja', 'notes.txt'])
    await writeFile(path.join(model, name), name);
  const {config} = identity({
    agents: [{name: 'ada', model, system: 'Be brief.', chat: {enable_thinking: false}, temperature: 0.7}],
    dialogue: {prompts: {share: 'Q: {question}'}, maxNewTokens: {share: 48}},
  });
  const files = await readSideFiles(model, model, profileOf(config, 0));
  t.deepEqual([...files.keys()], ['tokenizer.json', 'chat_template.jinja', 'generation_config.json', 'ilr.json']);
  await writeFile(path.join(model, 'ilr.json'), files.get('ilr.json') ?? '');
  t.deepEqual(await readProfile(model), {
    format: 1,
    system: 'Be brief.',
    chat: {enable_thinking: false},
    template: 'auto',
    temperature: 0.7,
    prompt: 'Q: {question}',
    maxNewTokens: 48,
    dialogue: config.dialogue,
  });
  await writeFile(path.join(model, 'ilr.json'), '{"format":2}');
  await t.throwsAsync(readProfile(model), {code: 'ILR_INVALID_MODEL', message: /ilr\.json/});
});

test('metrics are read back, without a line that is half written, and compared without the clock', async (t) => {
  const file = path.join(await temporary(), 'metrics.jsonl');
  await writeFile(file, '{"step":1,"loss":2,"seconds":3,"tokensPerSecond":4}\n{"step":2,"los');
  const metrics = await readMetrics(file);
  t.is(metrics.length, 1);
  t.deepEqual(metrics.map(withoutClock), [{step: 1, loss: 2}]);
});

test('a run that fails before it measured anything leaves no folder', async (t) => {
  const output = path.join(await temporary(), 'out');
  const options = {found: await findRun(output, false), identity: identity(), sideFiles: []};
  const first = await RunFolder.open(options);
  await first.close();
  t.false(existsSync(output));
  await mkdir(output);
  await writeFile(path.join(output, 'notes.txt'), 'mine');
  const second = await RunFolder.open(options);
  await second.close();
  t.deepEqual(await readdir(output), ['notes.txt']);
});
