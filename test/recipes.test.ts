import {readdir, readFile} from 'node:fs/promises';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {parse} from 'yaml';
import {runSchema} from '../src/config.js';
import {readConfigFile} from '../src/config-file.js';

const recipes = fileURLToPath(new URL('../../recipes/', import.meta.url));

test('every recipe is a configuration', async (t) => {
  const files = (await readdir(recipes)).filter((file) => file.endsWith('.yaml'));
  t.true(files.length >= 2);
  for (const file of files) {
    const {config} = await readConfigFile(`${recipes}${file}`, []);
    t.is(config.method, 'ilr');
    t.is(config.agents.length, 2);
  }
});

test('the settings that docs/paper.md shows are settings', async (t) => {
  const text = await readFile(fileURLToPath(new URL('../../docs/paper.md', import.meta.url)), 'utf8');
  const shown = [...text.matchAll(/^```yaml\n(.*?)^```/gms)].map(([, block]) => parse(block as string));
  t.true(shown.length >= 2);
  const agents = ['a', 'b'].map((name) => ({name, model: name}));
  const configs = shown.map((settings) => runSchema.parse({agents, data: {train: 'questions.jsonl'}, ...settings}));
  t.like(configs[0]?.loss, {type: 'grpo', ratio: 'sequence', epsilonLow: 3e-4, epsilonHigh: 4e-4});
});
