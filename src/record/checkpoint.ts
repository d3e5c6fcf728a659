import {mkdir, readdir, readFile, rm} from 'node:fs/promises';
import path from 'node:path';
import {z} from 'zod';
import type {RunConfig} from '../config.js';
import {IlrError} from '../errors.js';
import {
  filesUnder,
  publishFolder,
  removeFolder,
  removeTemporary,
  stampOf,
  temporaryName,
  withIo,
  writeSynced,
} from './files.js';
import {hashOf, type RunIdentity} from './identity.js';

const manifestSchema = z.object({
  format: z.literal(1),
  step: z.int().nonnegative(),
  score: z.number().optional(),
  agents: z.array(z.string()),
  identity: z.object({
    config: z.custom<RunConfig>((value) => typeof value === 'object' && value !== null),
    threads: z.array(z.int()),
    device: z.string(),
    questions: z.string(),
    fixedWeights: z.string().optional(),
    versions: z.record(z.string(), z.string()),
  }),
  configHash: z.string(),
  /** Lengths of the run's growing files at this step: a resumed run cuts them there. */
  recordBytes: z.record(z.string(), z.int().nonnegative()),
  files: z.record(z.string(), z.object({bytes: z.int().nonnegative(), sha256: z.string()})),
});

/** What a checkpoint says about itself: its step, the run it belongs to, and the hash of every file. */
export type Manifest = z.infer<typeof manifestSchema>;

export interface Checkpoint {
  readonly folder: string;
  readonly manifest: Manifest;
}

export interface CheckpointContent {
  readonly step: number;
  /** Mean solo accuracy, where it was measured at this step. */
  readonly score?: number;
  readonly identity: RunIdentity;
  readonly recordBytes: Readonly<Record<string, number>>;
  /** As JSON. */
  readonly state: unknown;
  /** Names, which are folder names too. */
  readonly agents: readonly string[];
  /** Writes one agent into an existing empty folder. */
  readonly writeAgent: (index: number, folder: string) => Promise<void>;
}

const nameOf = (step: number): string => `step-${String(step).padStart(6, '0')}`;

