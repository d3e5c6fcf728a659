import {spawn} from 'node:child_process';
import {readdir, readFile, rm} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {packageRoot} from '../../src/native/paths.js';
import {readMetrics} from '../../src/record/metrics.js';
import {folderWith} from '../helpers/folder.js';
import {FakeHub} from '../helpers/hub.js';
import {writeTinyRun} from '../helpers/tiny-run.js';

const cli = path.join(packageRoot(), 'bin', 'ilr-native.js');

test('models that were pulled are trained, sampled and go on by their ids', async (t) => {
  const base = await folderWith(t);
  const {agents} = await writeTinyRun(base, {
    agents: ['ann', 'bob'].map((name) => ({name, model: `tiny/${name}`})),
    steps: 2,
    eval: {every: 0},
    output: path.join(base, 'run'),
  });
  const repositories = await Promise.all(
    ['ann', 'bob'].map(async (name) => {
      const names = await readdir(path.join(agents, name));
      const files = await Promise.all(names.map(async (file) => [file, await readFile(path.join(agents, name, file))]));
      return [`models/tiny/${name}`, {files: Object.fromEntries(files), large: ['model.safetensors']}];
    }),
  );
  const hub = await FakeHub.start(t, Object.fromEntries(repositories));
  await rm(agents, {recursive: true});
  const env = {...process.env, HF_ENDPOINT: hub.endpoint, XDG_CACHE_HOME: path.join(base, 'cache'), ILR_CACHE: ''};
  const run = (...args: readonly string[]) =>
    new Promise<{code: number | null; text: string}>((resolve) => {
      const child = spawn(process.execPath, [cli, ...args], {cwd: base, env});
      let text = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
      child.on('close', (code) => resolve({code, text}));
    });
  const refused = await run('train', 'config.yaml');
  t.regex(refused.text, /agent ann: expected a model folder.*ilr-native pull tiny\/ann/);
  for (const name of ['ann', 'bob']) t.is((await run('pull', `tiny/${name}`)).code, 0);
  const trained = await run('train', 'config.yaml');
  t.is(trained.code, 0, trained.text);
  t.is((await readMetrics(path.join(base, 'run', 'metrics.jsonl'))).at(-1)?.step, 2);
  const sampled = await run('sample', 'tiny/bob', '1+1=?', '--max-new-tokens', '4');
  t.is(sampled.code, 0, sampled.text);
  const resumed = await run('train', 'config.yaml', '--resume');
  t.is(resumed.code, 0, resumed.text);
});
