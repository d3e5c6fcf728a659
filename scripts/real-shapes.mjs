// The path of real data in real shapes, without weights at hand: two agents of SmolLM2-135M's shape with random weights and its
// tokenizer, real GSM8K questions, two whole ILR steps on the CPU by recipes/gsm8k.yaml made small. Random models are never right, so
// the reward is the parity of a completion's length in characters, which has spread. They cannot rank questions either: difficulty is their pass rate.
//   node scripts/real-shapes.mjs [--shared <folder>] [--output runs/real-shapes]
//   python scripts/compare-with-transformers.py runs/real-shapes       then: transformers computes the same log-probs
import {copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {stringify} from 'yaml';
import {NativePolicy, NativeRuntime, readConfigFile, runTraining} from '../dist/src/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const reward = 'export default ({text}) => ({isCorrect: text.length % 2 === 0, isWellFormed: true});\n';

/** Two agents' folders under `output`/start. */
async function createAgents(shared, output, layers, runtime) {
  const shape = JSON.parse(readFileSync(path.join(shared, 'model-configs/SmolLM2-135M.json'), 'utf8'));
  const config = {...shape, num_hidden_layers: layers ?? shape.num_hidden_layers};
  const tokenizer = path.join(shared, 'tokenizers/smollm2');
  for (const [index, name] of ['a', 'b'].entries()) {
    const folder = path.join(output, 'start', name);
    mkdirSync(folder, {recursive: true});
    const policy = await NativePolicy.create(config, {runtime, seed: index + 1, trainable: false});
    await policy.save(folder);
    await policy.dispose();
    for (const file of readdirSync(tokenizer).filter(
      (each) => each.startsWith('tokenizer') && !each.includes('base'),
    )) {
      copyFileSync(path.join(tokenizer, file), path.join(folder, file));
    }
  }
}

function writeConfig(shared, output, {questions, newTokens, groupSize}) {
  writeFileSync(path.join(output, 'reward.mjs'), reward);
  const train = readFileSync(path.join(shared, 'data/gsm8k/train.jsonl'), 'utf8')
    .split('\n')
    .slice(0, 2 * questions);
  writeFileSync(path.join(output, 'questions.jsonl'), `${train.join('\n')}\n`);
  writeFileSync(
    path.join(output, 'run.yaml'),
    stringify({
      device: 'cpu',
      agents: ['a', 'b'].map((name) => ({name, model: `start/${name}`})),
      data: {train: 'questions.jsonl', validation: 'questions.jsonl', answer: 'gsm8k'},
      difficulty: {estimator: 'pass-rate', samples: 1},
      ability: {questions: 1},
      dialogue: {maxNewTokens: {share: newTokens, analyse: newTokens, fuse: newTokens}},
      reward: {function: 'reward.mjs'},
      groupSize,
      questionsPerStep: questions,
      steps: 2,
      // Larger than a real run's, so that two steps move a float32 weight for certain.
      optimizer: {learningRate: 1e-5},
    }),
  );
}

/** Log-probs of a few sequences under a saved agent, for transformers to be compared with. */
async function score(folder, runtime) {
  const policy = await NativePolicy.load(folder, {runtime, trainable: false});
  const {vocabSize} = policy.info();
  const sequences = [0, 1].map((s) =>
    Int32Array.from({length: 48}, (_, i) => (s * 7919 + i * 104729 + 17) % vocabSize),
  );
  const ids = Int32Array.from(sequences.flatMap((each) => [...each]));
  const {logprobs} = await policy.logprobs({
    sequences: {ids, offsets: Int32Array.of(0, 48, 96)},
    mask: Uint8Array.from(ids, (_, i) => (i % 48 === 0 ? 0 : 1)),
  });
  await policy.dispose();
  return sequences.map((each, s) => ({ids: [...each], logprobs: [...logprobs.subarray(48 * s + 1, 48 * (s + 1))]}));
}

/** @returns metrics of both steps; throws where something is not as it must be. */
export async function realShapes({shared, output, questions = 2, newTokens = 24, groupSize = 4, layers, onEvent}) {
  mkdirSync(output, {recursive: true});
  const runtime = await NativeRuntime.open({device: 'cpu'});
  await createAgents(shared, output, layers, runtime);
  writeConfig(shared, output, {questions, newTokens, groupSize});
  const {config} = await readConfigFile(path.join(output, 'run.yaml'), [`output=${path.join(output, 'ilr')}`]);
  const metrics = [];
  const {final} = await runTraining(config, {
    onEvent(event) {
      if (event.type === 'step' && event.metrics.step > 0) metrics.push(event.metrics);
      onEvent?.(event);
    },
  });
  if (metrics.length !== 2) throw new Error(`expected the metrics of 2 steps, got ${metrics.length}`);
  for (const name of ['a', 'b']) {
    for (const step of metrics) {
      const norm = step[`${name}/grad_norm`];
      if (!(Number.isFinite(norm) && norm > 0))
        throw new Error(`step ${step.step}: ${name}'s gradient norm is ${norm}`);
      if (step[`${name}/skipped_steps`] !== 0) throw new Error(`step ${step.step}: ${name}'s update was skipped`);
    }
    const [first, last] = [path.join(output, 'start', name), path.join(final, name)].map((folder) =>
      readFileSync(path.join(folder, 'model.safetensors')),
    );
    if (first.length !== last.length) throw new Error(`${name}: the saved weights have another size`);
    if (first.equals(last)) throw new Error(`${name}: the saved weights are the first ones`);
    writeFileSync(
      path.join(output, `logprobs-${name}.json`),
      JSON.stringify(await score(path.join(final, name), runtime)),
    );
  }
  await runtime.dispose();
  return metrics;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const {values} = parseArgs({
    options: {
      shared: {type: 'string', default: path.join(root, '../shared')},
      output: {type: 'string', default: 'runs/real-shapes'},
    },
  });
  const started = performance.now();
  const metrics = await realShapes({
    ...values,
    output: path.resolve(values.output),
    onEvent: (event) =>
      event.type === 'phase' && event.done === event.total && console.log(`step ${event.step}: ${event.phase}`),
  });
  for (const step of metrics) {
    console.log(
      `step ${step.step}: gradient norms a ${step['a/grad_norm'].toFixed(3)}, b ${step['b/grad_norm'].toFixed(3)}`,
    );
  }
  const peak = process.resourceUsage().maxRSS / 2 ** 20;
  console.log(
    `two ILR steps in ${((performance.now() - started) / 1000).toFixed(0)} s, peak memory ${peak.toFixed(1)} GiB; weights moved`,
  );
  console.log(`next: python scripts/compare-with-transformers.py ${values.output}`);
}
