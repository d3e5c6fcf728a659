import {type RunConfig, type RunConfigInput, runSchema} from '../../src/config.js';
import type {Agent, Question} from '../../src/types.js';
import {type Scene, type Script, type ScriptedPolicy, scriptedAgent} from './scripted-policy.js';

/** Sums of two numbers, and agents that get them wrong when they draw low. */

export const sums: readonly Question[] = Array.from({length: 30}, (_, i) => ({
  id: `q${i}`,
  text: `${i}+${i + 1}=?`,
  answer: `${2 * i + 1}`,
  level: 1 + Math.floor(i / 10),
}));

const prompts = {
  share: '{question}',
  cooperative: '{peers}\nCooperate.',
  competitive: '{peers}\nCompete.',
  peer: 'Peer: {idea}',
  fuse: 'Final?',
  debate: '{peers}\nDebate.',
  rank: 'Rank.\n{questions}',
};

export function sumsConfig(overrides: Partial<RunConfigInput> = {}): RunConfig {
  return runSchema.parse({
    agents: [
      {name: 'ann', model: 'none'},
      {name: 'bob', model: 'none'},
    ],
    data: {train: 'none'},
    dialogue: {prompts, maxNewTokens: {share: 40, analyse: 40, fuse: 40}},
    difficulty: {listSize: 5, rounds: 2},
    groupSize: 4,
    questionsPerStep: 3,
    steps: 3,
    save: {every: 1},
    ...overrides,
  });
}

/** Answers right when it draws above `errorShare`; ranks by the first number; its notes say whose turn it is. */
export function sumsScript(errorShare: number): Script {
  return (scene) => {
    if (scene.prompt.includes('Rank.')) return rank(scene);
    if (scene.prompt.endsWith('Cooperate.<|end|><|assistant|>')) return 'Useful.';
    if (scene.prompt.endsWith('Compete.<|end|><|assistant|>')) return 'Mistaken.';
    const [, a, b] = /(\d+)\+(\d+)/.exec(scene.prompt) as RegExpExecArray;
    const sum = Number(a) + Number(b);
    const isRight = scene.isGreedy || scene.draw >= errorShare;
    if (scene.draw > 0.95) return 'I do not know.';
    return `${a}+${b}=${isRight ? sum : sum + 1} \\boxed{${isRight ? sum : sum + 1}}`;
  };
}

function rank({prompt}: Scene): string {
  const items = [...prompt.matchAll(/^(\d+)\. (\d+)\+/gm)].map(([, number, first]) => ({number, first: Number(first)}));
  return items
    .sort((a, b) => a.first - b.first)
    .map((item) => item.number)
    .join(' ');
}

export function sumsAgents(): (Agent & {readonly policy: ScriptedPolicy})[] {
  return [scriptedAgent('ann', sumsScript(0.3)), scriptedAgent('bob', sumsScript(0.6))];
}
