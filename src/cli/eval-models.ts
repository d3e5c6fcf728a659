import {availableParallelism} from 'node:os';
import path from 'node:path';
import type {RunConfig} from '../config.js';
import {type SamplingSettings, samplingKeys} from '../config-sampling.js';
import {modelIdentity} from '../eval/identity.js';
import type {EvalModel, OpenedModel} from '../eval/plan.js';
import {NativeRuntime} from '../native/runtime.js';
import {type AgentProfile, readProfile} from '../record/agent-folder.js';
import {findWeights} from '../record/weights.js';
import {loadAgent} from './agents.js';
import {type FoundModel, findModels} from './models.js';
import {realModel} from './policies.js';

export interface ModelOptions {
  /** What the command line says of all models. */
  readonly system?: string;
  readonly temperature?: number;
  readonly maxNewTokens?: number;
  readonly prompt?: string;
  readonly dtype?: 'float32' | 'bfloat16';
  readonly base?: string;
  readonly device: string;
  readonly sampling: Partial<SamplingSettings>;
  readonly settings: RunConfig;
  /** `settings` come from a file, and go before what a folder remembers. */
  readonly isConfigured: boolean;
}

export interface FoundModels {
  readonly models: readonly EvalModel[];
  /** Of each one that was named, in that order: a place in `models`. */
  readonly named: readonly number[];
}

/**
All models that the paths name, each once. Nothing is loaded yet; weights are read once, for their hash.

@throws IlrError `ILR_INVALID_MODEL` where a path holds none.
*/
export async function findEvalModels(paths: readonly string[], options: ModelOptions): Promise<FoundModels> {
  const found = (await Promise.all(paths.map(findModels))).flat();
  const places = await Promise.all(found.map(({folder}) => realModel(folder)));
  const distinct = [...new Set(places)];
  const firsts = distinct.map((place) => found[places.indexOf(place)] as FoundModel);
  const runtime = new SharedRuntime(options.device);
  const models: EvalModel[] = [];
  const names = shortNames(firsts.map(({folder}) => path.resolve(folder)));
  for (const [i, {name, folder}] of firsts.entries())
    models.push(await evalModel({name, folder, shown: names[i] as string}, options, runtime));
  return {models, named: places.map((place) => distinct.indexOf(place))};
}

/** The end of each path, as much of it as no other ends with: `start/qwen` and `final/qwen`. */
export function shortNames(folders: readonly string[]): string[] {
  const parts = folders.map((folder) => folder.split(path.sep).filter((part) => part !== ''));
  return parts.map((own, i) => {
    const tail = (of: readonly string[], length: number) => of.slice(-length).join('/');
    const isShared = (length: number) => parts.some((other, j) => j !== i && tail(other, length) === tail(own, length));
    let length = 1;
    while (length < own.length && isShared(length)) length++;
    return isShared(length) ? (folders[i] as string) : tail(own, length);
  });
}

async function evalModel(
  {name, folder, shown}: FoundModel & {readonly shown: string},
  options: ModelOptions,
  runtime: SharedRuntime,
): Promise<EvalModel> {
  const {settings, isConfigured, device, base} = options;
  const profile = await readProfile(folder);
  const trained = isConfigured ? settings.agents.find((agent) => agent.name === name) : undefined;
  const system = options.system ?? trained?.system ?? profile?.system;
  const temperature =
    options.temperature ??
    (isConfigured ? settings.eval.temperature : undefined) ??
    trained?.temperature ??
    profile?.temperature ??
    1;
  const sampling = samplingKeys.parse({
    ...profile?.sampling,
    ...(settings.eval.sampling ?? trained?.sampling),
    ...options.sampling,
  });
  const {chat = profile?.chat, template = profile?.template} = trained ?? {};
  const dtype = options.dtype ?? trained?.dtype ?? 'float32';
  const dialogue = dialogueOf(settings, isConfigured ? undefined : profile, options);
  const open = async (): Promise<OpenedModel> => {
    const shared = await runtime.take();
    try {
      const agent = await loadAgent(folder, {
        ...{name: shown, system, temperature, sampling, chat, template, base, dtype},
        runtime: shared,
        trainable: false,
      });
      const close = async () => {
        await agent.close();
        await runtime.giveBack();
      };
      return {...agent, close};
    } catch (error) {
      await runtime.giveBack();
      throw error;
    }
  };
  return {
    ...{name: shown, folder, dtype, device, temperature, dialogue, open},
    identity: await modelIdentity(folder, await findWeights(folder, base)),
    prompt: dialogue.prompts.share,
    ...(system !== undefined && {system}),
    maxNewTokens: dialogue.maxNewTokens.share,
    details: {sampling, chat: chat ?? null, template: template ?? null, threads: availableParallelism()},
  };
}

function dialogueOf(
  settings: RunConfig,
  profile: AgentProfile | undefined,
  {prompt, maxNewTokens}: ModelOptions,
): RunConfig['dialogue'] {
  const dialogue = profile?.dialogue ?? settings.dialogue;
  const share = maxNewTokens ?? profile?.maxNewTokens ?? dialogue.maxNewTokens.share;
  return {
    maxNewTokens: {
      share,
      analyse: maxNewTokens ?? dialogue.maxNewTokens.analyse,
      fuse: maxNewTokens ?? dialogue.maxNewTokens.fuse,
    },
    prompts: {...dialogue.prompts, share: prompt ?? profile?.prompt ?? dialogue.prompts.share},
  };
}

/** One runtime for the models that are open together; its memory goes back with the last of them. */
class SharedRuntime {
  private opened: Promise<NativeRuntime> | undefined;
  private users = 0;

  constructor(private readonly device: string) {}

  take(): Promise<NativeRuntime> {
    this.users++;
    this.opened ??= NativeRuntime.open({device: this.device, threads: availableParallelism()});
    return this.opened;
  }

  async giveBack(): Promise<void> {
    if (--this.users > 0) return;
    const {opened} = this;
    this.opened = undefined;
    await opened?.then(
      (runtime) => runtime.dispose(),
      () => {},
    );
  }
}
