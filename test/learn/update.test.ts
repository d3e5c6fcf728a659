import test from 'ava';
import {runSchema} from '../../src/config.js';
import {buildBatches} from '../../src/learn/batch.js';
import {learn, lossOptions, scoreBatches} from '../../src/learn/update.js';
import {Random} from '../../src/random.js';
import {rewardedGroup} from '../helpers/groups.js';
import {ScriptedPolicy} from '../helpers/scripted-policy.js';

const policyOf = (memory: number) => {
  const policy = new ScriptedPolicy(() => '');
  policy.state = {updates: 0, memory};
  return policy;
};

function batchesOf(minibatches: number) {
  const groups = ['ab', 'cde', 'f'].map((question) => {
    const group = rewardedGroup(0, question, [0, 1, 0]);
    return {group, rollouts: group.rollouts, rewards: [0, 1, 0]};
  });
  const random = new Random({seed: 1, purpose: 'minibatch'});
  return buildBatches(groups, {minibatches, soloWeight: 1, fusionWeight: 1, random});
}

/** As the scripted policy scores. */
const scoresOf = (ids: Iterable<number>, memory: number) =>
  Float32Array.from([...ids], (id) => -id / 1000 - (memory % 1009) / 1e4);

test('π_old and π_ref are scored behind the prompt, at the temperature, before any update', async (t) => {
  const policy = policyOf(5);
  const reference = policyOf(70);
  const batches = batchesOf(2);
  const scored = await scoreBatches(batches, {policy, temperature: 0.7, shouldScoreOld: true, reference});
  t.is(scored.length, 2);
  for (const [m, {completions}] of scored.entries()) {
    t.deepEqual(completions.oldLogprobs, scoresOf(completions.ids, 5));
    t.deepEqual(completions.refLogprobs, scoresOf(completions.ids, 70));
    t.deepEqual(completions.samplerLogprobs, batches[m]?.completions.samplerLogprobs);
  }
  const [request] = policy.scored;
  t.is(request?.temperature, 0.7);
  // prompt and completion end to end, the completion wanted
  const prompts = scored[0]?.prompts;
  const first = prompts?.ids.subarray(0, prompts.offsets[1]) ?? new Int32Array();
  t.deepEqual(
    [...(request?.sequences.ids.subarray(0, first.length + 3) ?? [])],
    [...first, 0, ...first].slice(0, first.length + 3),
  );
  t.deepEqual([...(request?.mask.subarray(0, first.length + 2) ?? [])], [...first].map(() => 0).concat(1, 0));
});

test('an adapter’s reference is its base; nothing is scored that nothing asks for', async (t) => {
  const policy = policyOf(5);
  const options = {policy, temperature: 1, shouldScoreOld: false};
  const batches = batchesOf(1);
  t.is(await scoreBatches(batches, options), batches);
  t.is(policy.scored.length, 0);
  const [scored] = await scoreBatches(batches, {...options, reference: 'base'});
  t.deepEqual(scored?.completions.refLogprobs, scoresOf(scored?.completions.ids ?? [], 1));
  t.false('oldLogprobs' in (scored?.completions ?? {}));
  t.is(policy.scored[0]?.adapter, false);
});

test('each pass takes the same batches, with the same old log-probs', async (t) => {
  const policy = policyOf(5);
  const batches = await scoreBatches(batchesOf(2), {policy, temperature: 1, shouldScoreOld: true});
  const seen: number[] = [];
  const results = await learn(policy, batches, {
    iterations: 3,
    update: {loss: 'dapo', learningRate: 1},
    onProgress: (done, total) => seen.push(done / total),
  });
  t.is(results.length, 6);
  t.deepEqual(policy.batches, [...batches, ...batches, ...batches]);
  t.deepEqual(seen, [0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1]);
});

test('settings reach the policy under its names, and only those of its loss', (t) => {
  const parse = (changes: object) =>
    runSchema.parse({agents: [{name: 'ann', model: 'm'}], data: {train: 'q'}, ...changes});
  const {loss, advantage} = parse({
    loss: {type: 'vespo', beta: 0.5, kl: 'k2', importanceCorrection: 'token_mask', importanceMin: 0.1},
    reference: {kind: 'base'},
    advantage: {baseline: 'ema'},
  });
  t.deepEqual(lossOptions(loss, advantage), {
    loss: 'vespo',
    vespoKPositive: 2,
    vespoLambdaPositive: 3,
    vespoKNegative: 3,
    vespoLambdaNegative: 2,
    beta: 0.5,
    kl: 'k2',
    klUnbiased: false,
    entropyBonus: 0,
    topEntropyFraction: 1,
    importanceCorrection: 'token_mask',
    importanceMax: 3,
    importanceMin: 0.1,
    baseline: 'given',
    scale: 'none',
  });
  const sapo = parse({loss: {type: 'sapo', sapo: {temperatureNegative: 2}}, advantage: {std: 'sample', epsilon: 1e-4}});
  t.like(lossOptions(sapo.loss, sapo.advantage), {
    loss: 'sapo',
    ratio: 'token',
    sapoTemperaturePositive: 1,
    sapoTemperatureNegative: 2,
    baseline: 'group',
    scale: 'group',
    std: 'sample',
    stdEpsilon: 1e-4,
  });
});
