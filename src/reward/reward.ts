import {existsSync} from 'node:fs';
import {basename, resolve} from 'node:path';
import {pathToFileURL} from 'node:url';
import type {RunConfig} from '../config.js';
import {nearest} from '../config-keys.js';
import {isModule} from '../config-reward.js';
import {IlrError, messageOf} from '../errors.js';
import type {PartScore, RewardContext, RewardFunction, RewardHooks, RewardInput, ScoreFunction} from '../types.js';
import {composeReward} from './compose.js';
import {exactReward} from './exact.js';
import {formatReward} from './format.js';
import {type LengthOptions, lengthReward} from './length.js';
import {mathReward, mathRewardWith} from './math-reward.js';
import {numericReward} from './numeric.js';
import {isAddress, remoteReward} from './remote.js';
import {repetitionReward} from './repetition.js';

/** What `reward.function` may name beside an address or a module. */
export const graders = ['numeric', 'math', 'exact', 'code'] as const;

/** What a part may name besides. */
const forms = ['format', 'length', 'repetition'];

type Settings = RunConfig['reward'];
type PartSettings = NonNullable<Settings['parts']>[number];
/** What says how a function works, of a whole reward or of a part. */
type FunctionSettings = Pick<PartSettings, 'math' | 'format' | 'length' | 'repetition' | 'remote'>;

/**
The reward of a configuration: one function, or its parts together.

@param baseFolder - Of the paths of modules.
@param env - Where `remote.secretEnv` is looked up.
@throws IlrError `ILR_INVALID_CONFIG` when a module does not load or exports no function, or a server's address or secret will not do.
*/
export async function loadReward(
  settings: Settings,
  baseFolder: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<RewardFunction> {
  const {parts, function: whole = 'numeric'} = settings;
  if (parts === undefined) return (await loadFunction(whole, settings, baseFolder, env)) as RewardFunction;
  const loaded = await Promise.all(
    parts.map(async (part) => ({
      name: part.name,
      weight: part.weight,
      timeoutMs: millisecondsOf(settings.timeoutSeconds),
      options: part.options,
      function: await loadFunction(part.function, part, baseFolder, env),
    })),
  );
  return composeReward(loaded, settings);
}

/** How tables and reports call it. */
export function rewardName({function: whole = 'numeric', parts}: Settings): string {
  return parts === undefined ? whole : parts.map(({name}) => name).join(' + ');
}

/** The files that it runs, beside ilr-native's own. */
export function rewardModules({function: whole = 'numeric', parts}: Settings, baseFolder: string): string[] {
  const names = parts === undefined ? [whole] : parts.map((part) => part.function);
  return names.filter(isModule).map((name) => resolve(baseFolder, name));
}

/** A reward function by its name, address or module alone, without options. */
export async function loadRewardFunction(spec: string, baseFolder: string): Promise<RewardFunction> {
  return (await loadFunction(spec, {}, baseFolder, process.env)) as RewardFunction;
}

/** For `GradeOptions`. */
export function millisecondsOf(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : 1000 * seconds;
}

async function loadFunction(
  spec: string,
  settings: FunctionSettings,
  baseFolder: string,
  env: NodeJS.ProcessEnv,
): Promise<ScoreFunction> {
  switch (spec) {
    case 'numeric':
      return numericReward;
    case 'math':
      return settings.math === undefined ? mathReward : mathRewardWith(settings.math);
    case 'exact':
      return exactReward;
    case 'code':
      // Sandbox and all: loaded where it is asked for.
      return (await import('./code-reward.js')).codeReward();
    case 'format':
      return formatReward(settings.format ?? {});
    case 'length':
      return lengthReward(settings.length as LengthOptions);
    case 'repetition':
      return repetitionReward(settings.repetition);
    default:
      return isAddress(spec) ? remoteReward(spec, remoteOptions(settings), env) : loadModule(resolve(baseFolder, spec));
  }
}

function remoteOptions({remote}: FunctionSettings) {
  const {timeoutSeconds, ...rest} = remote ?? {};
  return {...rest, ...(timeoutSeconds !== undefined && {timeoutMs: 1000 * timeoutSeconds})};
}

/** A module's default export; beside it, or on it, what else a reward function may have. */
async function loadModule(file: string): Promise<ScoreFunction> {
  const loaded = await import(pathToFileURL(file).href).catch((cause: unknown) => {
    throw new IlrError(
      'ILR_INVALID_CONFIG',
      `Expected reward.function to be ${graders.join(', ')}, an address or a module, ${existsSync(file) ? `but ${file} did not load: ${messageOf(cause)}` : `got ${file}, where there is nothing`}${adviceOf(file)}`,
      {cause},
    );
  });
  const {default: main} = loaded as {default?: unknown};
  const hooks = hooksOf(file, {...loaded, ...(typeof main === 'function' && Object.fromEntries(Object.entries(main)))});
  if (typeof main === 'function') return Object.assign((...given: Parameters<ScoreFunction>) => main(...given), hooks);
  const {batch} = hooks;
  if (main === undefined && batch !== undefined) {
    return Object.assign(async (input: RewardInput, context?: RewardContext) => {
      const [score] = await batch([input], context);
      if (score instanceof Error) throw score;
      return score as PartScore;
    }, hooks);
  }
  throw new IlrError(
    'ILR_INVALID_CONFIG',
    `Expected the default export of ${file} to be a reward function, got ${typeof main}. ` +
      'Write: export default ({question, text, completion}) => ({isCorrect, isWellFormed}), or export a function batch.',
  );
}

/** A misspelt name is taken for a file. */
function adviceOf(file: string): string {
  const near = nearest(basename(file), [...graders, ...forms]);
  return near === undefined ? '' : `; did you mean ${near}?`;
}

/** What a module has beside the function: its exports, or properties of the function. */
function hooksOf(
  file: string,
  exported: Readonly<Record<string, unknown>>,
): RewardHooks & Pick<ScoreFunction, 'batch'> {
  const names = ['batch', 'prepare', 'accepts', 'sameAnswer', 'close'] as const;
  const found = names.filter((name) => exported[name] !== undefined);
  const odd = found.find((name) => typeof exported[name] !== 'function');
  if (odd !== undefined) {
    throw new IlrError(
      'ILR_INVALID_CONFIG',
      `Expected ${odd} of ${file} to be a function, got ${typeof exported[odd]}.`,
    );
  }
  return Object.fromEntries(found.map((name) => [name, exported[name]]));
}
