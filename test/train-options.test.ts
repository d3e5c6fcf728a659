import test from 'ava';
import type {RunConfigInput} from '../src/config.js';
import type {StepMetrics} from '../src/types.js';
import {ScriptedPolicy, scriptedAgent} from './helpers/scripted-policy.js';
import {resumedAgents, run, type ScriptedAgent} from './helpers/scripted-run.js';
import {sums, sumsAgents, sumsConfig, sumsScript} from './helpers/sums.js';

/** What the configuration can change about how the agents learn, in the whole loop. */

/** Each with a reference policy that scores otherwise than it does. */
function withReferences(agents: readonly ScriptedAgent[] = sumsAgents()): (ScriptedAgent & {
  readonly reference: ScriptedPolicy;
})[] {
  return agents.map((agent, i) => {
    const reference = new ScriptedPolicy(() => '');
    reference.state = {updates: 0, memory: 100 + i};
    return {...agent, reference};
  });
}

/** Only odd questions can be got wrong, by chance: groups of the others have no spread. */
function halfHard(): ScriptedAgent[] {
  return ['ann', 'bob'].map((name) =>
    scriptedAgent(name, (scene) => {
      const isEasy = Number(/(\d+)\+/.exec(scene.prompt)?.[1]) % 2 === 0;
      return sumsScript(0.5)(isEasy ? {...scene, draw: 0.9} : scene);
    }),
  );
}

const spreadOf = (rewards: readonly number[]) => Math.max(...rewards) - Math.min(...rewards);

const settings: readonly (readonly [string, Partial<RunConfigInput>, (() => ScriptedAgent[])?])[] = [
  ['inner updates', {iterations: 2, minibatches: 2, loss: {importanceCorrection: 'token_truncate'}}],
  ['moving-average baselines', {advantage: {baseline: 'ema'}, strategy: {choose: 'fixed'}}],
  ['dynamic sampling', {dynamicSampling: {rounds: 2}, groupSize: 2, iterations: 2}, halfHard],
  ['dynamic sampling of each alone', {dynamicSampling: {rounds: 2}, groupSize: 2, method: 'grpo'}, halfHard],
  [
    'a synchronised reference',
    {loss: {beta: 0.1}, reference: {kind: 'synchronised', every: 2, mix: 0.5}},
    () => withReferences(),
  ],
];

for (const [name, config, agentsOf = sumsAgents] of settings) {
  test(`${name}: a run resumed from any checkpoint repeats an uninterrupted one`, async (t) => {
    const whole = await run({config: {...config, steps: 5}, agents: agentsOf()});
    t.is(whole.error, undefined);
    t.is(whole.recorder.checkpoints.length, 5);
    for (const checkpoint of whole.recorder.checkpoints) {
      const agents = resumedAgents(checkpoint, agentsOf());
      const resumed = await run({config: {...config, steps: 5}, agents, options: {resumeFrom: checkpoint.state}});
      t.deepEqual(resumed.recorder.steps, whole.recorder.steps.slice(checkpoint.state.step + 1));
      t.deepEqual(
        agents.map((agent) => agent.policy.state),
        whole.agents.map((agent) => agent.policy.state),
      );
      t.deepEqual(JSON.stringify(resumed.result?.state), JSON.stringify(whole.result?.state));
    }
  });

  for (const phase of ['sharing', 'fusion', 'update'] as const) {
    if (phase === 'fusion' && config.method === 'grpo') continue;
    test(`${name}: aborted in the last ${phase} of a step, a run goes on from the step before`, async (t) => {
      const whole = await run({config: {...config, steps: 4}, agents: agentsOf()});
      // dynamic sampling shares several times in a step
      let last = 0;
      const count = (isSecond: boolean) => {
        let seen = 0;
        const abort = new AbortController();
        return {
          signal: abort.signal,
          onEvent: (event: {type: string; step?: number; phase?: string}) => {
            if (event.type !== 'phase' || event.step !== 3 || event.phase !== phase) return;
            seen++;
            if (!isSecond) last = seen;
            else if (seen === last) abort.abort();
          },
        };
      };
      await run({config: {...config, steps: 4}, agents: agentsOf(), options: {onEvent: count(false).onEvent}});
      const broken = await run({config: {...config, steps: 4}, agents: agentsOf(), options: count(true)});
      t.like(broken.error, {code: 'ILR_ABORTED'});
      const checkpoint = broken.recorder.checkpoints.at(-1);
      const agents = resumedAgents(checkpoint, agentsOf());
      const resumed = await run({config: {...config, steps: 4}, agents, options: {resumeFrom: checkpoint?.state}});
      t.deepEqual([...broken.recorder.steps, ...resumed.recorder.steps], whole.recorder.steps);
      t.deepEqual(JSON.stringify(resumed.result?.state), JSON.stringify(whole.result?.state));
    });
  }
}

