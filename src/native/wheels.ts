import {readdir, rm} from 'node:fs/promises';
import path from 'node:path';
import {IlrError} from '../errors.js';
import {hashLargeFile} from './hash.js';
import type {Report} from './progress.js';
import {extractZip, listZip, type ZipEntry} from './unzip.js';

// Of the wheels that pip's own index serves for the fixed tag. Another index may serve others (a CPU build): their hash
// is printed and recorded.
const pinnedSha256: Readonly<Record<string, string>> = {
  'torch-2.13.0-cp312-cp312-manylinux_2_28_x86_64.whl':
    '796633c4cdf0fe2cdced72d8f88f22e73dbcfce83132763162f6d4bff13b820b',
  'nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl':
    '4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8',
  'nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl':
    '7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548',
  'nvidia_cuda_nvcc-13.0.88-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl':
    '56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03',
  'nvidia_cuda_crt-13.0.88-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl':
    '2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4',
  'nvidia_nvvm-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl':
    'c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0',
};

export async function wheelsOf(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder);
  return names.filter((name) => name.endsWith('.whl')).map((name) => path.join(folder, name));
}

/** The file's hash; a wheel that should have another one is deleted. */
export async function checkHash(file: string, report: Report): Promise<string> {
  const name = path.basename(file);
  const actual = await hashLargeFile(file);
  if (!isExpected(name, actual)) {
    await rm(file, {force: true});
    throw damaged(name, actual);
  }
  sayHash(name, actual, report);
  return actual;
}

/** The same for a wheel that pip has unpacked already and tells the hash of. */
export function checkToldHash(name: string, sha256: string, report: Report): void {
  if (!isExpected(name, sha256)) throw damaged(name, sha256);
  sayHash(name, sha256, report);
}

function isExpected(name: string, sha256: string): boolean {
  return pinnedSha256[name] === undefined || pinnedSha256[name] === sha256;
}

function damaged(name: string, actual: string): IlrError {
  return new IlrError(
    'ILR_IO',
    `${name} must have SHA-256 ${pinnedSha256[name]}, but has ${actual}: it was damaged or replaced on its way. It has been deleted; ` +
      'run `npx ilr-native setup` again, or name a LibTorch that you trust: `npx ilr-native setup --libtorch <folder>`.',
  );
}

function sayHash(name: string, sha256: string, report: Report): void {
  const note = pinnedSha256[name] === undefined ? 'not a file we know; its hash is recorded' : 'as expected';
  report({phase: 'download', message: `${name} SHA-256 ${sha256} (${note})`});
}

export async function unpackWheel(
  wheel: string,
  folder: string,
  isWanted: (name: string) => boolean,
  report: Report,
): Promise<void> {
  const entries = (await listZip(wheel)).filter((entry: ZipEntry) => isWanted(entry.name));
  const message = path.basename(wheel);
  await extractZip(wheel, entries, folder, (done, total) =>
    report({phase: 'unpack', message, done, total, unit: 'bytes'}),
  );
}
