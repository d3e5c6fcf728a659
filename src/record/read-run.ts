import {open, readdir, readFile, stat} from 'node:fs/promises';
import path from 'node:path';
import {parse} from 'yaml';
import {z} from 'zod';
import {IlrError} from '../errors.js';
import type {StepMetrics} from '../types.js';
import {withIo} from './files.js';

/** A run as it lies in its output folder, finished or not: what a page of it shows. Texts in it are untrusted. */
export interface RunRecord {
  /** Of the folder. */
  readonly name: string;
  readonly method: string;
  readonly steps: number;
  readonly agents: readonly string[];
  /** config.yaml. */
  readonly config: string;
  readonly metrics: readonly StepMetrics[];
  /** Of the last step that has any. */
  readonly dialogues: readonly ReadDialogue[];
  /** Test results before training and at the latest checkpoint, by question; undefined where they were not measured. */
  readonly before?: readonly ReadEvaluation[];
  readonly latest?: readonly ReadEvaluation[];
  /** Of ilr-native, Node.js and LibTorch, from the latest checkpoint. */
  readonly versions?: Readonly<Record<string, string>>;
  readonly isFinished: boolean;
}

const configSchema = z.object({
  method: z.string(),
  steps: z.number(),
  agents: z.array(z.object({name: z.string()})).min(1),
});

const turnSchema = z.object({author: z.string(), role: z.string(), text: z.string()});

const dialogueSchema = z.object({
  step: z.number(),
  question: z.string(),
  agent: z.string(),
  stage: z.string(),
  strategy: z.string().optional(),
  turns: z.array(turnSchema),
  rollouts: z.array(
    z.object({
      text: z.string(),
      reward: z.number(),
      isCorrect: z.boolean(),
      isWellFormed: z.boolean(),
      finishReason: z.string(),
      failure: z.string().optional(),
    }),
  ),
});

/** As `TranscriptLine`, without token ids. */
export type ReadDialogue = z.infer<typeof dialogueSchema>;

const evaluationSchema = z.object({
  agent: z.string(),
  questionIds: z.array(z.string()),
  greedy: z.array(z.number()),
  sampled: z.array(z.number()),
});

export type ReadEvaluation = z.infer<typeof evaluationSchema>;

const stateSchema = z.object({
  before: z.array(evaluationSchema).optional(),
  latest: z.array(evaluationSchema).optional(),
});

const manifestSchema = z.object({identity: z.object({versions: z.record(z.string(), z.string())})});

const metricsSchema = z.looseObject({step: z.number()});

/**
Reads what there is of a run; weights are not opened.

@throws IlrError `ILR_INVALID_ARGUMENT` where no run was started in the folder; `ILR_INVALID_DATA` naming a file that no run has written.
*/
export async function readRun(folder: string): Promise<RunRecord> {
  const config = await readOptional(path.join(folder, 'config.yaml'));
  const lines = await readOptional(path.join(folder, 'metrics.jsonl'));
  if (config === undefined || lines === undefined) {
    throw new IlrError(
      'ILR_INVALID_ARGUMENT',
      `${folder}: expected the output folder of a run, got none: config.yaml and metrics.jsonl are not both in it`,
    );
  }
  const {method, steps, agents} = parsed(path.join(folder, 'config.yaml'), configSchema, () => parse(config));
  const checkpoint = await latestFolder(path.join(folder, 'checkpoints'));
  const inCheckpoint = async <T>(name: string, schema: z.ZodType<T>): Promise<T | undefined> => {
    const text = checkpoint && (await readOptional(path.join(checkpoint, name)));
    return text === undefined
      ? undefined
      : parsed(path.join(checkpoint as string, name), schema, () => JSON.parse(text));
  };
  const state = await inCheckpoint('trainer.json', stateSchema);
  const manifest = await inCheckpoint('manifest.json', manifestSchema);
  return {
    name: path.basename(path.resolve(folder)),
    method,
    steps,
    agents: agents.map(({name}) => name),
    config,
    metrics: metricsOf(path.join(folder, 'metrics.jsonl'), lines),
    dialogues: await lastDialogues(path.join(folder, 'dialogues.jsonl')),
    before: state?.before,
    latest: state?.latest,
    versions: manifest?.identity.versions,
    isFinished: await isFolder(path.join(folder, 'final')),
  };
}

/** What is not a number was not finite when it was written. */
function metricsOf(file: string, text: string): StepMetrics[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line, i) => {
      const {step, ...figures} = parsed(`${file}:${i + 1}`, metricsSchema, () => JSON.parse(line));
      const numbers = Object.entries(figures).filter(
        (entry): entry is [string, number] => typeof entry[1] === 'number',
      );
      return {...Object.fromEntries(numbers), step};
    });
}

/** So much of the end of dialogues.jsonl is read; the whole may be gigabytes. */
const tailBytes = 8 << 20;

/** Those of the last step, as far as they lie within the end of the file; a line that is half written, or of another kind, is left out. */
async function lastDialogues(file: string): Promise<ReadDialogue[]> {
  const tail = await readTail(file);
  const lines = tail.split('\n').slice(0, -1);
  const last = lines.map(toDialogue).filter((line) => line !== undefined);
  const step = last.at(-1)?.step;
  return last.filter((line) => line.step === step);
}

function toDialogue(line: string): ReadDialogue | undefined {
  try {
    return dialogueSchema.parse(JSON.parse(line));
  } catch {
    return undefined; // the first line of the tail is cut
  }
}

async function readTail(file: string): Promise<string> {
  return withIo('reading', file, async () => {
    const size = await stat(file).then(
      (found) => found.size,
      () => 0,
    );
    if (size === 0) return '';
    await using handle = await open(file, 'r');
    const length = Math.min(size, tailBytes);
    const {buffer, bytesRead} = await handle.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString('utf8', 0, bytesRead);
  });
}

async function latestFolder(checkpoints: string): Promise<string | undefined> {
  const names = await readdir(checkpoints).catch((): string[] => []);
  const steps = names.filter((name) => /^step-\d+$/.test(name)).sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)));
  const last = steps.at(-1);
  return last === undefined ? undefined : path.join(checkpoints, last);
}

async function readOptional(file: string): Promise<string | undefined> {
  return withIo('reading', file, () =>
    readFile(file, 'utf8').catch((error) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
      throw error;
    }),
  );
}

async function isFolder(folder: string): Promise<boolean> {
  return stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

function parsed<T>(file: string, schema: z.ZodType<T>, read: () => unknown): T {
  try {
    return schema.parse(read());
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message;
    throw new IlrError('ILR_INVALID_DATA', `${file}: expected what a run writes there, got something else: ${why}`, {
      cause,
    });
  }
}
