import {readFile, stat} from 'node:fs/promises';
import path from 'node:path';
import {IlrError} from '../errors.js';
import {localModel, pullHint} from '../hub/local.js';
import {readProfile} from './agent-folder.js';
import {withIo} from './files.js';

/** Where a folder's weights are: a whole model, or an adapter in PEFT's format over one. */
export interface FoundWeights {
  readonly model: string;
  readonly adapter?: {readonly folder: string};
}

/**
The weights that a folder holds or names: a model's own, an adapter's with its base, or those of an agent that was not trained,
which ilr.json names.

@param base - Folder of an adapter's base, in place of the one that adapter_config.json names.
@throws IlrError `ILR_INVALID_MODEL` when an adapter's base is not there.
*/
export async function findWeights(folder: string, base?: string): Promise<FoundWeights> {
  if (await exists(folder, 'adapter_config.json')) {
    return {model: base ?? (await readBase(folder)), adapter: {folder}};
  }
  if (base !== undefined) {
    throw new IlrError(
      'ILR_INVALID_MODEL',
      `${folder}: expected an adapter (adapter_config.json), for a base is given`,
    );
  }
  if (await exists(folder, 'config.json')) return {model: folder};
  const named = (await readProfile(folder))?.base;
  if (named === undefined || named === folder) return {model: folder};
  return findWeights(named);
}

/** The folder that adapter_config.json names: absolute, or meant from the adapter's folder, or from here, or the id of a pulled model. */
async function readBase(folder: string): Promise<string> {
  const file = path.join(folder, 'adapter_config.json');
  const name = baseName(await withIo('reading', file, () => readFile(file, 'utf8')));
  const places =
    name === undefined ? [] : [path.resolve(folder, name), localModel(path.resolve(name), name, process.env)];
  for (const place of places) if (await exists(place, 'config.json')) return place;
  throw new IlrError(
    'ILR_INVALID_MODEL',
    `${file}: base_model_name_or_path: expected a model folder, got ${name === undefined ? 'none' : `${JSON.stringify(name)}, where there is no config.json`}; ` +
      `name the base with --base <folder>${pullHint(name ?? '')}`,
  );
}

/** The core reads the file with all its checks; this is only where to look. */
function baseName(text: string): string | undefined {
  try {
    const name = JSON.parse(text)?.base_model_name_or_path;
    return typeof name === 'string' && name !== '' ? name : undefined;
  } catch {
    return undefined;
  }
}

async function exists(...parts: readonly string[]): Promise<boolean> {
  return stat(path.join(...parts)).then(
    () => true,
    () => false,
  );
}
