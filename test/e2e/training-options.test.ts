import {mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import type {RunConfigInput} from '../../src/config.js';
import {readMetrics} from '../../src/record/metrics.js';
import type {StepMetrics} from '../../src/types.js';
import {resultOf, runInChild} from '../helpers/child-run.js';
import type {Moment} from '../helpers/killed-run.js';
import {writeTinyRun} from '../helpers/tiny-run.js';

/** All that can make a step more than one round and one update, on real models, killed and resumed. */

const folder = await mkdtemp(path.join(tmpdir(), 'ilr-options-'));
test.before(async () => {
  await writeTinyRun(folder);
});
test.after.always(() => rm(folder, {recursive: true, force: true}));

const options: Partial<RunConfigInput> = {
  loss: {type: 'grpo', beta: 0.05, importanceCorrection: 'token_truncate', importanceMax: 2},
  reference: {kind: 'synchronised', every: 2, mix: 0.5},
  iterations: 2,
  groupSize: 2,
  dynamicSampling: {rounds: 2},
  eval: {every: 0, questions: 4, samples: 1},
};

const baselines: Partial<RunConfigInput> = {
  loss: {tokenCount: 'batch', entropyBonus: 0.01, maskTruncated: true},
  advantage: {baseline: 'ema'},
  eval: {every: 0, questions: 4, samples: 1},
};

const lean: Partial<RunConfigInput> = {
  agents: ['ann', 'bob'].map((name) => ({name, model: `agents/${name}`, dtype: 'bfloat16'})),
  optimizer: {kind: 'lean', moments: 'int8', learningRate: 1e-3, warmupSteps: 2, schedule: 'cosine'},
  gradientCheckpointing: true,
  eval: {every: 0, questions: 4, samples: 1},
};

for (const [name, overrides, moments] of [
  [
    'synchronised',
    options,
    [
      {step: 3, phase: 'sharing', done: 3, delayMs: 0},
      {step: 5, phase: 'update', done: 2, delayMs: 0},
    ],
  ],
  ['lean', lean, [{step: 4, phase: 'update', done: 1, delayMs: 0}]],
  ['baselines', baselines, [{step: 4, phase: 'update', done: 1, delayMs: 0}]],
] as const satisfies readonly (readonly [string, Partial<RunConfigInput>, readonly Moment[]])[]) {
  test(`${name}: killed and resumed, a run ends as if it had not been, bit for bit`, async (t) => {
    const whole = await runInChild(folder, `${name}-whole`, 'start', undefined, overrides);
    t.is(whole.code, 0, whole.errors);
    for (const [i, moment] of moments.entries()) {
      const killed = await runInChild(folder, name, i === 0 ? 'start' : 'resume', moment, overrides);
      t.is(killed.signal, 'SIGKILL', killed.errors);
    }
    const resumed = await runInChild(folder, name, 'resume', undefined, overrides);
    t.is(resumed.code, 0, resumed.errors);
    t.deepEqual(await resultOf(folder, name), await resultOf(folder, `${name}-whole`));
  });
}

test('the figures of all that are there, and say what they should', async (t) => {
  // alone: each agent replaces its own questions, half of which have no spread
  const {code, errors} = await runInChild(folder, 'figures', 'start', undefined, {
    ...options,
    method: 'grpo',
    steps: 3,
  });
  t.is(code, 0, errors);
  const steps = (await readMetrics(path.join(folder, 'figures', 'metrics.jsonl'))).slice(1) as StepMetrics[];
  for (const agent of ['ann', 'bob']) {
    const of = (path: string) => steps.map((step) => step[`${agent}/${path}`] as number);
    // k3 is never negative, and only the very first update of a step starts from the reference.
    t.true(of('kl').every((value) => value > 0 && value < 1));
    // Sampler and scorer are one code on the CPU; the ratio is another thing, and moves within a step.
    t.true(of('importance/mean').every((value) => Math.abs(value - 1) < 1e-4));
    t.true(of('ratio_max').every((value) => value > 1.0001));
    t.true(of('refill/questions').some((value) => value > 0));
    t.deepEqual(
      of('questions'),
      of('refill/questions').map((value) => 4 + value),
    );
    of('refill/tokens').forEach((tokens, s) => {
      t.is(tokens > 0, (of('refill/questions')[s] as number) > 0);
      t.true(tokens < (of('tokens/generated')[s] as number));
    });
  }
});

test('a frozen reference is not saved, is loaded from the start again, and must be what it was', async (t) => {
  const own = await mkdtemp(path.join(tmpdir(), 'ilr-frozen-'));
  t.teardown(() => rm(own, {recursive: true, force: true}));
  const {agents} = await writeTinyRun(own);
  const overrides: Partial<RunConfigInput> = {
    loss: {beta: 0.05},
    reference: {kind: 'frozen'},
    steps: 4,
    eval: {every: 0, questions: 4, samples: 1},
  };
  const killed = await runInChild(own, 'run', 'start', {step: 3, phase: 'update', done: 0, delayMs: 0}, overrides);
  t.is(killed.signal, 'SIGKILL', killed.errors);
  t.false((await readdir(path.join(own, 'run', 'checkpoints', 'step-000002', 'ann'))).includes('reference'));

  const weights = path.join(agents, 'ann', 'model.safetensors');
  const before = await readFile(weights);
  const changed = Buffer.from(before);
  changed[changed.length - 4] = (changed.at(-4) as number) ^ 1;
  await writeFile(weights, changed);
  const refused = await runInChild(own, 'run', 'resume', undefined, overrides);
  t.is(refused.code, 1);
  t.regex(refused.errors, /agents: weights in agents\[\]\.model.*have changed/);
  await writeFile(weights, before);
  const resumed = await runInChild(own, 'run', 'resume', undefined, overrides);
  t.is(resumed.code, 0, resumed.errors);
});
