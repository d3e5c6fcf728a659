import test from 'ava';
import type {RunConfigInput} from '../src/config.js';
import type {StepMetrics} from '../src/types.js';
import {scriptedAgent} from './helpers/scripted-policy.js';
import {resumedAgents, run, type ScriptedAgent, type Setting} from './helpers/scripted-run.js';
import {sums, sumsAgents, sumsScript} from './helpers/sums.js';

test('three steps of ILR: every agent learns from a solo and a fusion group of every question', async (t) => {
  const {result, recorder, agents} = await run();
  t.false(result?.stopped);
  t.deepEqual(
    recorder.steps.map(({step}) => step),
    [0, 1, 2, 3],
  );
  t.deepEqual(result?.state.positions, [9, 9]);
  for (const [index, agent] of agents.entries()) {
    t.is(agent.policy.batches.length, 3);
    t.is(agent.policy.batches[0]?.prompts.offsets.length, 1 + 6);
    t.is(agent.policy.batches[0]?.rewards.length, 24);
    t.is(recorder.groups[0]?.filter((group) => group.agent === index && group.dialogue !== undefined).length, 3);
  }
});

test('the solo prompt of training is the prompt of the test', async (t) => {
  const {agents} = await run({config: {steps: 1}, options: {questions: {train: sums, test: sums}}});
  const prompts = agents[0]?.policy.requests.map(({prompts: {ids}}) =>
    Buffer.from(Uint8Array.from(ids)).toString('hex'),
  );
  const [batch] = agents[0]?.policy.batches ?? [];
  const solo = batch?.stage.indexOf(0) as number;
  const prompt = batch?.completions.promptIndex[solo] as number;
  const ids = batch?.prompts.ids.subarray(batch.prompts.offsets[prompt], batch.prompts.offsets[prompt + 1]);
  const wanted = Buffer.from(Uint8Array.from(ids ?? [])).toString('hex');
  // ability or test, and sharing
  t.true((prompts?.filter((hex) => hex.includes(wanted)).length ?? 0) >= 2);
});

test('generated tokens count sharing, analysis and fusion, and nothing else', async (t) => {
  const {result, agents} = await run({
    options: {questions: {train: sums, validation: sums.slice(0, 1)}},
    config: {steps: 2, strategy: {choose: 'fixed'}},
  });
  t.deepEqual(
    result?.state.generatedTokens,
    agents.map((agent) => agent.policy.generatedTokens),
  );
});

for (const [name, config] of [
  ['ilr', {}],
  ['ilr with ema, minibatches and evaluations', {ability: {refresh: 'ema'}, minibatches: 2, eval: {every: 2}}],
  ['ilr with pass rates', {difficulty: {estimator: 'pass-rate', samples: 2}, strategy: {choose: 'shuffled'}}],
  ['grpo', {method: 'grpo', matchTokens: true}],
] as const satisfies readonly (readonly [string, Partial<RunConfigInput>])[]) {
  test(`${name}: a run resumed from any checkpoint repeats an uninterrupted one`, async (t) => {
    const whole = await run({config: {...config, steps: 5}});
    t.is(whole.error, undefined);
    t.is(whole.recorder.checkpoints.length, 5);
    for (const checkpoint of whole.recorder.checkpoints) {
      const agents = resumedAgents(checkpoint);
      const resumed = await run({config: {...config, steps: 5}, agents, options: {resumeFrom: checkpoint.state}});
      t.deepEqual(resumed.recorder.steps, whole.recorder.steps.slice(checkpoint.state.step + 1));
      t.deepEqual(
        agents.map((agent) => agent.policy.state),
        whole.agents.map((agent) => agent.policy.state),
      );
      t.deepEqual(JSON.stringify(resumed.result?.state), JSON.stringify(whole.result?.state));
    }
  });
}

test('another seed gives another run', async (t) => {
  const [a, b] = [await run({config: {seed: 1}}), await run({config: {seed: 2}})];
  t.notDeepEqual(a.recorder.steps, b.recorder.steps);
});

