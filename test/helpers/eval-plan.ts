import type {EvalBenchmark, EvalModel, EvalPlan} from '../../src/eval/plan.js';
import type {EvalSettings} from '../../src/eval/report.js';
import {numericReward} from '../../src/reward/numeric.js';
import type {Question, RewardFunction} from '../../src/types.js';
import {type Script, scriptedAgent} from './scripted-policy.js';
import {sums, sumsConfig} from './sums.js';

/** Plans of evaluations of scripted models. */

const {dialogue, reward, difficulty} = sumsConfig();

export interface ScriptedModel extends EvalModel {
  /** Times it was opened and closed. */
  readonly opened: {count: number; closed: number};
}

export function scriptedModel(
  name: string,
  script: Script,
  options: {readonly contextLength?: number} = {},
): ScriptedModel {
  const opened = {count: 0, closed: 0};
  return {
    name,
    folder: `models/${name}`,
    identity: `identity of ${name}`,
    dtype: 'float32',
    device: 'cpu',
    prompt: dialogue.prompts.share,
    temperature: 1,
    maxNewTokens: dialogue.maxNewTokens.share,
    dialogue,
    details: null,
    opened,
    open: async () => {
      opened.count++;
      return {
        ...scriptedAgent(name, script, options),
        close: async () => {
          opened.closed++;
        },
      };
    },
  };
}

export function benchmarkOf(
  name: string,
  questions: readonly Question[] = sums,
  own: RewardFunction = numericReward,
): EvalBenchmark {
  return {name, reward: own, rewardName: 'numeric', rewardIdentity: '', questions, leftOut: []};
}

export function planOf(
  models: readonly EvalModel[],
  benchmarks: readonly EvalBenchmark[],
  {settings = {}, ...rest}: Partial<Omit<EvalPlan, 'settings'>> & {readonly settings?: Partial<EvalSettings>} = {},
): EvalPlan {
  const modes = settings.modes ?? ['solo'];
  return {
    models,
    group: modes.some((mode) => mode !== 'solo') ? models.map((_, i) => i) : [],
    benchmarks,
    settings: {seed: 5, modes, samples: 4, k: [1, 4], level: 0.95, resamples: 200, ...settings},
    dialogue,
    reward,
    batch: 8,
    versions: {'ilr-native': '0'},
    cooperativeShare: 0.5,
    ...rest,
  };
}

export const sumsDifficulty = difficulty;
