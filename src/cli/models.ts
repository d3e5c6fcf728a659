import {existsSync} from 'node:fs';
import {readdir, stat} from 'node:fs/promises';
import path from 'node:path';
import type {RunConfig} from '../config.js';
import {IlrError} from '../errors.js';
import {localModel, pullHint} from '../hub/local.js';
import {latestCheckpoint, readManifest} from '../record/checkpoint.js';

export interface FoundModel {
  readonly name: string;
  readonly folder: string;
}

/**
The models that a path, or the id of a pulled model, names: a Hugging Face folder or an adapter's, a checkpoint (its agents), a folder of agents such as `final`, or the
output folder of a run (its final agents, else those of its latest checkpoint).

@throws IlrError `ILR_INVALID_MODEL` when there is none.
*/
export async function findModels(name: string): Promise<FoundModel[]> {
  const folder = localModel(name, name, process.env);
  if (await isModel(folder)) return [{name: path.basename(path.resolve(folder)), folder}];
  if (await exists(folder, 'manifest.json')) return agentsOf(folder, (await readManifest(folder)).agents);
  if (await exists(folder, 'final')) return findModels(path.join(folder, 'final'));
  if (await exists(folder, 'checkpoints')) {
    const {checkpoint} = await latestCheckpoint(path.join(folder, 'checkpoints'));
    if (checkpoint) return agentsOf(checkpoint.folder, checkpoint.manifest.agents);
  }
  const names = await readdir(folder).catch(() => []);
  const found: string[] = [];
  for (const name of names.sort()) if (await isModel(path.join(folder, name))) found.push(name);
  if (found.length > 0) return agentsOf(folder, found);
  throw new IlrError(
    'ILR_INVALID_MODEL',
    `${folder}: expected a model folder (config.json, safetensors, tokenizer.json), an adapter's (adapter_config.json), a checkpoint or the output folder of a run, found none of them${pullHint(name)}`,
  );
}

/**
Refuses a configuration that names a model which is not there.

@throws IlrError `ILR_IO` naming it, and the command that gets it where it may be the id of one.
*/
export function requireModels({agents}: RunConfig): void {
  for (const {name, model} of agents) {
    if (existsSync(model)) continue;
    // The id as it was written, before it became a path.
    const id = model.split(path.sep).slice(-2).join('/');
    throw new IlrError(
      'ILR_IO',
      `agent ${name}: expected a model folder, got ${model}, where there is nothing${pullHint(id)}`,
    );
  }
}

function agentsOf(folder: string, names: readonly string[]): FoundModel[] {
  return names.map((name) => ({name, folder: path.join(folder, name)}));
}

/** ilr.json alone: an agent that was not trained, whose weights are elsewhere. */
async function isModel(folder: string): Promise<boolean> {
  for (const name of ['config.json', 'adapter_config.json', 'ilr.json']) if (await exists(folder, name)) return true;
  return false;
}

async function exists(...parts: readonly string[]): Promise<boolean> {
  return stat(path.join(...parts)).then(
    () => true,
    () => false,
  );
}