test('a checkpoint of another run is refused, with what differs', async (t) => {
  const {recorder} = await run({config: {steps: 1}});
  const resumeFrom = recorder.checkpoints[0]?.state;
  const {error} = await run({config: {seed: 7, method: 'grpo'}, options: {resumeFrom}});
  t.like(error, {code: 'ILR_CHECKPOINT'});
  t.regex((error as Error).message, /seed 0, now 7; method ilr, now grpo/);
});

test('stopAfterStep finishes the step, saves and says so', async (t) => {
  const stop = new AbortController();
  const {result, recorder} = await run({
    config: {steps: 9, save: {every: 0}},
    options: {
      stopAfterStep: stop.signal,
      onEvent: (event) => {
        if (event.type === 'phase' && event.step === 2 && event.phase === 'fusion') stop.abort();
      },
    },
  });
  t.true(result?.stopped);
  t.deepEqual(
    recorder.checkpoints.map(({state}) => state.step),
    [2],
  );
});

for (const phase of ['sharing', 'analysis', 'fusion', 'update', 'eval'] as const) {
  test(`an abort in ${phase} loses at most the step: what was saved goes on like an uninterrupted run`, async (t) => {
    const config = {steps: 4, save: {every: 0}, eval: {every: 2}} as const;
    const whole = await run({config});
    const abort = new AbortController();
    const broken = await run({
      config,
      options: {
        signal: abort.signal,
        onEvent: (event) => {
          if (event.type === 'phase' && event.step === 2 && event.phase === phase) abort.abort();
        },
      },
    });
    t.like(broken.error, {code: 'ILR_ABORTED'});
    const checkpoint = broken.recorder.checkpoints.at(-1);
    t.is(checkpoint?.state.step, phase === 'update' || phase === 'eval' ? 2 : 1);
    const agents = resumedAgents(checkpoint);
    const resumed = await run({config, agents, options: {resumeFrom: checkpoint?.state}});
    const steps = [...broken.recorder.steps, ...resumed.recorder.steps];
    t.deepEqual(steps, whole.recorder.steps);
    t.deepEqual(JSON.stringify(resumed.result?.state), JSON.stringify(whole.result?.state));
  });
}

test('the best evaluation in training is saved as the best', async (t) => {
  // ann forgets: right at first, wrong once it was updated twice
  const forgetful = (name: string) =>
    scriptedAgent(name, (scene) =>
      sumsScript(scene.updates < 2 ? 0 : 1)({...scene, isGreedy: scene.updates < 2 && scene.isGreedy}),
    );
  const {recorder, result} = await run({
    config: {steps: 3, save: {every: 0}, eval: {every: 1}},
    agents: [forgetful('ann'), forgetful('bob')],
  });
  t.deepEqual(result?.state.best, {step: 1, score: 1});
  t.deepEqual(
    recorder.checkpoints.map(({state, bestScore}) => [state.step, bestScore]),
    [
      [1, 1],
      [3, undefined],
    ],
  );
});

test('grpo: no dialogue, no difficulty; one agent will do', async (t) => {
  const agents = sumsAgents().slice(0, 1);
  const {result, recorder, events} = await run({config: {method: 'grpo'}, agents});
  t.deepEqual(result?.state.positions, [9]);
  t.is(result?.state.difficulty, undefined);
  t.true(recorder.groups.flat().every((group) => group.stage === 'solo' && group.dialogue === undefined));
  t.false(events.some((event) => event.type === 'phase' && event.phase === 'analysis'));
  t.false('ann/reward/fusion' in (recorder.steps[1] as object));
});

