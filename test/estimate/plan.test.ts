import {readFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {table} from '../../src/cli/estimate.js';
import {type RunConfigInput, runSchema} from '../../src/config.js';
import {estimateConfig, requireMemory} from '../../src/estimate/plan.js';
import {adapterCount, parameterCount, shapeOf} from '../../src/estimate/shape.js';
import {folderWith} from '../helpers/folder.js';
import {sharedPath} from '../helpers/shared.js';
import {sums} from '../helpers/sums.js';

const model = {
  model_type: 'llama',
  vocab_size: 1000,
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 4096,
  tie_word_embeddings: true,
};

async function configOf(t: ExecutionContext, more: Partial<RunConfigInput> = {}) {
  const folder = await folderWith(t, {'config.json': model});
  return runSchema.parse({
    device: 'cpu',
    agents: ['a', 'b'].map((name) => ({name, model: folder})),
    data: {train: 'none'},
    ...more,
  });
}

test('parameters are counted as on paper', (t) => {
  const shape = shapeOf(model);
  // per layer: two norms, q k v of (4 + 2·2)·16 rows, o, and three products of 64·128; the last norm; the tied embedding
  t.is(parameterCount(shape), 2 * (2 * 64 + 128 * 64 + 64 * 64 + 3 * 64 * 128) + 64 + 1000 * 64);
  t.is(parameterCount(shapeOf({...model, tie_word_embeddings: false})) - parameterCount(shape), 1000 * 64);
  t.is(adapterCount(shape, 8, ['q_proj', 'v_proj']), 2 * 8 * (64 + 64 + 64 + 32));
});

test('a config.json that lacks a size is refused by its key', (t) => {
  t.throws(() => shapeOf({...model, hidden_size: undefined}, 'x/config.json'), {
    code: 'ILR_INVALID_MODEL',
    message: /x\/config\.json: hidden_size: expected a whole number above 0/,
  });
});

const published: Readonly<Record<string, number>> = {
  'Llama-3.1-8B': 8_030_261_248,
  'Llama-3.2-1B': 1_235_814_400,
  'Mistral-7B-v0.3': 7_248_023_552,
  'Qwen2.5-0.5B-Instruct': 494_032_768,
  'Qwen3-0.6B': 596_049_920,
  'SmolLM2-135M': 134_515_008,
  'gemma-2-2b-it': 2_614_341_888,
  'gemma-3-1b-it': 999_885_952,
};

const configs = sharedPath('model-configs');
(configs ? test : test.skip)('parameters of published models (skipped where ../shared is not here)', async (t) => {
  for (const [name, parameters] of Object.entries(published)) {
    const config = JSON.parse(await readFile(path.join(configs as string, `${name}.json`), 'utf8'));
    t.is(parameterCount(shapeOf(config)), parameters, name);
  }
});

test('a run: an adapter holds less than a model, two of them share its weights, and a reference policy is a copy', async (t) => {
  const bytes = async (more: Partial<RunConfigInput>) => estimateConfig(await configOf(t, more), sums, {isRough: true});
  const full = await bytes({});
  const agents = (await configOf(t)).agents.map(({name, model: folder}) => ({name, model: folder, adapter: {rank: 4}}));
  const adapters = await bytes({agents});
  const {a, b} = adapters.held as Record<string, {readonly weights: number; readonly optimizer: number}>;
  t.true((b?.weights as number) < 0.2 * (a?.weights as number));
  t.true((a?.optimizer as number) < 0.3 * (full.held.a?.optimizer as number));
  t.is(full.held.a?.reference, 0);
  const reference = await bytes({loss: {beta: 0.1}, reference: {kind: 'frozen'}});
  t.is(reference.held.a?.reference, full.held.a?.weights);
  t.true(reference.phases.some(({phase}) => phase === 'reference'));
  // Tiny agents run side by side: their phases add up.
  const largest = full.phases.find(({phase}) => phase === full.peakPhase);
  const together = Object.values(largest?.bytes ?? {}).reduce((sum, one) => sum + one, 0);
  const held = Object.values(full.held).reduce((sum, part) => sum + part.weights + part.optimizer, 0);
  t.is(full.peakBytes, full.processBytes + held + together + full.keptBytes);
  t.false(full.phases.some(({phase}) => phase === 'eval'));
  const evaluated = await bytes({data: {train: 'none', test: 'none'}});
  t.true(evaluated.phases.some(({phase}) => phase === 'eval'));
  t.regex(table(full, 2 ** 30), /optimizer .*\n[\s\S]*Peak: \S+ \S+, in \w+\. Free now: 1\.0 GiB/);
});

test('what cannot fit is refused before anything is loaded, with what lowers it', async (t) => {
  const config = await configOf(t);
  await t.notThrowsAsync(requireMemory(config, sums, 64 * 2 ** 30));
  await t.throwsAsync(requireMemory(config, sums, 100 * 2 ** 20), {
    code: 'ILR_OUT_OF_MEMORY',
    message: /this run needs about .* but 100 MiB are free\. Lower it with agents\.\*\.adapter/,
  });
});
