import {rename} from 'node:fs/promises';
import {toRunPage} from '../page/run-page.js';
import {temporaryName, withIo, writeSynced} from '../record/files.js';
import {readRun} from '../record/read-run.js';

/** Writes the page of the run in a folder, whole or not at all. @returns the file. */
export async function writeRunPage(folder: string, file: string): Promise<string> {
  const page = toRunPage(await readRun(folder));
  const temporary = temporaryName(file);
  await writeSynced(temporary, page);
  await withIo('writing', file, () => rename(temporary, file));
  return file;
}