test('grpo with matchTokens: as many questions as the tokens of ILR pay for, by agent', async (t) => {
  const steps = 20;
  const ilr = await run({config: {steps}});
  const tokens = ilr.result?.state.generatedTokens as readonly number[];
  const grpo = await run({
    config: {method: 'grpo', matchTokens: true, steps},
    options: {tokenBudgetPerStep: tokens.map((each) => each / steps)},
  });
  const matched = grpo.result?.state.generatedTokens ?? [];
  t.is(matched.length, 2);
  for (const [i, generated] of matched.entries()) {
    // the last step ends within half a question of four answers of about 18 tokens
    t.true(Math.abs(generated - (tokens[i] as number)) < 4 * 22, `${generated} and ${tokens[i]}`);
  }
  // without a measured budget: (2·4 + 1)/4 · 3 questions, rounded
  const guess = await run({config: {method: 'grpo', matchTokens: true, steps: 1}});
  t.deepEqual(guess.result?.state.positions, [7, 7]);
});

test('minibatches are optimiser steps, and the options reach the policy', async (t) => {
  const {agents, recorder} = await run({
    config: {
      steps: 1,
      minibatches: 3,
      optimizer: {learningRate: 0.5, warmupSteps: 2},
      loss: {epsilonLow: 0.1, epsilonHigh: 0.3, soloWeight: 2, fusionWeight: 0},
    },
  });
  const {batches, options} = (agents[0] as ScriptedAgent).policy;
  t.is(batches.length, 3);
  t.deepEqual([...(batches[0]?.stageWeights ?? [])], [2, 0]);
  t.like(options[0], {
    loss: 'dapo',
    learningRate: 0.5,
    warmupSteps: 2,
    epsilonLow: 0.1,
    epsilonHigh: 0.3,
    temperature: 1,
  });
  const trained = batches.reduce((total, batch) => total + batch.completions.ids.length, 0);
  t.is(recorder.steps[1]?.['ann/tokens/trained'], trained);
});

test('a reward function that fails costs its rollouts, and is counted', async (t) => {
  let calls = 0;
  const {result, recorder, agents} = await run({
    config: {steps: 1, strategy: {choose: 'fixed'}},
    options: {
      questions: {train: sums},
      reward: ({text}) => {
        if (calls++ % 4 === 0) throw new Error('no luck');
        return {isCorrect: text.length % 2 === 0, isWellFormed: true};
      },
    },
  });
  t.is(result?.state.step, 1);
  t.is(recorder.steps[1]?.['ann/failures'], 6);
  t.is(agents[0]?.policy.batches[0]?.rewards.length, 18);
});

for (const [what, reward, message] of [
  ['says null', () => null, /at least one of the 48 completions of step 1, got none; the first: cannot be graded/],
  [
    'throws',
    () => {
      throw new Error('no server');
    },
    /none; the first: no server\. Mend reward\.function/,
  ],
] as const) {
  test(`a reward function that always ${what} ends the run in its first step, before any update`, async (t) => {
    const {error, agents, recorder} = await run({
      config: {steps: 3, strategy: {choose: 'fixed'}},
      options: {questions: {train: sums}, reward},
    });
    t.like(error, {code: 'ILR_REWARD'});
    t.regex((error as Error).message, message);
    t.is(agents[0]?.policy.batches.length, 0);
    t.deepEqual(
      recorder.steps.map(({step}) => step),
      [0],
    );
  });
}

test('a later step in which nothing can be graded updates nobody, with a warning', async (t) => {
  let graded = 0;
  const {result, agents, events} = await run({
    config: {steps: 2, strategy: {choose: 'fixed'}},
    options: {
      questions: {train: sums},
      reward: () => (graded++ < 48 ? {isCorrect: graded % 2 === 0, isWellFormed: true} : null),
    },
  });
  t.is(result?.state.step, 2);
  t.is(agents[0]?.policy.batches.length, 1);
  t.true(events.some((event) => event.type === 'warning' && event.message.includes('Step 2: ann has no group')));
});