test('iterations × minibatches optimiser steps; old log-probs are those before the first of them', async (t) => {
  const {agents, recorder} = await run({
    config: {steps: 1, minibatches: 2, iterations: 3, loss: {importanceCorrection: 'sequence_mask', importanceMax: 2}},
  });
  const {batches, options, scored} = (agents[0] as ScriptedAgent).policy;
  t.is(batches.length, 6);
  t.is(scored.length, 2);
  t.is(batches[0]?.completions.oldLogprobs, batches[4]?.completions.oldLogprobs);
  t.like(options[5], {importanceCorrection: 'sequence_mask', importanceMax: 2});
  const trained = batches.reduce((total, batch) => total + batch.completions.ids.length, 0);
  t.is(recorder.steps[1]?.['ann/tokens/trained'], trained);
});

test('by default nothing is scored, and the sampler’s log-probs are the old ones', async (t) => {
  const {agents} = await run({config: {steps: 1}});
  const {batches, scored} = (agents[0] as ScriptedAgent).policy;
  t.is(scored.length, 0);
  t.deepEqual(Object.keys(batches[0]?.completions ?? {}).sort(), [
    'ids',
    'mask',
    'offsets',
    'promptIndex',
    'samplerLogprobs',
  ]);
  t.false('baseline' in (batches[0] ?? {}) || 'stageTokens' in (batches[0] ?? {}));
});

test('a synchronised reference follows every n steps; between them it stays', async (t) => {
  const agents = withReferences();
  const config = {steps: 5, loss: {beta: 0.1}, reference: {kind: 'synchronised', every: 2, mix: 0.25}} as const;
  const {recorder} = await run({config, agents});
  const memories = recorder.checkpoints.map(({policies, references}) => [
    policies[0]?.memory as number,
    references[0]?.memory as number,
  ]);
  let expected = 100;
  for (const [i, [policy, reference]] of (memories as [number, number][]).entries()) {
    if ((i + 1) % 2 === 0) expected = Math.round(0.25 * policy + 0.75 * expected);
    t.is(reference, expected);
  }
  t.is(agents[0]?.reference.batches.length, 0);
  // The third step is measured against the reference as it was after the second.
  const {completions} = (agents[0] as ScriptedAgent).policy.batches[2] ?? {};
  const [id] = completions?.ids ?? [];
  const memory = memories[1]?.[1] as number;
  t.is(completions?.refLogprobs?.[0], Math.fround(-(id as number) / 1000 - (memory % 1009) / 1e4));
});

test('an adapter’s base is its reference: no other policy is needed', async (t) => {
  const {error, agents} = await run({config: {steps: 1, loss: {beta: 0.1}, reference: {kind: 'base'}}});
  t.is(error, undefined);
  t.true(agents[0]?.policy.scored.every(({adapter}) => adapter === false));
  t.truthy(agents[0]?.policy.batches[0]?.completions.refLogprobs);
});

test('the base as the reference of an agent that trains its whole model is refused by name', async (t) => {
  const agents = sumsAgents();
  const {policy} = agents[1] as ScriptedAgent;
  const info = policy.info.bind(policy);
  policy.info = () => ({...info(), adapter: undefined});
  const {error} = await run({config: {steps: 1, loss: {beta: 0.1}, reference: {kind: 'base'}}, agents});
  t.like(error, {code: 'ILR_INVALID_ARGUMENT'});
  t.regex(String(error), /Expected bob to have an adapter/);
});

test('an agent that is not trained takes part, and needs no reference', async (t) => {
  const agents = [withReferences()[0], sumsAgents()[1]] as [ScriptedAgent, ScriptedAgent];
  const {policy} = agents[1];
  const info = policy.info.bind(policy);
  policy.info = () => ({...info(), trainedParameters: 0});
  const {error, recorder} = await run({config: {steps: 2, loss: {beta: 0.1}, reference: {kind: 'frozen'}}, agents});
  t.is(error, undefined);
  t.is(policy.batches.length, 0);
  t.true(agents[0].policy.batches.length > 0);
  t.is(recorder.steps[1]?.['bob/tokens/trained'], 0);
  t.true((recorder.steps[1]?.['bob/tokens/generated'] ?? 0) > 0);
  t.is(recorder.steps[1]?.['bob/grad_norm'], undefined);
});

