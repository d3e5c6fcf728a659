import {readdir} from 'node:fs/promises';
import {fileURLToPath} from 'node:url';
import test from 'ava';
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
