import {readdir} from 'node:fs/promises';
import path from 'node:path';
import {stampOf, withIo} from '../record/files.js';
import {hashOf} from '../record/identity.js';
import type {FoundWeights} from '../record/weights.js';

/** Of all that a model's answers may come from: weights, configuration, tokenizer, chat template, profile. Optimisers are not read. */
const counted = /^(?!optimizer).*\.(?:safetensors|json|jinja|model|txt)$/;

/**
SHA-256 over the files of a model's folder, and of the folders that its weights are in.

@throws IlrError `ILR_IO` when a file cannot be read.
*/
export async function modelIdentity(folder: string, {model, adapter}: FoundWeights): Promise<string> {
  const folders = [...new Set([folder, model, ...(adapter ? [adapter.folder] : [])].map((each) => path.resolve(each)))];
  return hashOf(await Promise.all(folders.map(filesOf)));
}

/** [name, SHA-256] of each, by name: where the folder lies does not count. */
async function filesOf(folder: string): Promise<[string, string][]> {
  const names = await withIo('reading', folder, () => readdir(folder));
  const stamps: [string, string][] = [];
  for (const name of names.filter((each) => counted.test(each)).sort())
    stamps.push([name, (await stampOf(path.join(folder, name))).sha256]);
  return stamps;
}
