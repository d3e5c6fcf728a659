import {existsSync} from 'node:fs';
import {mkdir, readdir, readFile, rename, rm, rmdir} from 'node:fs/promises';
import path from 'node:path';
import {stringify} from 'yaml';
import {IlrError} from '../errors.js';
import type {Agent, DifficultyTable, Group, Recorder, StepMetrics, TrainerState} from '../types.js';
import {writeAgentFolder, writeReference} from './agent-folder.js';
import {AppendedFile, jsonLine} from './appended-file.js';
import {type Checkpoint, latestCheckpoint, pruneCheckpoints, readState, writeCheckpoint} from './checkpoint.js';
import {publishFolder, removeFolder, removeTemporary, temporaryName, withIo, writeSynced} from './files.js';
import {checkSameRun, hashOf, type RunIdentity} from './identity.js';
import {Lock} from './lock.js';
import {StepFiles} from './step-files.js';
import {transcriptOf} from './transcript.js';

/** What an output folder holds before a run goes on in it. */
export interface FoundRun {
  readonly output: string;
  /** Undefined: from the beginning. */
  readonly checkpoint?: Checkpoint;
  readonly warnings: readonly string[];
}

/**
Looks at the output folder of a run that is about to start or go on, and clears what a killed process left half written.

@throws IlrError `ILR_INVALID_ARGUMENT` when it is not empty and `resume` was not asked for; `ILR_CHECKPOINT` when
checkpoints are there and none is whole.
*/
export async function findRun(output: string, resume: boolean): Promise<FoundRun> {
  const names: readonly string[] = await withIo('reading', output, () =>
    readdir(output).catch((error) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    }),
  );
  if (!resume && names.length > 0)
    throw new IlrError(
      'ILR_INVALID_ARGUMENT',
      `the output folder ${output} is not empty: add --resume to go on with the run in it, or give another with --output`,
    );
  if (resume && names.length > 0 && !names.includes('config.yaml'))
    throw new IlrError(
      'ILR_INVALID_ARGUMENT',
      `--resume: ${output} has files but no config.yaml, so no run was started in it; give the output folder of the run`,
    );
  const checkpoints = path.join(output, 'checkpoints');
  const {checkpoint, damaged} = await latestCheckpoint(checkpoints);
  if (!checkpoint)
    return {
      output,
      warnings: resume ? [`${output} holds no checkpoint: the run starts from the beginning`] : [],
    };
  return {
    output,
    checkpoint,
    warnings: damaged.map((message) => `${message}. Going on from step ${checkpoint.manifest.step}.`),
  };
}

const transcriptName = 'dialogues.jsonl';

export interface RunFolderOptions {
  readonly found: FoundRun;
  readonly identity: RunIdentity;
  /** [N] */
  readonly sideFiles: readonly ReadonlyMap<string, Uint8Array>[];
  /** Milliseconds since 1970, for TensorBoard and W&B; the clock when left out. */
  readonly now?: () => number;
}

/**
Writes a run down: config.yaml, metrics.jsonl with its other forms (`StepFiles`), dialogues.jsonl, difficulty.json, checkpoints/, final/. Killed at any moment,
it goes on from its last checkpoint to the same files.
*/
export class RunFolder implements Recorder {
  readonly output: string;
  /** What the user should know: a file that is shorter than it was, another version. */
  readonly warnings: readonly string[];
  private readonly options: RunFolderOptions;
  private readonly lock: Lock;
  private readonly steps: StepFiles;
  private readonly transcript: AppendedFile;

  private constructor(
    options: RunFolderOptions,
    lock: Lock,
    steps: StepFiles,
    transcript: AppendedFile,
    warnings: readonly string[],
  ) {
    this.output = options.found.output;
    this.options = options;
    this.lock = lock;
    this.steps = steps;
    this.transcript = transcript;
    this.warnings = warnings;
  }

  /** @throws IlrError `ILR_CHECKPOINT` when the checkpoint belongs to another config, device, thread count or question set. */
  static async open(options: RunFolderOptions): Promise<RunFolder> {
    const {found, identity} = options;
    const {output, checkpoint} = found;
    const checkpoints = path.join(output, 'checkpoints');
    const manifest = checkpoint?.manifest;
    const warnings = manifest && checkpoint ? checkSameRun(manifest.identity, identity, checkpoint.folder) : [];
    await withIo('creating', output, () => mkdir(output, {recursive: true}));
    const lock = await Lock.take(output);
    await writeSynced(path.join(output, 'config.yaml'), stringify(identity.config));
    await withIo('creating', checkpoints, () => mkdir(checkpoints, {recursive: true}));
    await removeTemporary(output);
    await removeTemporary(checkpoints);
    await setAsideLater(checkpoints, manifest?.step ?? 0);
    const known = manifest?.recordBytes ?? {};
    const {record} = identity.config;
    const steps = await StepFiles.open({folder: output, record, known, now: options.now ?? Date.now});
    const transcript = await AppendedFile.open(path.join(output, transcriptName), known[transcriptName] ?? 0);
    for (const [file, missing] of [...steps.missing, [transcript.opened.file, transcript.missing] as const])
      if (missing > 0) warnings.push(`${file} lacks its last ${missing} bytes; the steps in them are not there`);
    return new RunFolder(options, lock, steps, transcript.opened, warnings);
  }