/**
Writes `<parent>/step-000010/` whole or not at all: a temporary folder beside it, every file hashed and synced, then
renamed. When that fails, a full disk included, the earlier checkpoints are as they were.
*/
export async function writeCheckpoint(parent: string, content: CheckpointContent): Promise<Checkpoint> {
  const folder = path.join(parent, nameOf(content.step));
  const temporary = temporaryName(folder);
  try {
    return await withIo('writing', folder, async () => {
      await mkdir(temporary, {recursive: true});
      for (const [index, name] of content.agents.entries()) {
        await mkdir(path.join(temporary, name));
        await content.writeAgent(index, path.join(temporary, name));
      }
      await writeSynced(path.join(temporary, 'trainer.json'), JSON.stringify(content.state));
      const manifest = await describe(temporary, content);
      await writeSynced(path.join(temporary, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
      await publishFolder(temporary, folder);
      return {folder, manifest};
    });
  } catch (error) {
    await rm(temporary, {recursive: true, force: true}).catch(() => {});
    throw error;
  }
}

async function describe(folder: string, content: CheckpointContent): Promise<Manifest> {
  const files: Manifest['files'] = {};
  for (const file of await filesUnder(folder)) files[file] = await stampOf(path.join(folder, file));
  const {step, score, agents, identity, recordBytes} = content;
  return {
    format: 1,
    step,
    ...(score !== undefined && {score}),
    agents: [...agents],
    identity: {...identity, threads: [...identity.threads], versions: {...identity.versions}},
    configHash: hashOf(identity.config),
    recordBytes: {...recordBytes},
    files,
  };
}

/** @throws IlrError `ILR_CHECKPOINT` when the manifest is missing or is not one. */
export async function readManifest(folder: string): Promise<Manifest> {
  const file = path.join(folder, 'manifest.json');
  const damaged = (why: string) => new IlrError('ILR_CHECKPOINT', `${file}: ${why}; this checkpoint cannot be used`);
  const text = await readFile(file, 'utf8').catch((error) => {
    throw damaged(error.code === 'ENOENT' ? 'missing' : error.message);
  });
  const json = parseJson(text);
  if (json === undefined) throw damaged('is not JSON');
  const result = manifestSchema.safeParse(json);
  if (!result.success) throw damaged(`does not say what a manifest says: ${z.prettifyError(result.error)}`);
  if (hashOf(result.data.identity.config) !== result.data.configHash) throw damaged('its config has been changed');
  return result.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Reads a checkpoint and compares every file with its manifest. @throws IlrError `ILR_CHECKPOINT` naming the file. */
export async function openCheckpoint(folder: string): Promise<Checkpoint> {
  const manifest = await readManifest(folder);
  for (const [name, expected] of Object.entries(manifest.files)) {
    const file = path.join(folder, name);
    const found = await stampOf(file).catch(() => undefined);
    if (found === undefined) throw new IlrError('ILR_CHECKPOINT', `${file}: missing; the checkpoint is damaged`);
    if (found.bytes !== expected.bytes)
      throw new IlrError(
        'ILR_CHECKPOINT',
        `${file}: expected ${expected.bytes} bytes, found ${found.bytes}; the checkpoint is damaged`,
      );
    if (found.sha256 !== expected.sha256)
      throw new IlrError(
        'ILR_CHECKPOINT',
        `${file}: its content is not what was written (SHA-256 ${found.sha256.slice(0, 12)}…, expected ${expected.sha256.slice(0, 12)}…); the checkpoint is damaged`,
      );
  }
  return {folder, manifest};
}

/** @returns the state handed to `writeCheckpoint`. */
export async function readState(checkpoint: Checkpoint): Promise<unknown> {
  const file = path.join(checkpoint.folder, 'trainer.json');
  return JSON.parse(await withIo('reading', file, () => readFile(file, 'utf8')));
}

/** Folders that hold, or held, a checkpoint, latest first. */
async function checkpointFolders(parent: string): Promise<string[]> {
  const names = await withIo('reading', parent, () =>
    readdir(parent).catch((error) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    }),
  );
  const step = (name: string) => Number(name.slice('step-'.length));
  return names
    .filter((name) => /^step-\d+$/.test(name))
    .sort((a, b) => step(b) - step(a))
    .map((name) => path.join(parent, name));
}

/**
The checkpoint of the highest step that is whole.

@returns it, or undefined when there is none at all, and what is wrong with those passed over.
@throws IlrError `ILR_CHECKPOINT` when there are checkpoints and every one is damaged.
*/
export async function latestCheckpoint(
  parent: string,
): Promise<{checkpoint: Checkpoint | undefined; damaged: readonly string[]}> {
  const damaged: string[] = [];
  for (const folder of await checkpointFolders(parent)) {
    try {
      return {checkpoint: await openCheckpoint(folder), damaged};
    } catch (error) {
      if (!IlrError.is(error) || error.code !== 'ILR_CHECKPOINT') throw error;
      damaged.push(error.message);
    }
  }
  if (damaged.length > 0)
    throw new IlrError(
      'ILR_CHECKPOINT',
      `no whole checkpoint is left in ${parent}:\n${damaged.map((line) => `  ${line}`).join('\n')}\nStart again with a new output folder.`,
    );
  return {checkpoint: undefined, damaged};
}

/** Removes all but the latest `keep` checkpoints and, with `best`, the one of the highest score (the later of equals). */
export async function pruneCheckpoints(parent: string, keep: number, best: boolean): Promise<void> {
  const folders = await checkpointFolders(parent);
  const kept = new Set(folders.slice(0, keep));
  const top = best ? await bestOf(folders) : undefined;
  if (top !== undefined) kept.add(top);
  for (const folder of folders) if (!kept.has(folder)) await removeFolder(folder);
  await removeTemporary(parent);
}

async function bestOf(folders: readonly string[]): Promise<string | undefined> {
  let top: {folder: string; score: number} | undefined;
  for (const folder of folders) {
    const {score} = await readManifest(folder).catch(() => ({score: undefined}));
    if (score !== undefined && (top === undefined || score > top.score)) top = {folder, score};
  }
  return top?.folder;
}
