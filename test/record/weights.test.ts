import path from 'node:path';
import test from 'ava';
import {findWeights} from '../../src/record/weights.js';
import {folderWith} from '../helpers/folder.js';

test("an adapter's base is a folder, else the model that was pulled under its id", async (t) => {
  const base = await folderWith(t, {
    'adapter/adapter_config.json': {base_model_name_or_path: 'owner/tiny'},
    'cache/models/owner/tiny/config.json': {},
  });
  const adapter = path.join(base, 'adapter');
  process.env.ILR_CACHE = path.join(base, 'nothing');
  await t.throwsAsync(findWeights(adapter), {
    code: 'ILR_INVALID_MODEL',
    message:
      /got "owner\/tiny", where there is no config\.json; name the base with --base <folder>; .*ilr-native pull owner\/tiny/,
  });
  process.env.ILR_CACHE = path.join(base, 'cache');
  t.deepEqual(await findWeights(adapter), {
    model: path.join(base, 'cache', 'models', 'owner', 'tiny'),
    adapter: {folder: adapter},
  });
});
