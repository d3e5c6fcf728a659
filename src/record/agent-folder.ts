import {mkdir, readdir, readFile} from 'node:fs/promises';
import path from 'node:path';
import {z} from 'zod';
import {dialogueKeys, type RunConfig} from '../config.js';
import {samplingKeys} from '../config-sampling.js';
import {IlrError} from '../errors.js';
import type {Policy} from '../policy.js';
import {stampOf, withIo, writeSynced} from './files.js';
import {hashOf} from './identity.js';

const tokenizerFiles = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
  'chat_template.jinja',
  'chat_template.json',
];

const profileFile = 'ilr.json';

const profileSchema = z.object({
  format: z.literal(1),
  system: z.string().optional(),
  chat: z.record(z.string(), z.unknown()),
  template: z.enum(['auto', 'plain']),
  temperature: z.number().positive(),
  sampling: samplingKeys.optional(),
  prompt: z.string(),
  maxNewTokens: z.int().positive(),
  /** How its dialogues were held; left out of older folders. */
  dialogue: dialogueKeys.optional(),
  /** Where the weights are, of an agent that was not trained: its folder holds none. */
  base: z.string().min(1).optional(),
});

/** How an agent was asked when it learned (`ilr.json` in its folder), so that it can be asked the same way again. */
export type AgentProfile = z.infer<typeof profileSchema>;

export function profileOf(config: RunConfig, index: number): AgentProfile {
  const agent = config.agents[index] as RunConfig['agents'][number];
  return {
    format: 1,
    ...(agent.system !== undefined && {system: agent.system}),
    chat: agent.chat,
    template: agent.template,
    temperature: agent.temperature,
    ...(agent.sampling !== undefined && {sampling: agent.sampling}),
    prompt: config.dialogue.prompts.share,
    maxNewTokens: config.dialogue.maxNewTokens.share,
    dialogue: config.dialogue,
    ...(!agent.trainable && {base: path.resolve(agent.adapter?.folder ?? agent.model)}),
  };
}

/** @returns undefined where the folder is a plain model. */
export async function readProfile(folder: string): Promise<AgentProfile | undefined> {
  const file = path.join(folder, profileFile);
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  try {
    return profileSchema.parse(JSON.parse(text.toString('utf8')));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new IlrError('ILR_INVALID_MODEL', `${file}: ${why}; mend or remove this file`, {cause: error});
  }
}

/**
The small files beside the weights, by name: the tokenizer's, and the model's generation settings. They are held in memory
because the checkpoint that a run was resumed from is gone when later ones are written.
*/
export async function readSideFiles(
  model: string,
  tokenizer: string,
  profile: AgentProfile,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  const sources = [...tokenizerFiles.map((name) => [tokenizer, name]), [model, 'generation_config.json']];
  for (const [folder, name] of sources as [string, string][]) {
    const content = await readIfThere(path.join(folder, name));
    if (content !== undefined) files.set(name, content);
  }
  return files.set(profileFile, profileBytes(profile));
}

/** For a model that was made here; `readSideFiles` brings it along with the others. */
export async function writeProfile(folder: string, profile: AgentProfile): Promise<void> {
  await writeSynced(path.join(folder, profileFile), profileBytes(profile));
}

function profileBytes(profile: AgentProfile): Uint8Array {
  return Buffer.from(`${JSON.stringify(profile, null, 2)}\n`);
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  return withIo('reading', file, () =>
    readFile(file).catch((error) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
      throw error;
    }),
  );
}

/**
Fills an existing empty folder with a Hugging Face model, or an adapter in PEFT's format: weights, config, tokenizer; `optimizer`
adds what training needs to go on. What is not trained keeps its weights where they are, and ilr.json names the place.
*/
export async function writeAgentFolder(
  folder: string,
  policy: Policy,
  sideFiles: ReadonlyMap<string, Uint8Array>,
  options: {readonly optimizer: boolean},
): Promise<void> {
  if (policy.info().trainedParameters !== 0) await policy.save(folder, options);
  for (const [name, content] of sideFiles) await writeSynced(path.join(folder, name), content);
}

/** Where a checkpoint keeps the reference policy of an agent's folder, when it moves. */
export function referenceFolder(folder: string): string {
  return path.join(folder, 'reference');
}

/** The weights alone: it asks and answers nothing. */
export async function writeReference(folder: string, reference: Policy): Promise<void> {
  const target = referenceFolder(folder);
  await withIo('creating', target, () => mkdir(target));
  await reference.save(target);
}

/** SHA-256 over the weight files of a model's or adapter's folder that a resumed run loads from there again. */
export async function hashWeights(folder: string): Promise<string> {
  const names = await withIo('reading', folder, () => readdir(folder));
  const stamps = names
    .filter((name) => name.endsWith('.safetensors'))
    .sort()
    .map(async (name) => [name, (await stampOf(path.join(folder, name))).sha256]);
  return hashOf(await Promise.all(stamps));
}
