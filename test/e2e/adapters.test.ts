import {spawn} from 'node:child_process';
import {mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {stringify} from 'yaml';
import {loadAgent, openRun} from '../../src/cli/agents.js';
import {findModels} from '../../src/cli/models.js';
import {sampleText} from '../../src/cli/sample.js';
import type {RunConfigInput} from '../../src/config.js';
import {readConfigFile} from '../../src/config-file.js';
import {stampOf} from '../../src/record/files.js';
import {readMetrics, withoutClock} from '../../src/record/metrics.js';
import type {Moment} from '../helpers/killed-run.js';
import {tinyRunConfig, writeTinyRun} from '../helpers/tiny-run.js';

const child = fileURLToPath(new URL('../helpers/killed-run.js', import.meta.url));
const folder = await mkdtemp(path.join(tmpdir(), 'ilr-adapters-'));
test.before(async () => {
  await writeTinyRun(folder);
});
test.after.always(() => rm(folder, {recursive: true, force: true}));

/** Two adapters and a frozen agent over one model, with the base under each adapter as its reference policy. */
const overrides: Partial<RunConfigInput> = {
  agents: [
    {name: 'ann', model: 'agents/ann', adapter: {rank: 4, alpha: 8}},
    {name: 'bea', model: 'agents/ann', adapter: {rank: 2, targetModules: ['q_proj', 'v_proj'], rankStabilized: true}},
    {name: 'cal', model: 'agents/ann', trainable: false},
  ],
  steps: 4,
  eval: {every: 2, questions: 2, samples: 1},
  loss: {beta: 0.01},
  reference: {kind: 'base'},
};

async function run(name: string, mode: 'start' | 'resume', moment?: Moment, changes = overrides) {
  const file = path.join(folder, `${name}.yaml`);
  await writeFile(file, stringify({...tinyRunConfig(changes), output: path.join(folder, name)}));
  const started = spawn(process.execPath, [child, file, mode, ...(moment ? [JSON.stringify(moment)] : [])], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  started.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text;
  });
  return new Promise<{code: number | null; signal: string | null; errors: string}>((resolve) =>
    started.on('close', (code, signal) => resolve({code, signal, errors})),
  );
}

const hash = async (...parts: string[]) => (await stampOf(path.join(folder, ...parts))).sha256;

const adapterFiles = (agents: readonly string[]) =>
  agents.flatMap((agent) => [
    ['final', agent, 'adapter_model.safetensors'],
    ['checkpoints', 'step-000004', agent, 'optimizer.safetensors'],
  ]);

async function resultOf(name: string, files = adapterFiles(['ann', 'bea'])) {
  return {
    metrics: (await readMetrics(path.join(folder, name, 'metrics.jsonl'))).map(withoutClock),
    dialogues: await hash(name, 'dialogues.jsonl'),
    files: await Promise.all(files.map((file) => hash(name, ...file))),
  };
}

test.serial('two adapters and a frozen agent learn over one base, killed and resumed bit for bit', async (t) => {
  const base = await hash('agents', 'ann', 'model.safetensors');
  const whole = await run('whole', 'start');
  t.is(whole.code, 0, whole.errors);
  const killed = await run('killed', 'start', {step: 3, phase: 'update', done: 1, delayMs: 0});
  t.is(killed.signal, 'SIGKILL', killed.errors);
  const resumed = await run('killed', 'resume');
  t.is(resumed.code, 0, resumed.errors);
  const expected = await resultOf('whole');
  t.deepEqual(await resultOf('killed'), expected);
  t.is(await hash('agents', 'ann', 'model.safetensors'), base);
  t.not(expected.files[0], await hash('whole', 'checkpoints', 'step-000002', 'ann', 'adapter_model.safetensors'));
  // The frozen agent talked, and was not trained; each adapter's divergence from its base was weighed.
  const last = expected.metrics.at(-1) as unknown as Record<string, number | undefined>;
  for (const name of ['ann', 'bea']) {
    t.true((last[`${name}/grad_norm`] ?? 0) > 0 && (last[`${name}/kl`] ?? 0) > 0, name);
  }
  t.is(last['cal/grad_norm'], undefined);
  t.true((last['cal/tokens/generated'] ?? 0) > 0);
  t.is(last['cal/tokens/trained'], 0);
});