test('two steps in a row in which nothing can be graded end the run, with what was learned saved', async (t) => {
  let graded = 0;
  const config = {steps: 5, strategy: {choose: 'fixed'}, save: {every: 0}} as const;
  const {error, agents, events, recorder} = await run({
    config,
    options: {
      questions: {train: sums},
      reward: () => {
        if (graded++ >= 48) throw new Error('no server');
        return {isCorrect: graded % 2 === 0, isWellFormed: true};
      },
    },
  });
  t.like(error, {code: 'ILR_REWARD'});
  t.regex(
    (error as Error).message,
    /at least one of the 48 completions of step 3, or of step 2 before it, got none; the first: no server\. .*--resume/,
  );
  t.deepEqual(
    recorder.checkpoints.map(({state, policies}) => [state.step, state.failedSteps, policies[0]?.updates]),
    [[2, 1, 1]],
  );
  t.true(agents[0]?.policy.batches.length === 1);
  const warnings = events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
  t.true(
    warnings.includes(
      '12 of 12 completions of ann (solo) could not be graded (not trained on; wrong in an evaluation); ' +
        `the first, of question ${recorder.groups[1]?.[0]?.question.id}: no server`,
    ),
  );

  // Mended, the run goes on; a step that can be graded ends the row.
  const resumed = await run({
    config,
    agents: resumedAgents(recorder.checkpoints[0]),
    options: {
      questions: {train: sums},
      resumeFrom: recorder.checkpoints[0]?.state,
      reward: () => ({isCorrect: graded++ % 2 === 0, isWellFormed: true}),
    },
  });
  t.is(resumed.result?.state.step, 5);
  t.false('failedSteps' in (resumed.result?.state ?? {}));
});

test('a run in which nothing can be read says so, in the evaluation ahead of it already', async (t) => {
  const agents = ['ann', 'bob'].map((name) => scriptedAgent(name, () => 'I do not know.'));
  const {events, result} = await run({
    config: {steps: 5, strategy: {choose: 'fixed'}, eval: {samples: 12}},
    agents,
    options: {questions: {train: sums, test: sums.slice(0, 4)}},
  });
  t.is(result?.state.step, 5);
  const loud = events.flatMap((event, i) =>
    event.type === 'warning' && event.message.startsWith('NOTHING COULD BE READ') ? [{message: event.message, i}] : [],
  );
  t.regex(loud[0]?.message ?? '', /last \d+ completions of .*\(solo\): .*One ends: "I do not know\."/);
  t.true((loud[0]?.i ?? 0) < events.findIndex((event) => event.type === 'step' && event.metrics.step === 1));
  t.true(loud.some(({message}) => message.includes('bob (fusion)')));
});

test('a reward of parts: each is a metric by agent and stage, and stands in the rollouts', async (t) => {
  const config = {
    steps: 2,
    reward: {
      parts: [
        {name: 'answer', function: 'numeric'},
        {name: 'form', function: 'format', weight: 0.5},
        {name: 'short', function: 'length', weight: 0.25, length: {cache: 40}},
      ],
    },
  };
  const {result, recorder} = await run({config});
  t.is(result?.state.step, 2);
  const mean = (values: readonly number[]) => values.reduce((total, value) => total + value, 0) / values.length;
  for (const [i, agent] of ['ann', 'bob'].entries()) {
    for (const stage of ['solo', 'fusion'] as const) {
      const groups = (recorder.groups[1] ?? []).filter((group) => group.agent === i && group.stage === stage);
      const rollouts = groups.flatMap((group) => group.rollouts);
      t.is(rollouts.length, 12);
      const parts = rollouts.map((rollout) => rollout.parts as Record<string, number>);
      for (const name of ['answer', 'form', 'short']) {
        const values = parts.map((each) => each[name] as number);
        t.is(recorder.steps[2]?.[`${agent}/reward/${name}/${stage}`], mean(values));
      }
      for (const [k, {reward, isCorrect, completion}] of rollouts.entries()) {
        const {answer = 0, form = 0, short = 0} = parts[k] ?? {};
        t.is(answer, isCorrect ? 1 : form === 1 ? 0.1 : 0);
        // maxNewTokens is 40, all of it the cache
        t.is(short, -completion.ids.length / 40);
        t.is(reward, answer + 0.5 * form + 0.25 * short);
      }
    }
  }
});