test('only agents with a beta of their own need a reference, and it must be another policy', async (t) => {
  const config = {
    steps: 1,
    reference: {kind: 'frozen'},
    agents: [
      {name: 'ann', model: 'none', loss: {beta: 0.2}},
      {name: 'bob', model: 'none', loss: {type: 'cispo'}, optimizer: {learningRate: 0.5}},
    ],
  } satisfies Partial<RunConfigInput>;
  const [ann, bob] = [withReferences()[0], sumsAgents()[1]] as [ScriptedAgent, ScriptedAgent];
  const {error} = await run({config, agents: [ann, bob]});
  t.is(error, undefined);
  t.like(ann.policy.options[0], {loss: 'dapo', beta: 0.2, learningRate: 1e-6});
  t.like(bob.policy.options[0], {loss: 'cispo', beta: 0, cispoCap: 5, learningRate: 0.5});
  t.false('epsilonLow' in (bob.policy.options[0] ?? {}));
  t.falsy(bob.policy.batches[0]?.completions.refLogprobs);

  const missing = await run({config, agents: sumsAgents()});
  t.like(missing.error, {code: 'ILR_INVALID_ARGUMENT'});
  t.regex(
    (missing.error as Error).message,
    /ann to have a reference policy .*reference\.kind: frozen and beta 0\.2, got none/,
  );
  const same = sumsAgents().map((agent) => ({...agent, reference: agent.policy}));
  t.regex(((await run({config, agents: same})).error as Error).message, /got the policy that is trained/);
});

test('dynamic sampling replaces questions without spread, trains only groups with spread, and counts what it cost', async (t) => {
  const config = {
    steps: 2,
    strategy: {choose: 'fixed'},
    groupSize: 2,
    questionsPerStep: 4,
    dynamicSampling: {rounds: 3},
  } as const;
  const questions = {train: sums, test: []};
  const {agents, recorder, result} = await run({config, agents: halfHard(), options: {questions}});
  for (const [i, agent] of agents.entries()) {
    for (const batch of agent.policy.batches) {
      const groups = new Map<number, number[]>();
      batch.groupIndex.forEach((group, b) => {
        groups.set(group, [...(groups.get(group) ?? []), batch.rewards[b] as number]);
      });
      t.true(groups.size > 0);
      for (const rewards of groups.values()) t.true(spreadOf(rewards) > 0);
    }
    t.is(result?.state.generatedTokens[i], agent.policy.generatedTokens);
    t.is(result?.state.generatedTokens[0], agents[0]?.policy.generatedTokens);
  }
  for (const [s, {step}] of recorder.steps.slice(1).entries()) {
    const groups = recorder.groups[s] ?? [];
    const names = groups
      .filter((group) => group.agent === 0 && group.stage === 'solo')
      .map(({question}) => question.id);
    t.is(recorder.steps[step]?.['ann/questions'], names.length);
    // Round by round, by hand: as many new questions as the round before had without spread.
    let start = 0;
    let count = 4;
    for (let round = 0; round <= 3 && count > 0; round++) {
      const asked = names.slice(start, start + count);
      const without = asked.filter((name) =>
        groups.every(
          (group) => group.question.id !== name || spreadOf(group.rollouts.map((rollout) => rollout.reward)) === 0,
        ),
      );
      start += asked.length;
      count = without.length;
    }
    t.is(start, names.length);
    const metrics = recorder.steps[step] as StepMetrics;
    t.is(metrics['ann/refill/questions'], names.length - 4);
    t.is(metrics['ann/refill/left'], count);
    t.true((metrics['ann/groups/zero_spread_fraction'] as number) > 0);
  }
  t.true((recorder.steps[1]?.['ann/refill/tokens'] as number) > 0);
  t.deepEqual(
    result?.state.positions,
    [1, 1]
      .map(() => recorder.steps[1]?.['ann/questions'] as number)
      .map((first) => first + (recorder.steps[2]?.['ann/questions'] as number)),
  );
});

