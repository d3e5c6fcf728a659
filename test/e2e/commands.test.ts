import {type ChildProcessByStdio, type ChildProcessWithoutNullStreams, spawn} from 'node:child_process';
import {appendFile, cp, mkdtemp, readdir, readFile, rm, truncate, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import type {Readable} from 'node:stream';
import test from 'ava';
import {packageRoot} from '../../src/native/paths.js';
import {latestCheckpoint} from '../../src/record/checkpoint.js';
import {readMetrics, withoutClock} from '../../src/record/metrics.js';
import {type ReadEvent, readEvents} from '../helpers/events.js';
import {readMarkup, textOf} from '../helpers/markup.js';
import {writeTinyRun} from '../helpers/tiny-run.js';

const cli = path.join(packageRoot(), 'bin', 'ilr-native.js');
const base = await mkdtemp(path.join(tmpdir(), 'ilr-commands-'));
test.before(async () => {
  await writeTinyRun(base);
});
test.after.always(() => rm(base, {recursive: true, force: true}));

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

/** @param onOutput - Sees all output so far, and may signal the process. */
function ilr(
  args: readonly string[],
  {
    cwd = base,
    onOutput,
    shell,
  }: {
    cwd?: string;
    onOutput?: (text: string, interrupt: () => void) => void;
    shell?: string;
  } = {},
): Promise<Ended> {
  const command =
    shell === undefined
      ? [process.execPath, cli, ...args]
      : ['sh', '-c', `${shell}; exec "$0" "$@"`, process.execPath, cli, ...args];
  const [file, ...rest] = command as [string, ...string[]];
  return ended(spawn(file, rest, {cwd, stdio: ['ignore', 'pipe', 'pipe']}), onOutput);
}

function ended(
  child: ChildProcessByStdio<null, Readable, Readable> | ChildProcessWithoutNullStreams,
  onOutput: (text: string, interrupt: () => void) => void = () => {},
): Promise<Ended> {
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    onOutput(output, () => child.kill('SIGINT'));
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({code, output, errors})));
}

/** A copy of the run's inputs that a test may harm. */
async function copyOfBase(): Promise<string> {
  const folder = await mkdtemp(path.join(base, 'case-'));
  for (const name of ['agents', 'questions.jsonl', 'reward.mjs', 'config.yaml'])
    await cp(path.join(base, name), path.join(folder, name), {recursive: true});
  return folder;
}

interface WrongInput {
  readonly what: string;
  readonly harm?: (folder: string) => Promise<unknown>;
  readonly set?: readonly string[];
  readonly message: RegExp;
}

const model = (folder: string, file: string) => path.join(folder, 'agents', 'bob', file);

async function editJson(file: string, changes: object): Promise<void> {
  await writeFile(file, JSON.stringify({...JSON.parse(await readFile(file, 'utf8')), ...changes}));
}

const wrongInputs: readonly WrongInput[] = [
  {
    what: 'missing safetensors',
    harm: (folder) => rm(model(folder, 'model.safetensors')),
    message: /agents\/bob.*safetensors/,
  },
  {
    what: 'truncated safetensors',
    harm: (folder) => truncate(model(folder, 'model.safetensors'), 20_000),
    message: /agents\/bob\/model\.safetensors/,
  },
  {
    what: 'a model folder that is not there',
    harm: (folder) => rm(path.join(folder, 'agents', 'bob'), {recursive: true}),
    message: /agents\/bob/,
  },
  {
    what: 'a config.json that does not fit the weights',
    harm: (folder) => editJson(model(folder, 'config.json'), {intermediate_size: 96}),
    message: /(96|mlp|gate|up_proj|down_proj)/,
  },
  {
    what: 'a config.json of nonsense',
    harm: (folder) => editJson(model(folder, 'config.json'), {num_attention_heads: 0}),
    message: /num_attention_heads/,
  },
  {
    what: 'a tokenizer of another model',
    harm: async (folder) => {
      const file = model(folder, 'tokenizer.json');
      const json = JSON.parse(await readFile(file, 'utf8'));
      for (let id = 100; id < 400; id++) json.model.vocab[`piece${id}`] = id;
      await writeFile(file, JSON.stringify(json));
    },
    message: /tokenizer.* 400/,
  },
  {
    what: 'a question file with a broken line',
    harm: (folder) => appendFile(path.join(folder, 'questions.jsonl'), '{"question": "1+1=?", "answ\n'),
    message: /questions\.jsonl:25: expected/,
  },
  {
    what: 'an empty question file',
    harm: (folder) => writeFile(path.join(folder, 'questions.jsonl'), ''),
    message: /questions\.jsonl: expected at least one question/,
  },
  {
    what: 'a question longer than the context',
    harm: (folder) =>
      appendFile(
        path.join(folder, 'questions.jsonl'),
        `${JSON.stringify({id: 'long', question: '1+'.repeat(100), answer: 1})}\n`,
      ),
    message: /long.*(context|160)/s,
  },
  {what: 'a group of one', set: ['groupSize=1'], message: /groupSize.*at least 2/s},
  {what: 'a setting that reaches for prototypes', set: ['__proto__.x=1'], message: /__proto__/},
  {
    what: 'an unknown key',
    harm: (folder) => appendFile(path.join(folder, 'config.yaml'), 'groupsize: 4\n'),
    message: /config\.yaml:\d+:1: .*groupsize.*groupSize/s,
  },
  {what: 'a setting of the wrong type', set: ['steps=many'], message: /steps.*expected.*many/s},
  {
    what: 'YAML that is none',
    harm: (folder) => appendFile(path.join(folder, 'config.yaml'), ': ]\n'),
    message: /config\.yaml:\d+:\d+/,
  },
  {what: 'a GPU where there is none', set: ['device=cuda:99'], message: /cuda/i},
];

