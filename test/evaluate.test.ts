import test from 'ava';
import {evaluateDebate, evaluateFusion, evaluateSolo} from '../src/evaluate.js';
import {numericReward} from '../src/reward/numeric.js';
import type {Strategy} from '../src/types.js';
import {type Script, scriptedAgent} from './helpers/scripted-policy.js';
import {sums, sumsAgents, sumsConfig, sumsScript} from './helpers/sums.js';

const config = sumsConfig();
const options = {config, reward: numericReward};

test('solo: greedy answers once, sampled ones as shares, by question', async (t) => {
  const agent = scriptedAgent('ann', sumsScript(0.5));
  const result = await evaluateSolo(agent, sums, {...options, samples: 8});
  t.deepEqual(result.greedy, new Array(30).fill(1));
  t.deepEqual(
    result.questionIds,
    sums.map(({id}) => id),
  );
  t.true(result.sampled.every((share) => Number.isInteger(share * 8)));
  const average = result.sampled.reduce((a, b) => a + b) / 30;
  t.true(average > 0.3 && average < 0.6); // half are right, a twentieth has no answer; 240 draws
  t.is(result.wellFormed, 1);
  t.is(agent.policy.requests[0]?.temperature, 0);
  t.is(agent.policy.requests[1]?.temperature, 1);
});

test('solo: the same draws each time, others for another agent of the run', async (t) => {
  const sampled = async (agentIndex: number) =>
    (await evaluateSolo(scriptedAgent('ann', sumsScript(0.5)), sums, {...options, agentIndex, samples: 4})).sampled;
  t.deepEqual(await sampled(0), await sampled(0));
  t.notDeepEqual(await sampled(0), await sampled(1));
});

test('solo: none sampled, and only sampled', async (t) => {
  const [agent] = sumsAgents();
  t.deepEqual((await evaluateSolo(agent as NonNullable<typeof agent>, sums, {...options, samples: 0})).sampled, []);
  const only = await evaluateSolo(agent as NonNullable<typeof agent>, sums, {
    ...options,
    samples: 2,
    isSampledOnly: true,
  });
  t.deepEqual([only.greedy.length, only.sampled.length], [0, 30]);
});

/** Alone it is wrong; in fusion it repeats the box of its peer. */
const copier: Script = ({prompt}) => {
  if (prompt.endsWith('Final?<|end|><|assistant|>')) return /Peer: .*?(\\boxed\{-?\d+\})/.exec(prompt)?.[1] ?? 'none';
  return prompt.includes('Peer:') ? 'Copy.' : '\\boxed{-1}';
};

test('fusion: what the peer brings is seen, and gone when its idea is a copy of the own', async (t) => {
  const agents = [scriptedAgent('ann', copier), scriptedAgent('bob', sumsScript(0))];
  const strategies: Strategy[][] = agents.map(() => sums.map(() => 'cooperative'));
  const run = (shouldCopyOwn: boolean) =>
    evaluateFusion(agents, sums, strategies, {...options, isGreedy: true, shouldCopyOwn});
  const [ann, bob] = await run(false);
  t.deepEqual([ann?.solo, ann?.fusion], [new Array(30).fill(0), new Array(30).fill(1)]);
  t.deepEqual(bob?.fusion, new Array(30).fill(1));
  t.is(ann?.groups.length, 30);
  const [alone] = await run(true);
  t.deepEqual(alone?.fusion, new Array(30).fill(0));
  t.is(alone?.wellFormed, 1);
});

test('fusion: a dialogue that does not fit counts as wrong', async (t) => {
  const agents = [scriptedAgent('ann', copier, {contextLength: 90}), scriptedAgent('bob', sumsScript(0))];
  const strategies: Strategy[][] = agents.map(() => sums.map(() => 'competitive'));
  const warnings: string[] = [];
  const [ann] = await evaluateFusion(agents, sums, strategies, {
    ...options,
    isGreedy: true,
    onWarning: (message) => warnings.push(message),
  });
  t.deepEqual(ann?.fusion, new Array(30).fill(0));
  t.is(warnings.length, 30);
});

/** Alone it is wrong; in a debate it repeats the box that it read last. */
const follower: Script = ({prompt}) =>
  [...prompt.matchAll(/Peer: .*?(\\boxed\{-?\d+\})/g)].at(-1)?.[1] ?? '\\boxed{-1}';

test('debate: what each agent answers after each round, by question', async (t) => {
  const agents = [scriptedAgent('ann', follower), scriptedAgent('bob', sumsScript(0))];
  const [ann, bob] = await evaluateDebate(agents, sums, {...options, isGreedy: true, rounds: 2});
  const [none, all] = [new Array(30).fill(0), new Array(30).fill(1)];
  t.deepEqual(ann?.rounds, [none, all, all]);
  t.deepEqual(bob?.rounds, [all, all, all]);
  t.deepEqual(
    ann?.questionIds,
    sums.map(({id}) => id),
  );
  t.is(ann?.wellFormed, 1);
  t.is(ann?.groups[2]?.[0]?.rollouts[0]?.text, '\\boxed{1}');
  t.is(ann?.tokens[0], '\\boxed{-1}'.length + 2 * '\\boxed{1}'.length + 3); // a stop id each
});

test('debate: an answer that stands is graded and counted once', async (t) => {
  const agents = [scriptedAgent('ann', follower, {contextLength: 60}), scriptedAgent('bob', sumsScript(0))];
  let graded = 0;
  const reward: typeof numericReward = (input) => {
    graded++;
    return numericReward(input);
  };
  const [ann] = await evaluateDebate(agents, sums, {...options, reward, isGreedy: true, rounds: 2});
  t.deepEqual(ann?.rounds, new Array(3).fill(new Array(30).fill(0)));
  t.is(ann?.groups[2]?.[0], ann?.groups[0]?.[0]);
  t.is(ann?.tokens[0], '\\boxed{-1}'.length + 1);
  t.is(graded, 30 + 3 * 30);
});

test('debate: sampled, another sample is another debate, and each is the same again', async (t) => {
  const run = async (sample: number) => {
    const agents = [scriptedAgent('ann', sumsScript(0.5)), scriptedAgent('bob', sumsScript(0.5))];
    return (await evaluateDebate(agents, sums, {...options, isGreedy: false, rounds: 1, sample})).map(
      (result) => result.rounds,
    );
  };
  t.deepEqual(await run(1), await run(1));
  t.notDeepEqual(await run(1), await run(0));
});
