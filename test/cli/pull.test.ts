import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {readdir, readFile, stat} from 'node:fs/promises';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import test, {type ExecutionContext} from 'ava';
import {wantedOf} from '../../src/cli/pull.js';
import {benchmarks, readBenchmark} from '../../src/data/benchmarks.js';
import {packageRoot} from '../../src/native/paths.js';
import {folderWith} from '../helpers/folder.js';
import {FakeHub, type Fault, noise, tinyRepository} from '../helpers/hub.js';

const bin = path.join(packageRoot(), 'bin', 'ilr-native.js');
const token = 'hf_verysecrettoken';
const weights = noise(2_000_000);

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

function start(args: readonly string[], env: Readonly<Record<string, string>>): Started {
  const child = spawn(process.execPath, [bin, ...args], {env: {PATH: process.env.PATH, ...env}});
  const text = {stdout: '', stderr: ''};
  child.stdout.on('data', (chunk: Buffer) => {
    text.stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    text.stderr += chunk.toString();
  });
  return {child, ended: once(child, 'close').then(([code]) => ({code: code as number | null, ...text}))};
}

async function opened(t: ExecutionContext, env: Readonly<Record<string, string>> = {}) {
  const hub = await FakeHub.start(t, {'models/owner/tiny': tinyRepository(weights)});
  const home = await folderWith(t);
  const all = {HOME: home, HF_ENDPOINT: hub.endpoint, HF_TOKEN: token, ...env};
  const run = (...args: readonly string[]) => start(args, all);
  return {hub, run, env: all, pulled: path.join(home, '.cache', 'ilr-native', 'models', 'owner', 'tiny')};
}

/** Sends the first half, then nothing. */
const halfThenNothing: Fault = (_, response, bytes) => {
  response.writeHead(200, {'content-length': bytes.length});
  response.write(bytes.subarray(0, bytes.length / 2));
};

/** The size of the largest part, once it is this large. */
async function grown(folder: string, least: number): Promise<number> {
  for (;;) {
    const state = path.join(folder, '.ilr-pull');
    const parts = (await readdir(state).catch(() => [])).filter((name) => name.endsWith('.incomplete'));
    const sizes = await Promise.all(parts.map(async (name) => (await stat(path.join(state, name))).size));
    const largest = Math.max(0, ...sizes);
    if (largest >= least) return largest;
    await sleep(20);
  }
}

test('a pulled model is found by its id', async (t) => {
  const {run, pulled} = await opened(t);
  const {code, stdout, stderr} = await run('pull', 'owner/tiny').ended;
  t.is(code, 0, stderr);
  t.regex(stdout, /owner\/tiny, commit cccccccccccc: 5 files to download, 2\.0 MB/);
  t.regex(stdout, /downloaded model\.safetensors \(2\.0 MB\)/);
  t.true(
    stdout.includes(`owner/tiny (commit cccccccccccc) is in ${pulled}: 5 files, 2.0 MB, checked; 2.0 MB downloaded.`),
  );
  t.regex(stdout, /To try it: ilr-native sample owner\/tiny 'What is 2 \+ 2\?'\n.*model: owner\/tiny}/);
  t.deepEqual(await readFile(path.join(pulled, 'model.safetensors')), weights);
  t.false((stdout + stderr).includes(token));

  const again = await run('pull', 'owner/tiny').ended;
  t.regex(again.stdout, /checked; nothing to download\./);
  // it is opened, and refused only because its bytes are noise
  const sample = await run('sample', 'owner/tiny', 'x').ended;
  t.notRegex(sample.stderr, /ilr-native pull/);
  const other = await run('sample', 'owner/other', 'x').ended;
  t.is(other.code, 1);
  t.regex(other.stderr, /if it is a model of the Hugging Face Hub: ilr-native pull owner\/other/);
});

test('a configuration that names a model which was not pulled says which command gets it', async (t) => {
  const {run} = await opened(t);
  const folder = await folderWith(t, {
    'run.yaml': 'agents:\n  - {name: a, model: owner/absent}\ndata: {train: train.jsonl}\n',
    'train.jsonl': '{"question": "1 + 1", "answer": "2"}\n',
  });
  for (const command of ['train', 'estimate']) {
    const {code, stderr} = await run(command, path.join(folder, 'run.yaml')).ended;
    t.is(code, 1);
    t.regex(stderr, /agent a: expected a model folder.*ilr-native pull owner\/absent/);
  }
});

test('--json prints the result alone', async (t) => {
  const {run, pulled} = await opened(t);
  const {code, stdout, stderr} = await run('pull', 'owner/tiny', '--json').ended;
  t.is(code, 0);
  const result = JSON.parse(stdout);
  t.is(result.folder, pulled);
  t.is(result.commit, 'c'.repeat(40));
  t.is(result.files.length, 5);
  t.is(result.receivedBytes, result.bytes);
  t.regex(stderr, /downloaded config\.json/);
});

test('a download that was killed goes on where it was, to the same bytes', async (t) => {
  const {hub, run, pulled} = await opened(t);
  hub.fail('model.safetensors', halfThenNothing);
  const {child, ended} = run('pull', 'owner/tiny');
  const size = await grown(pulled, 900_000);
  child.kill('SIGKILL');
  await ended;
  await t.throwsAsync(
    stat(path.join(pulled, 'config.json')),
    {code: 'ENOENT'},
    'nothing has a name before all is there',
  );
  const {code, stderr} = await run('pull', 'owner/tiny').ended;
  t.is(code, 0, stderr);
  t.deepEqual(await readFile(path.join(pulled, 'model.safetensors')), weights);
  const from = Number(/^bytes=(\d+)-$/.exec(hub.asked('model.safetensors').at(-1)?.headers.range ?? '')?.[1]);
  t.true(from >= size);
  t.deepEqual((await readdir(path.join(pulled, '.ilr-pull'))).sort(), ['record.json']);
});

