import {existsSync, mkdirSync, readFileSync, renameSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {z} from 'zod';
import {IlrError} from '../errors.js';
import {hashFile, hashSources} from './hash.js';
import {inspectLibtorch} from './libtorch.js';
import {packageVersion, stateFileName} from './paths.js';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const stateSchema = z.strictObject({
  format: z.literal(1),
  packageVersion: z.string(),
  libtorch: z.strictObject({
    folder: z.string(),
    version: z.string(),
    variant: z.string(),
    hasCuda: z.boolean(),
    source: z.enum(['explicit', 'python', 'cache', 'acquired']),
  }),
  compiler: z.string(),
  addon: z.strictObject({
    file: z.string(),
    sha256,
    loader: z.string(),
    loaderSha256: sha256,
    sourcesSha256: sha256,
    /** libilr_cuda.so; left out where it is not built. */
    kernels: z.strictObject({file: z.string(), sha256}).optional(),
  }),
  node: z.string(),
  finishedAt: z.string(),
});

/** What `setup` did, kept beside the addon. */
export type SetupState = z.infer<typeof stateSchema>;

export function stateFile(folder: string): string {
  return path.join(folder, stateFileName);
}

export const setupCommand = 'npx ilr-native setup';

/**
What `setup` recorded in a build folder, or undefined where it never finished there.
@throws IlrError `ILR_NOT_SET_UP` when the file is damaged.
*/
export function readState(folder: string): SetupState | undefined {
  const file = stateFile(folder);
  if (!existsSync(file)) return undefined;
  try {
    return stateSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message;
    throw new IlrError(
      'ILR_NOT_SET_UP',
      `The record of the set-up, ${file}, is damaged (${reason}). Run \`${setupCommand}\`, which writes a new one.`,
      {cause},
    );
  }
}

export function writeState(folder: string, state: SetupState): void {
  mkdirSync(folder, {recursive: true});
  const file = stateFile(folder);
  const partial = `${file}.${process.pid}.partial`;
  writeFileSync(partial, `${JSON.stringify(state, undefined, 2)}\n`);
  renameSync(partial, file);
}

/** Why the recorded addon must not be loaded, or undefined: each check is one that a wrong result would follow from. */
export function findMismatch(state: SetupState, root: string): string | undefined {
  const version = packageVersion(root);
  if (state.packageVersion !== version) {
    return `the addon was built for ilr-native ${state.packageVersion}, this is ${version}`;
  }
  for (const [file, expected] of [
    [state.addon.file, state.addon.sha256],
    [state.addon.loader, state.addon.loaderSha256],
    ...(state.addon.kernels ? [[state.addon.kernels.file, state.addon.kernels.sha256] as const] : []),
  ] as const) {
    if (!existsSync(file)) return `${file} is missing`;
    if (hashFile(file) !== expected) return `${file} is not the file that was built and proved`;
  }
  const libtorch = inspectLibtorch(state.libtorch.folder);
  if ('problem' in libtorch) return `LibTorch ${state.libtorch.version} is gone: ${libtorch.problem}`;
  if (libtorch.version !== state.libtorch.version) {
    return `the addon was built on LibTorch ${state.libtorch.version}, but ${libtorch.folder} now holds ${libtorch.version}`;
  }
  return undefined;
}

export function haveSourcesChanged(state: SetupState, root: string): boolean {
  return hashSources(root) !== state.addon.sourcesSha256;
}