for (const {what, harm, set = [], message} of wrongInputs)
  test(`train refuses ${what} with exit code 1 and writes nothing`, async (t) => {
    const folder = await copyOfBase();
    await harm?.(folder);
    const settings = set.flatMap((value) => ['--set', value]);
    const {code, errors} = await ilr(['train', 'config.yaml', '--output', 'out', ...settings], {cwd: folder});
    t.is(code, 1, errors);
    t.regex(errors, /^error: (?!unexpected)/);
    t.regex(errors, message);
    t.notRegex(errors, /\n {4}at /, 'no stack trace');
    t.false((await readdir(folder)).includes('out'));
  });

test('the wrong-input runs fail for their own reason: without harm the run succeeds, and a second one is refused', async (t) => {
  const folder = await copyOfBase();
  const args = ['train', 'config.yaml', '--output', 'out', '--set', 'steps=1'];
  const first = await ilr(args, {cwd: folder});
  t.is(first.code, 0, first.errors);
  t.regex(first.output, /^step 1\/1 \| ann .* \| bob /m);
  t.regex(first.output, /Done\. The trained agents are in out\/final/);
  const second = await ilr(args, {cwd: folder});
  t.is(second.code, 1);
  t.regex(second.errors, /out is not empty: add --resume/);
  t.is((await ilr([...args, '--resume'], {cwd: folder})).code, 0, 'resuming a finished run is no error');
});

test('a file that cannot be written at save is ILR_IO; the checkpoint before stays, and the run goes on from it', async (t) => {
  const folder = await copyOfBase();
  const args = ['train', 'config.yaml', '--output', 'out', '--set', 'save.every=1', '--set', 'save.best=false'];
  const begun = await ilr([...args, '--set', 'steps=1'], {cwd: folder});
  t.is(begun.code, 0, begun.errors);
  // The largest file that is written may have 64 × 512 bytes: less than the weights. What is there already counts only when it grows.
  const failed = await ilr([...args, '--set', 'steps=2', '--resume'], {
    cwd: folder,
    shell: "trap '' XFSZ; ulimit -f 64",
  });
  t.is(failed.code, 1, failed.output);
  t.regex(failed.errors, /^error: .*(too large|larger than is allowed|space)/);
  t.notRegex(failed.errors, /unexpected/);
  t.regex(failed.errors, /To go on: ilr-native train config\.yaml .*--resume/);
  const {checkpoint, damaged} = await latestCheckpoint(path.join(folder, 'out', 'checkpoints'));
  t.is(checkpoint?.manifest.step, 1);
  t.deepEqual(damaged, []);
  const after = await ilr([...args, '--set', 'steps=2', '--resume'], {cwd: folder});
  t.is(after.code, 0, after.errors);
});

test('Ctrl-C finishes the step, saves and tells the command that goes on; that command ends like a run never stopped', async (t) => {
  const folder = await copyOfBase();
  const whole = await ilr(['train', 'config.yaml', '--output', 'whole'], {cwd: folder});
  t.is(whole.code, 0, whole.errors);
  let isSent = false;
  const stopped = await ilr(['train', 'config.yaml', '--output', 'stopped'], {
    cwd: folder,
    onOutput: (text, interrupt) => {
      if (isSent || !text.includes('step 1/')) return;
      isSent = true;
      interrupt();
    },
  });
  t.is(stopped.code, 130, stopped.errors);
  t.regex(stopped.output, /Stopped after step \d, which is saved\./);
  const command = /To go on: ilr-native (.*)/.exec(stopped.output)?.[1] ?? '';
  t.is(command, 'train config.yaml --output stopped --resume');
  const resumed = await ilr(command.split(' '), {cwd: folder});
  t.is(resumed.code, 0, resumed.errors);
  const metrics = async (output: string) =>
    (await readMetrics(path.join(folder, output, 'metrics.jsonl'))).map(withoutClock);
  t.deepEqual(await metrics('stopped'), await metrics('whole'));
  // The other forms of the metrics hold each step once as well, and a page of the run lies beside them.
  const events = async (output: string) => {
    const names = (await readdir(path.join(folder, output))).filter((name) => name.includes('tfevents')).sort();
    const files = await Promise.all(names.map((name) => readFile(path.join(folder, output, name))));
    return files.flatMap(readEvents).filter(({scalars}) => scalars !== undefined);
  };
  const lossOf = (found: readonly ReadEvent[]) => found.map(({step, scalars}) => [step, scalars?.['ann/loss']]);
  t.deepEqual(lossOf(await events('stopped')), lossOf(await events('whole')));
  t.true((await events('whole')).length > 1);
  for (const output of ['whole', 'stopped']) {
    const page = readMarkup(await readFile(path.join(folder, output, 'report.html'), 'utf8'));
    t.regex(textOf(page), /Finished after \d steps?\./);
  }
});

