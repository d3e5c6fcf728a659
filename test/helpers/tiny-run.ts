import {mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {stringify} from 'yaml';
import type {RunConfigInput} from '../../src/config.js';
import {NativePolicy} from '../../src/native/native-policy.js';
import {NativeRuntime} from '../../src/native/runtime.js';
import {writeTinyTokenizer} from '../../src/text/tiny-tokenizer.js';
import {tinyConfigs} from './tiny-model.js';

const specials = {user: '<|user|>', assistant: '<|assistant|>', end: '<|end|>'};
const pieces = [...'0123456789+-=?. {}\\', ...'abcdefghijklmnopqrstuvwxyz', 'Peer: ', '\n'];

/** Random models are never right: this reward has spread all the same. */
const reward = `export default ({completion}) => ({isCorrect: completion.ids.reduce((sum, id) => sum + id) % 2 === 0, isWellFormed: true});\n`;

export interface TinyRun {
  /** Of the two models: `ann` and `bob`. */
  readonly agents: string;
  readonly questions: string;
  readonly config: string;
}

/** Two random models of two families, a tokenizer, questions, a reward and a config.yaml for a run of seconds, in an existing folder. */
export async function writeTinyRun(folder: string, overrides: Partial<RunConfigInput> = {}): Promise<TinyRun> {
  const agents = path.join(folder, 'agents');
  const families = {ann: 'qwen2', bob: 'llama'} as const;
  const runtime = await NativeRuntime.open({device: 'cpu', threads: 1});
  for (const [name, family] of Object.entries(families)) {
    const model = path.join(agents, name);
    await mkdir(model, {recursive: true});
    const {vocabSize, ids} = await writeTinyTokenizer(model, {pieces, specials});
    const config = {...tinyConfigs[family], vocab_size: vocabSize, eos_token_id: ids.end, max_position_embeddings: 160};
    const policy = await NativePolicy.create(config, {runtime, seed: 7});
    await policy.save(model);
  }
  await runtime.dispose();
  const questions = path.join(folder, 'questions.jsonl');
  await writeFile(questions, questionLines(24));
  await writeFile(path.join(folder, 'reward.mjs'), reward);
  const config = path.join(folder, 'config.yaml');
  await writeFile(config, stringify(tinyRunConfig(overrides)));
  return {agents, questions, config};
}

/** Paths are relative to the folder of config.yaml. */
export function tinyRunConfig(overrides: Partial<RunConfigInput> = {}): RunConfigInput {
  return {
    seed: 3,
    device: 'cpu',
    threads: 2,
    agents: Object.keys({ann: 0, bob: 0}).map((name) => ({name, model: `agents/${name}`})),
    data: {train: 'questions.jsonl', test: 'questions.jsonl'},
    difficulty: {estimator: 'pass-rate', samples: 2},
    ability: {questions: 4},
    dialogue: {
      maxNewTokens: {share: 16, analyse: 12, fuse: 16},
      prompts: {
        share: '{question}',
        cooperative: '{peers}\n',
        competitive: '{peers}?',
        peer: 'Peer: {idea}',
        fuse: '=?',
      },
    },
    reward: {function: 'reward.mjs'},
    groupSize: 4,
    questionsPerStep: 4,
    steps: 6,
    minibatches: 2,
    optimizer: {learningRate: 1e-3},
    eval: {every: 3, questions: 4, samples: 1},
    save: {every: 2, keep: 2},
    ...overrides,
  };
}

export function questionLines(count: number): string {
  const lines = Array.from({length: count}, (_, i) =>
    JSON.stringify({id: `q${i}`, question: `${10 + i}+${i}=?`, answer: `${10 + 2 * i}`, level: 1 + (i % 3)}),
  );
  return `${lines.join('\n')}\n`;
}