test('without spread anywhere, dynamic sampling ends after its rounds and updates nobody, with a warning', async (t) => {
  const agents = ['ann', 'bob'].map((name) => scriptedAgent(name, (scene) => sumsScript(0)({...scene, draw: 0.5})));
  const {result, events, recorder} = await run({
    config: {steps: 1, dynamicSampling: {rounds: 2}, strategy: {choose: 'fixed'}},
    agents,
  });
  t.deepEqual(result?.state.positions, [9, 9]);
  t.is(agents[0]?.policy.batches.length, 0);
  t.like(recorder.steps[1], {'ann/refill/questions': 6, 'ann/refill/left': 3, 'ann/groups/zero_spread_fraction': 1});
  t.true(events.some((event) => event.type === 'warning' && event.message.includes('no group with unequal rewards')));
});

test('a question that comes again in a later round is answered by other draws', async (t) => {
  const agents = ['ann', 'bob'].map((name) => scriptedAgent(name, (scene) => sumsScript(0)({...scene, draw: 0.5})));
  await run({
    config: {steps: 1, method: 'grpo', questionsPerStep: 5, dynamicSampling: {rounds: 2}},
    agents,
    options: {questions: {train: sums.slice(0, 3)}},
  });
  for (const {policy} of agents) {
    const streams = policy.requests.flatMap((request) => [...request.streams]);
    t.is(streams.length, 3 * 5 * 4);
    t.is(new Set(streams).size, streams.length);
  }
});

test('a moving-average baseline is handed over per stage, and moves by the step’s mean reward', async (t) => {
  const {agents, recorder, result} = await run({
    config: {steps: 2, calibration: 'none', strategy: {choose: 'fixed'}, advantage: {baseline: 'ema', decay: 0.75}},
  });
  const [first, second] = recorder.steps.slice(1) as [StepMetrics, StepMetrics];
  const near = (a: number | undefined, b: number) => t.true(Math.abs((a as number) - b) < 1e-12, `${a} and ${b}`);
  const {batches, options} = (agents[1] as ScriptedAgent).policy;
  for (const [s, stage] of (['solo', 'fusion'] as const).entries()) {
    const start = first[`bob/reward/${stage}`] as number;
    near(first[`bob/baseline/${stage}`], start);
    near(second[`bob/baseline/${stage}`], start);
    near(result?.state.baselines?.[1]?.[s] as number, 0.75 * start + 0.25 * (second[`bob/reward/${stage}`] as number));
    for (const batch of batches) {
      batch.stage.forEach((each, b) => {
        if (each === s) near(batch.baseline?.[b], start);
      });
    }
  }
  t.like(options[0], {baseline: 'given', scale: 'none'});
});

test('overlong answers lose reward in training, and the metric says how much', async (t) => {
  // an answer of n letters has n + 1 tokens
  const agents = ['ann', 'bob'].map((name) =>
    scriptedAgent(name, ({draw}) => (draw < 0.5 ? '\\boxed{1}' : '0 \\boxed{1}')),
  );
  const {recorder} = await run({
    config: {
      steps: 1,
      method: 'grpo',
      dialogue: {maxNewTokens: {share: 12, analyse: 4, fuse: 4}},
      reward: {overlongCache: 4, overlongPenalty: 2},
    },
    agents,
    options: {questions: {train: sums}, reward: () => ({isCorrect: true, isWellFormed: true})},
  });
  const rollouts = (recorder.groups[0] ?? []).flatMap((group) => group.rollouts);
  // 10 tokens: (10 − 8)/4 · 2 = 1; 12 tokens: 2
  for (const {completion, reward} of rollouts) t.is(reward, completion.ids.length === 10 ? 0 : -1);
  const penalties = (recorder.groups[0] ?? [])
    .filter(({agent}) => agent === 0)
    .flatMap((group) => group.rollouts)
    .map(({completion}) => (completion.ids.length === 10 ? 1 : 2));
  const mean = penalties.reduce((total, each) => total + each, 0) / penalties.length;
  t.is(recorder.steps[1]?.['ann/overlong_penalty/solo'], mean);
});

test('dr_grpo is told the longest completion of the stages there are', async (t) => {
  const dialogue = {...sumsConfig().dialogue, maxNewTokens: {share: 40, analyse: 90, fuse: 60}};
  const lengthOf = async (method: 'ilr' | 'grpo') => {
    const {agents} = await run({config: {steps: 1, method, loss: {type: 'dr_grpo'}, dialogue}});
    return agents[0]?.policy.options[0]?.maxCompletionTokens;
  };
  t.is(await lengthOf('ilr'), 60);
  t.is(await lengthOf('grpo'), 40);
});
