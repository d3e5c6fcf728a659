import {existsSync} from 'node:fs';
import path from 'node:path';
import {cacheFolder, type Env} from '../cache.js';
import {isRepositoryId, type Repository} from './repository.js';

/** Where `pull` puts a model or a data set unless it is told otherwise. */
export function pulledFolder({kind, id}: Repository, env: Env): string {
  return path.join(cacheFolder(env), `${kind}s`, ...id.split('/'));
}

/**
The folder of a model that is named by a path or, where there is no such folder, by the id under which it was pulled.

@param folder - The path, as it can be opened from here.
@param text - What the user wrote.
*/
export function localModel(folder: string, text: string, env: Env): string {
  if (existsSync(folder) || !isRepositoryId(text)) return folder;
  const pulled = pulledFolder({kind: 'model', id: text}, env);
  const isThere = ['config.json', 'adapter_config.json'].some((name) => existsSync(path.join(pulled, name)));
  return isThere ? pulled : folder;
}

/** What to do where a model is not there: for a text that may be an id of the hub. */
export function pullHint(text: string): string {
  return isRepositoryId(text) ? `; if it is a model of the Hugging Face Hub: ilr-native pull ${text}` : '';
}