  /** What `train` needs to go on; undefined: from the beginning. */
  async resumeFrom(): Promise<TrainerState | undefined> {
    const {checkpoint} = this.options.found;
    return checkpoint && ((await readState(checkpoint)) as TrainerState);
  }

  async step(metrics: StepMetrics): Promise<void> {
    await this.steps.append(metrics);
  }

  async dialogues(step: number, groups: readonly Group[]): Promise<void> {
    const names = this.options.identity.config.agents.map((agent) => agent.name);
    // One write a line, so that the event loop breathes between long ones.
    for (const group of groups) await this.transcript.append(jsonLine(transcriptOf(step, group, names)));
  }

  async checkpoint(state: TrainerState, agents: readonly Agent[], bestScore?: number): Promise<void> {
    await this.steps.sync();
    await this.transcript.sync();
    const parent = path.join(this.output, 'checkpoints');
    await writeCheckpoint(parent, {
      step: state.step,
      score: bestScore,
      identity: this.options.identity,
      recordBytes: {...this.steps.bytes, [this.transcript.name]: this.transcript.bytes},
      state,
      agents: agents.map((agent) => agent.name),
      writeAgent: (index, folder) => this.writeAgent(agents, index, folder, true),
    });
    const {keep, best} = this.options.identity.config.save;
    await pruneCheckpoints(parent, keep, best);
  }

  async difficulty(table: DifficultyTable): Promise<void> {
    const content = {identity: difficultyKey(this.options.identity), table};
    await writeSynced(path.join(this.output, 'difficulty.json'), JSON.stringify(content));
  }

  /** Difficulties that this very run computed before it was killed, ahead of its first checkpoint. */
  async knownDifficulty(): Promise<DifficultyTable | undefined> {
    try {
      const text = await readFile(path.join(this.output, 'difficulty.json'), 'utf8');
      const {identity, table} = JSON.parse(text);
      return identity === difficultyKey(this.options.identity) ? table : undefined;
    } catch {
      return undefined; // not there, or half written: they are computed again
    }
  }

  /** The trained agents as Hugging Face folders, `<output>/final/<agent>`. */
  async finish(agents: readonly Agent[]): Promise<string> {
    const folder = path.join(this.output, 'final');
    const temporary = temporaryName(folder);
    try {
      for (const [index, agent] of agents.entries()) {
        await withIo('creating', temporary, () => mkdir(path.join(temporary, agent.name), {recursive: true}));
        await this.writeAgent(agents, index, path.join(temporary, agent.name), false);
      }
      await publishFolder(temporary, folder);
    } catch (error) {
      await rm(temporary, {recursive: true, force: true}).catch(() => {});
      throw error;
    }
    return folder;
  }

  /** Ends the record. A run that failed before it measured anything leaves no folder, so that it can simply be started again. */
  async close(): Promise<void> {
    await this.steps.close();
    await this.transcript.close();
    await this.lock.release();
    if (!this.isEmpty) return;
    await this.steps.remove();
    for (const name of ['config.yaml', this.transcript.name]) await rm(path.join(this.output, name), {force: true});
    for (const folder of [path.join(this.output, 'checkpoints'), this.output]) await rmdir(folder).catch(() => {});
  }

  private get isEmpty(): boolean {
    return this.steps.isEmpty && this.transcript.bytes === 0 && !existsSync(path.join(this.output, 'difficulty.json'));
  }

  private async writeAgent(agents: readonly Agent[], index: number, folder: string, optimizer: boolean): Promise<void> {
    const agent = agents[index] as Agent;
    await writeAgentFolder(folder, agent.policy, this.options.sideFiles[index] ?? new Map(), {optimizer});
    const isMoving = this.options.identity.config.reference.kind === 'synchronised';
    if (optimizer && isMoving && agent.reference !== undefined) await writeReference(folder, agent.reference);
  }
}

/** All but what the length of the run and its evaluation change. */
function difficultyKey({config, threads, device, questions, versions}: RunIdentity): string {
  const {agents, data, difficulty, dialogue, seed, method} = config;
  return hashOf([agents, data.train, difficulty, dialogue, seed, method, threads, device, questions, versions]);
}

/** Damaged checkpoints after the one that is used are kept under another name, or pruning would take them for the latest. */
async function setAsideLater(checkpoints: string, step: number): Promise<void> {
  await withIo('renaming', checkpoints, async () => {
    for (const name of await readdir(checkpoints)) {
      const later = /^step-(\d+)$/.exec(name);
      if (!later || Number(later[1]) <= step) continue;
      const aside = path.join(checkpoints, `damaged-${name}`);
      await removeFolder(aside);
      await rename(path.join(checkpoints, name), aside);
    }
  });
}