test('a reward is prepared with all questions ahead of the first draw, and closed by who opened it', async (t) => {
  const seen: string[] = [];
  const reward = Object.assign(() => ({isCorrect: true, isWellFormed: true}), {
    prepare: async (questions: readonly unknown[]) => void seen.push(`prepare ${questions.length}`),
    accepts: () => seen.push('accepts') > 0,
    close: async () => void seen.push('close'),
  });
  await run({
    config: {steps: 1, strategy: {choose: 'fixed'}},
    options: {questions: {train: sums, validation: sums.slice(0, 2), test: sums.slice(0, 3)}, reward},
  });
  t.deepEqual(
    seen.filter((each) => each !== 'accepts'),
    ['prepare 35'],
  );
  t.is(seen[0], 'prepare 35');
  t.is(seen.length, 36);
});

test('difficulties handed in are not measured again', async (t) => {
  const difficulties = Object.fromEntries(sums.map(({id}) => [id, 0.9]));
  const {events, result} = await run({
    config: {ability: {refresh: 'ema'}, steps: 1},
    options: {difficulty: {estimator: 'self-ranking', difficulties, parseRate: 1}},
  });
  t.false(events.some((event) => event.type === 'phase' && event.phase === 'difficulty'));
  t.deepEqual(result?.state.difficulty?.difficulties, difficulties);
});

test('validation questions are held out of training when none are given: a tenth at most, by the seed', async (t) => {
  const {result} = await run({config: {steps: 9, questionsPerStep: 3}});
  t.is(result?.state.numQuestions, 27);
});

test('an ability as a moving average starts sampled and moves with the step’s pass rate', async (t) => {
  const {recorder} = await run({config: {ability: {refresh: 'ema', decay: 0.75}, steps: 1}});
  const [before, after] = recorder.steps as [StepMetrics, StepMetrics];
  const expected = 0.75 * (before['ann/ability'] as number) + 0.25 * (after['ann/accuracy/solo'] as number);
  t.is(after['ann/ability']?.toFixed(12), expected.toFixed(12));
});

for (const [what, setting, code, message] of [
  ['one agent for ILR', {agents: sumsAgents().slice(0, 1)}, 'ILR_INVALID_ARGUMENT', /at least 2 agents/],
  ['two agents of one name', {agents: [sumsAgents()[0], sumsAgents()[0]]}, 'ILR_INVALID_ARGUMENT', /ann twice/],
  ['no questions', {options: {questions: {train: []}}}, 'ILR_INVALID_DATA', /at least one training question/],
  [
    'too few to hold some out',
    {options: {questions: {train: sums.slice(0, 9)}}},
    'ILR_INVALID_DATA',
    /data\.validation/,
  ],
  ['an id twice', {options: {questions: {train: [...sums, ...sums.slice(3, 4)]}}}, 'ILR_INVALID_DATA', /q\d+ twice/],
  [
    'a question longer than the context',
    {agents: ['ann', 'bob'].map((name) => scriptedAgent(name, sumsScript(0), {contextLength: 10}))},
    'ILR_INVALID_DATA',
    /question q10/,
  ],
] as const) {
  test(`${what}: refused before anything is sampled`, async (t) => {
    const {error} = await run(setting as Setting);
    t.like(error, {code});
    t.regex((error as Error).message, message);
  });
}

test('questions whose gold answer is no number are skipped, with a warning that names one', async (t) => {
  const odd = {id: 'odd', text: '?', answer: 'many'};
  const {result, events} = await run({
    config: {steps: 1},
    options: {questions: {train: [odd, ...sums], validation: sums}},
  });
  t.is(result?.state.numQuestions, 30);
  t.true(
    events.some((event) => event.type === 'warning' && event.message.includes('the first is odd with answer "many"')),
  );
});
