import {cp, rename, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {modelIdentity} from '../../src/eval/identity.js';
import {folderWith} from '../helpers/folder.js';

const files = {
  'model/model.safetensors': 'weights',
  'model/config.json': {hidden_size: 8},
  'model/tokenizer.json': {},
  'model/chat_template.jinja': '{{ messages }}',
  'adapter/adapter_model.safetensors': 'a and b',
  'adapter/adapter_config.json': {r: 8},
};

test('a model is what its files hold, wherever they lie', async (t) => {
  const folder = await folderWith(t, files);
  const model = path.join(folder, 'model');
  const first = await modelIdentity(model, {model});
  await rename(model, path.join(folder, 'moved'));
  const moved = path.join(folder, 'moved');
  t.is(await modelIdentity(moved, {model: moved}), first);
  await writeFile(path.join(moved, 'optimizer.safetensors'), 'moments');
  await writeFile(path.join(moved, 'README.md'), 'notes');
  t.is(await modelIdentity(moved, {model: moved}), first);
  for (const name of ['model.safetensors', 'config.json', 'tokenizer.json', 'chat_template.jinja', 'ilr.json']) {
    const changed = path.join(folder, `changed-${name}`);
    await cp(moved, changed, {recursive: true});
    await writeFile(path.join(changed, name), 'other');
    t.not(await modelIdentity(changed, {model: changed}), first, name);
  }
});

test('an adapter is itself and its base', async (t) => {
  const folder = await folderWith(t, files);
  const [model, adapter] = [path.join(folder, 'model'), path.join(folder, 'adapter')];
  const first = await modelIdentity(adapter, {model, adapter: {folder: adapter}});
  t.not(first, await modelIdentity(model, {model}));
  await writeFile(path.join(model, 'model.safetensors'), 'other weights');
  t.not(await modelIdentity(adapter, {model, adapter: {folder: adapter}}), first);
});