test('a second Ctrl-C stops at once with what is saved, and the run can go on', async (t) => {
  const folder = await copyOfBase();
  const args = ['train', 'config.yaml', '--output', 'out', '--set', 'questionsPerStep=20', '--set', 'groupSize=64'];
  let sent = 0;
  const stopped = await ilr(args, {
    cwd: folder,
    onOutput: (text, interrupt) => {
      if ((sent === 0 && text.includes('step 1/')) || (sent === 1 && text.includes('Stopping after this step'))) {
        sent++;
        interrupt();
      }
    },
  });
  t.is(stopped.code, 130, stopped.errors);
  t.regex(stopped.output, /Stopped at once/);
  const {checkpoint} = await latestCheckpoint(path.join(folder, 'out', 'checkpoints'));
  t.true((checkpoint?.manifest.step ?? 0) >= 1, 'at most the step under way is lost');
  const resumed = await ilr([...args, '--resume', '--set', 'steps=3'], {cwd: folder});
  t.is(resumed.code, 0, resumed.errors);
});

test('sample streams an answer, the same for the same seed, and takes a prompt that is too long for an error', async (t) => {
  const ask = (...args: string[]) => ilr(['sample', 'agents/ann', ...args, '--max-new-tokens', '8', '--seed', '4']);
  const first = await ask('1+1=?');
  t.is(first.code, 0, first.errors);
  t.regex(first.errors, /\d+ tokens, .* tokens\/s/);
  t.is((await ask('1+1=?')).output, first.output);
  t.is((await ask('1+1=?', '--raw', '--temperature', '0')).code, 0);
  const long = await ask('1'.repeat(200));
  t.is(long.code, 1);
  t.regex(long.errors, /^error: (?!unexpected).*160/s);
  const none = await ilr(['sample', 'nowhere', 'hello']);
  t.is(none.code, 1);
  t.regex(none.errors, /nowhere: expected a model folder/);
});

test('eval measures a model, and each agent of a run, with intervals', async (t) => {
  const folder = await copyOfBase();
  const trained = await ilr(['train', 'config.yaml', '--output', 'out', '--set', 'steps=1'], {cwd: folder});
  t.is(trained.code, 0, trained.errors);
  const args = ['--data', 'questions.jsonl', '--questions', '6', '--samples', '2', '--max-new-tokens', '8'];
  const one = await ilr(['eval', 'agents/ann', ...args, '--json', '--reward', 'reward.mjs'], {cwd: folder});
  t.is(one.code, 0, one.errors);
  const [report] = JSON.parse(one.output);
  t.like(report, {model: 'ann', questions: 6, samples: 2, wellFormed: 1});
  t.true(report.greedy.low <= report.greedy.mean && report.greedy.mean <= report.greedy.high);
  for (const place of ['out', 'out/checkpoints/step-000001', 'out/final']) {
    const both = await ilr(['eval', place, ...args], {cwd: folder});
    t.is(both.code, 0, both.errors);
    t.regex(both.output, /^model +questions +greedy % \[95 %\].*\nann +6 .*\nbob +6 /);
  }
  const broken = await ilr(['eval', 'agents/ann', '--data', 'reward.mjs'], {cwd: folder});
  t.is(broken.code, 1);
  t.regex(broken.errors, /reward\.mjs:1: expected/);
});

test('a run is evaluated on eval.data, where that is not data.test', async (t) => {
  const folder = await copyOfBase();
  const args = ['train', 'config.yaml', '--output', 'out', '--set', 'steps=1', '--set', 'data.test=nowhere.jsonl'];
  const without = await ilr(args, {cwd: folder});
  t.is(without.code, 1);
  t.regex(without.errors, /nowhere\.jsonl/);
  const {code, errors} = await ilr([...args, '--set', 'eval.data=questions.jsonl'], {cwd: folder});
  t.is(code, 0, errors);
  const [, last] = await readMetrics(path.join(folder, 'out', 'metrics.jsonl'));
  t.is(typeof last?.['ann/eval/greedy'], 'number');
});

test('the example of embedding trains for ten steps and lets the trained agent answer', async (t) => {
  const example = path.join(packageRoot(), 'examples', 'embed.mjs');
  const {code, output, errors} = await ended(spawn(process.execPath, [example, path.join(base, 'config.yaml')]));
  t.is(code, 0, errors);
  t.regex(output, /^step 10: ann \d\.\d\d, bob \d\.\d\d\nann answers 10\+0=\?\n[\s\S]+\n$/m);
  t.true((await readFile(example, 'utf8')).split('\n').length <= 40);
});