test('Ctrl-C keeps what is there and says how to go on', async (t) => {
  const {hub, run, pulled} = await opened(t);
  hub.fail('model.safetensors', halfThenNothing);
  const {child, ended} = run('pull', 'owner/tiny');
  await grown(pulled, 900_000);
  child.kill('SIGINT');
  const {code, stdout} = await ended;
  t.is(code, 130);
  t.regex(stdout, /Stopped; what was downloaded is kept\. To go on: ilr-native pull owner\/tiny\n$/);
  const again = await run('pull', 'owner/tiny', '--json').ended;
  t.is(again.code, 0);
  t.true(JSON.parse(again.stdout).receivedBytes < 1_100_000);
  t.deepEqual(await readFile(path.join(pulled, 'model.safetensors')), weights);
});

test('a second pull of the same folder waits for the first', async (t) => {
  const {hub, run, pulled} = await opened(t);
  hub.fail('model.safetensors', halfThenNothing);
  const first = run('pull', 'owner/tiny');
  await grown(pulled, 900_000);
  const second = run('pull', 'owner/tiny');
  const waits = once(second.child.stdout as NodeJS.ReadableStream, 'data');
  t.regex(String((await waits)[0]), new RegExp(`Waiting for process ${first.child.pid}, which writes to `));
  first.child.kill('SIGKILL');
  await first.ended;
  t.is((await second.ended).code, 0);
  t.deepEqual(await readFile(path.join(pulled, 'model.safetensors')), weights);
});

test('a disk that takes no more keeps what is there, and says so', async (t) => {
  const {hub, env, run, pulled} = await opened(t);
  // A limit on the size of files stands for the disk: in blocks of 512 bytes or 1 KB, by the shell.
  const script = `trap '' XFSZ; ulimit -f 500; exec "$0" "$@"`;
  const child = spawn('sh', ['-c', script, process.execPath, bin, 'pull', 'owner/tiny'], {
    env: {PATH: process.env.PATH, ...env},
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const [code] = await once(child, 'close');
  t.is(code, 1);
  t.regex(
    stderr,
    /error: writing .*\.incomplete: the file would be larger than is allowed.*EFBIG[\s\S]*To go on: ilr-native pull owner\/tiny/,
  );
  const size = await grown(pulled, 100_000);
  t.is((await run('pull', 'owner/tiny').ended).code, 0);
  t.is(hub.asked('model.safetensors').at(-1)?.headers.range, `bytes=${size}-`);
  t.deepEqual(await readFile(path.join(pulled, 'model.safetensors')), weights);
});

test('what is no model, data set or known name is refused with the known names', (t) => {
  for (const what of [
    '../etc',
    'a/b/c',
    'gsm9k!',
    'datasets/',
    'models/',
    'a--b',
    'a/b.git',
    '.a/b',
    'https://huggingface.co/a/b',
    '',
  ])
    t.throws(() => wantedOf(what, {}, {HOME: '/home/a'}), {
      code: 'ILR_INVALID_ARGUMENT',
      message: /^expected a model of the Hugging Face Hub.*nor is it one of the known data sets: .*gsm8k/,
    });
  t.is(wantedOf('gpt2', {}, {HOME: '/home/a'}).folder, '/home/a/.cache/ilr-native/models/gpt2');
  t.deepEqual(wantedOf('models/owner/a', {}, {HOME: '/home/a'}).repository, {kind: 'model', id: 'owner/a'});
  t.deepEqual(wantedOf('datasets/squad', {}, {HOME: '/home/a'}).repository, {kind: 'dataset', id: 'squad'});
});

test('every known data set names a repository, and its files are taken to where it is looked for', (t) => {
  for (const {name, hub} of benchmarks) {
    const wanted = wantedOf(name, {}, {HOME: '/home/a'});
    t.is(wanted.folder, `/home/a/.cache/ilr-native/datasets/${name}`);
    t.deepEqual(wanted.repository, {kind: 'dataset', id: hub.repo});
    t.deepEqual(wanted.include, hub.files);
    t.true(hub.files.length > 0 && hub.files.every((file) => !/[*?[\\]|^\/|\.\./.test(file)));
  }
});

test('a known data set is read after it was pulled', async (t) => {
  const rows = `${JSON.stringify({problem: 'What is 1 + 1?', solution: '\\boxed{2}', answer: '2', subject: 'Algebra', level: 1, unique_id: 'test/algebra/1.json'})}\n`;
  const {hub, run, env} = await opened(t);
  const known = benchmarks.find(({name}) => name === 'math500');
  hub.repositories.set(`datasets/${known?.hub.repo}`, {files: {'test.jsonl': rows, 'README.md': 'x'}});
  const {code, stdout, stderr} = await run('pull', 'MATH-500').ended;
  t.is(code, 0, stderr);
  t.regex(stdout, /1 file, .*checked/);
  t.regex(stdout, /To use it: ilr-native eval <model> --benchmarks math500/);
  t.is(hub.asked('README').length, 0);
  const {questions} = await readBenchmark('math500', {env});
  t.is(questions[0]?.text, 'What is 1 + 1?');
  t.is(questions[0]?.answer, '2');
});