test.serial(
  'adapters over float32 and bfloat16 beside a whole model, with references that follow, resume bit for bit',
  async (t) => {
    const moving: Partial<RunConfigInput> = {
      ...overrides,
      agents: [
        {name: 'ann', model: 'agents/ann', adapter: {rank: 4}},
        {name: 'bea', model: 'agents/ann'},
        {name: 'cal', model: 'agents/ann', dtype: 'bfloat16', adapter: {rank: 2}},
      ],
      eval: {every: 0, questions: 1, samples: 0},
      reference: {kind: 'synchronised', every: 1, mix: 1},
    };
    const files = [
      ...adapterFiles(['ann', 'cal']),
      ['final', 'bea', 'model.safetensors'],
      ['checkpoints', 'step-000004', 'ann', 'reference', 'adapter_model.safetensors'],
      ['checkpoints', 'step-000004', 'bea', 'reference', 'model.safetensors'],
    ];
    const whole = await run('moving', 'start', undefined, moving);
    t.is(whole.code, 0, whole.errors);
    const killed = await run('moving-killed', 'start', {step: 4, phase: 'update', done: 0, delayMs: 0}, moving);
    t.is(killed.signal, 'SIGKILL', killed.errors);
    const resumed = await run('moving-killed', 'resume', undefined, moving);
    t.is(resumed.code, 0, resumed.errors);
    const expected = await resultOf('moving', files);
    t.deepEqual(await resultOf('moving-killed', files), expected);
    // The references have moved with the agents: they are what these are.
    t.is(expected.files.at(-2), expected.files[0]);
    t.is(expected.files.at(-1), expected.files[4]);
  },
);

test.serial('what an agent with an adapter leaves is a PEFT folder that names its base', async (t) => {
  const final = path.join(folder, 'whole', 'final');
  const names = (await readdir(path.join(final, 'bea'))).sort();
  t.true(names.includes('adapter_config.json') && names.includes('tokenizer.json'), names.join());
  t.false(names.includes('model.safetensors') || names.includes('config.json'), names.join());
  t.like(JSON.parse(await readFile(path.join(final, 'bea', 'adapter_config.json'), 'utf8')), {
    peft_type: 'LORA',
    r: 2,
    lora_alpha: 16,
    use_rslora: true,
    target_modules: ['q_proj', 'v_proj'],
    base_model_name_or_path: path.join(folder, 'agents', 'ann'),
  });
  t.false((await readdir(path.join(final, 'cal'))).includes('model.safetensors'));
});

test.serial('sample and eval find adapters and frozen agents with their bases', async (t) => {
  const models = await findModels(path.join(folder, 'whole'));
  t.deepEqual(
    models.map(({name}) => name),
    ['ann', 'bea', 'cal'],
  );
  const base = path.join(folder, 'agents', 'ann');
  const answerOf = async (found: string, options = {}) => {
    const agent = await loadAgent(found, {...options, trainable: false, device: 'cpu', threads: 1});
    const {text} = await sampleText(agent, '1+1=?', () => {}, {maxNewTokens: 16, seed: 1, temperature: 0});
    await agent.close();
    return text;
  };
  const answers = await Promise.all([...models, {folder: base}].map((each) => answerOf(each.folder)));
  t.is(answers[2], answers[3] as string);
  t.not(answers[0], answers[3]);
  const ann = path.join(folder, 'whole', 'final', 'ann');
  t.is(await answerOf(ann, {base}), answers[0] as string);
  await t.throwsAsync(answerOf(base, {base: ann}), {code: 'ILR_INVALID_MODEL', message: /expected an adapter/});

  // An adapter whose base has gone says so.
  const lost = path.join(folder, 'lost');
  await mkdir(lost);
  await writeFile(path.join(lost, 'adapter_config.json'), '{"base_model_name_or_path": "someone/model"}');
  await t.throwsAsync(answerOf(lost), {code: 'ILR_INVALID_MODEL', message: /someone\/model.*--base/});
});

test.serial('agents of one model share its weights and a runtime; a full agent has its own', async (t) => {
  const file = path.join(folder, 'shared.yaml');
  const agents = [...(overrides.agents ?? []), {name: 'dan', model: 'agents/ann'}];
  await writeFile(file, stringify({...tinyRunConfig({...overrides, agents, loss: {}, reference: {}}), threads: 2}));
  const {config} = await readConfigFile(file);
  const opened = await openRun(config);
  t.deepEqual(opened.threads, [1, 1]);
  t.deepEqual(
    opened.agents.map(({policy}) => policy.info().trainedParameters),
    [2 * 4 * (64 + 2 * 48 + 64 + 3 * 96), 2 * 2 * (64 + 48), 0, opened.agents[3]?.policy.info().parameters ?? -1],
  );
  await opened.close();
});

test.serial('a changed base is refused by name on resume', async (t) => {
  const weights = path.join(folder, 'agents', 'ann', 'model.safetensors');
  const kept = await readFile(weights);
  const changed = Buffer.from(kept);
  changed[changed.length - 1] = (changed.at(-1) as number) ^ 1;
  await writeFile(weights, changed);
  const {code, errors} = await run('whole', 'resume');
  await writeFile(weights, kept);
  t.is(code, 1);
  t.regex(errors, /agents\[\]\.model .*have changed/);
});
