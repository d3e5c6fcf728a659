import type {RunConfig} from './config.js';
import {evaluateSolo, gradeAll, measureAbilities, measureDifficulty, requirePromptsFit} from './evaluate.js';
import {analyse, fuse, type Idea3Options, share} from './interact/idea3.js';
import {everyAgent, isAbort, streamNames} from './interact/rollout.js';
import {chooseStrategies} from './interact/strategy.js';
import {prepareBatches, updateAgent} from './learn/agent-update.js';
import {stepBaselines} from './learn/baseline.js';
import {calibrateStage} from './learn/calibration.js';
import {evaluationFigures, finite, perAgent} from './learn/metrics.js';
import {advance, difficultyOf, groupsOf, isUngraded, metricsOf, refillsOf, requireGraded} from './learn/outcome.js';
import {penaliseOverlong} from './learn/overlong.js';
import {hasSpread, joinRounds, noTalk, questionsWithoutSpread, type Sampled, type Talk} from './learn/rounds.js';
import {prepareReward} from './reward/grade.js';
import {loadReward} from './reward/reward.js';
import {drawQuestions, isAdaptive, phaseOf, prepareRun, questionCounts, type Run, throwIfAborted} from './run.js';
import {changesOf, withSampling} from './sampling.js';
import {mean, sum} from './statistics.js';
import type {
  Question,
  RewardFunction,
  SoloEvaluation,
  StepMetrics,
  TrainerState,
  TrainOptions,
  TrainPhase,
  TrainResult,
  UngradedGroup,
} from './types.js';

/**
Trains the agents by ILR (arXiv 2509.26306), or each alone by GRPO with `method: grpo`.

@returns the state after the last step; the agents' policies hold the weights.
@throws IlrError `ILR_ABORTED` on `signal`; `ILR_REWARD` when nothing could be graded, in the first step or in two in a row; `ILR_CHECKPOINT` when `resumeFrom` is of another run; `ILR_INVALID_DATA` or `ILR_DIFFICULTY` before the first step.
*/
export async function train(options: TrainOptions): Promise<TrainResult> {
  if (options.reward !== undefined) return trainBy(options.reward, options);
  const reward = await loadReward(options.config.reward, process.cwd());
  try {
    return await trainBy(reward, options);
  } finally {
    await reward.close?.();
  }
}

async function trainBy(reward: RewardFunction, options: TrainOptions): Promise<TrainResult> {
  const {config, agents, questions, stopAfterStep} = options;
  await prepareReward(reward, [...questions.train, ...(questions.validation ?? []), ...(questions.test ?? [])]);
  const run = prepareRun(options, reward);
  requirePromptsFit(agents, [...run.train, ...run.validation, ...run.test], config.dialogue);
  let saved = options.resumeFrom;
  let state = options.resumeFrom ?? (await begin(run));
  try {
    for (;;) {
      state = await concludeStep(run, state);
      const isLast = state.step >= config.steps;
      const shouldEnd = isLast || (stopAfterStep?.aborted ?? false);
      if (state !== saved && (shouldEnd || isSaveDue(config, state))) {
        await save(run, state);
        saved = state;
      }
      if (shouldEnd) return {state, stopped: !isLast};
      state = await learnStep(run, state);
    }
  } catch (error) {
    // `state` and the weights are of the last finished step: where there is a recorder, an update is never aborted.
    const isWorthSaving = isAbort(error) || (isUngraded(error) && state.step > 0);
    if (isWorthSaving && state !== saved) await save(run, state);
    throw error;
  }
}

/** One step of the paper's algorithm, for a batch of questions and N agents. */
async function learnStep(run: Run, last: TrainerState): Promise<TrainerState> {
  const {config, agents} = run;
  const started = run.now();
  const step = last.step + 1;

  // The dialogues; with dynamic sampling, further ones in place of those that teach nobody anything.
  const {rounds, left} = await sampleRounds(run, last);
  const sampled = joinRounds(rounds);
  requireGraded(sampled, last);
  const isDynamic = config.dynamicSampling.rounds > 0;
  const groups = agents.map((_, i) => {
    const all = sampled.stages.flatMap((stage) => stage[i]?.groups ?? []);
    return isDynamic ? all.filter(hasSpread) : all;
  });

  // Then one GRPO update of every agent on its solo and its fusion groups.
  const {baseline, decay = 0} = config.advantage;
  const baselines =
    baseline === 'ema' ? groups.map((own, i) => stepBaselines(own, last.baselines?.[i], decay)) : undefined;
  const batches = await everyAgent(agents, (agent, i) =>
    prepareBatches(run, step, agent, i, groups[i] ?? [], baselines?.[i]),
  );
  throwIfAborted(run.signal);
  const updates = await everyAgent(agents, (agent, i) => updateAgent(run, step, agent, batches[i] ?? []));

  const outcome = {...sampled, updates, baselines, refills: isDynamic ? refillsOf(rounds, left) : undefined};
  await run.options.recorder?.dialogues(
    step,
    agents.flatMap((_, i) => groupsOf(outcome, i)),
  );
  const next = advance(last, outcome, config.ability);
  const figures = perAgent(last.agents, (i) => ({
    'sampling/changed': changesOf(agents[i]?.sampling).length > 0 ? 1 : undefined,
  }));
  return {...next, pending: {...metricsOf(last, next, outcome, (run.now() - started) / 1000), ...figures}};
}

/** The step's questions, and up to `dynamicSampling.rounds` times the next ones in place of those without spread. */
async function sampleRounds(run: Run, last: TrainerState): Promise<{rounds: Sampled[]; left: number[]}> {
  const {method, dynamicSampling} = run.config;
  const rounds: Sampled[] = [];
  let counts = questionCounts(run, last);
  let {positions} = last;
  for (let round = 0; ; round++) {
    const sampled = await sampleRound(run, last, round, drawQuestions(run, positions, counts));
    rounds.push(sampled);
    const left = dynamicSampling.rounds === 0 ? [] : questionsWithoutSpread(sampled, method === 'ilr');
    if (round >= dynamicSampling.rounds || left.every((each) => each === 0)) return {rounds, left};
    positions = positions.map((position, i) => position + (counts[i] as number));
    counts = left;
  }
}

/** Dialogues about questions, graded and calibrated. */
async function sampleRound(
  run: Run,
  last: TrainerState,
  round: number,
  questions: readonly (readonly Question[])[],
): Promise<Sampled> {
  const {config, agents} = run;

  // Sharing: G solo completions of every agent.
  const ideas = await share(agents, questions, idea3Options(run, last, round, 'sharing'));
  const solo = await everyAgent(agents, (_, i) => grade(run, ideas[i] as UngradedGroup[]));

  // Analysis and fusion, by strategy: what is hard for an agent is worked out with the others, the rest against them.
  const talk = config.method === 'ilr' ? await discuss(run, last, round, questions[0] as Question[], ideas) : noTalk;

  // Perception Calibration within each stage.
  const mode = config.method === 'ilr' ? config.calibration : 'none';
  const stages = [solo, talk.fusion].map((groups) => calibrateStage(groups, mode, config.advantage));
  return {solo, talk, stages};
}

/** Idea3 behind the shared ideas: strategies, analysis, fusion. */
async function discuss(
  run: Run,
  last: TrainerState,
  round: number,
  questions: readonly Question[],
  ideas: readonly (readonly UngradedGroup[])[],
): Promise<Talk> {
  const {config, agents} = run;
  const strategies = chooseStrategies(config.strategy, {
    numAgents: agents.length,
    abilities: last.abilities,
    difficulties: questions.map((question) => difficultyOf(last, question)),
    seed: config.seed,
    step: last.step + 1,
    round,
  });
  const discussions = await analyse(agents, ideas, strategies, idea3Options(run, last, round, 'analysis'));
  const fused = await fuse(agents, discussions, streamNames(questions), idea3Options(run, last, round, 'fusion'));
  const fusion = await everyAgent(agents, (_, i) => grade(run, fused[i] as (UngradedGroup | undefined)[]));
  const held = discussions.map((row) => row.filter((discussion) => discussion !== undefined));
  return {
    fusion,
    counts: held.map((row, i) => ({
      strategies: strategies[i] ?? [],
      truncatedAnalyses: row.filter(({analysis}) => analysis.finishReason !== 'stop').length,
      cutPeers: row.filter(({isCut}) => isCut).length,
      held: row.length,
    })),
    analysisTokens: held.map((row) => sum(row.map(({analysis}) => analysis.ids.length))),
  };
}

/** Grades groups, and takes off for length where the run does. */
async function grade<T extends UngradedGroup | undefined>(run: Run, groups: readonly T[]) {
  const graded = await gradeAll(groups, run);
  const {overlongCache: cache, overlongPenalty: weight = 1} = run.config.reward;
  if (cache === undefined) return graded;
  const {share, fuse} = run.config.dialogue.maxNewTokens;
  return graded.map(
    (group) => group && penaliseOverlong(group, {cache, weight, maxTokens: group.stage === 'solo' ? share : fuse}),
  ) as typeof graded;
}

/** Before training: difficulty and ability, where the strategy asks for them. */
async function begin(run: Run): Promise<TrainerState> {
  const {config, agents, options} = run;
  const measured = isAdaptive(config) && options.difficulty === undefined;
  const difficulty = measured
    ? await measureDifficulty(agents, run.train, {...run, onProgress: phaseOf(run, 0, 'difficulty')})
    : options.difficulty;
  if (difficulty !== undefined) {
    run.emit({type: 'difficulty', parseRate: difficulty.parseRate, levelCorrelation: difficulty.levelCorrelation});
    if (measured) await options.recorder?.difficulty?.(difficulty);
  }
  const abilities = isAdaptive(config)
    ? await measureAbilities(agents, run.validation, {...run, onProgress: phaseOf(run, 0, 'ability')})
    : [];
  const names = agents.map((agent) => agent.name);
  const zeros = agents.map(() => 0);
  return {
    version: 1,
    step: 0,
    pending: {
      step: 0,
      ...finite({
        'difficulty/parse_rate': difficulty?.parseRate,
        'difficulty/level_correlation': difficulty?.levelCorrelation,
      }),
      ...perAgent(names, (i) => ({ability: abilities[i]})),
    },
    seed: config.seed,
    method: config.method,
    agents: names,
    numQuestions: run.train.length,
    difficulty,
    abilities,
    positions: zeros,
    generatedTokens: zeros,
    trainedTokens: zeros,
    soloCompletions: zeros,
    soloTokens: zeros,
  };
}

/** Evaluates where it is time, and records the step. Nothing to do for a state whose step is recorded. */
async function concludeStep(run: Run, state: TrainerState): Promise<TrainerState> {
  const {pending, ...rest} = state;
  if (pending === undefined) return state;
  const results = isEvaluationDue(run, state.step) ? await evaluate(run, state.step) : undefined;
  const metrics: StepMetrics =
    results === undefined ? pending : {...pending, ...perAgent(state.agents, (i) => evaluationFigures(results[i]))};
  await run.options.recorder?.step(metrics);
  run.emit({type: 'step', metrics});
  if (results === undefined) return rest;
  if (state.step === 0) return {...rest, before: results, latest: results};
  const score = mean(results.map((result) => mean(result.greedy)));
  const best = state.best === undefined || score > state.best.score ? {step: state.step, score} : state.best;
  return {...rest, latest: results, best};
}

async function evaluate(run: Run, step: number): Promise<SoloEvaluation[]> {
  const {config, agents, test} = run;
  const options = {...run, samples: config.eval.samples, onProgress: phaseOf(run, step, 'eval')};
  const {temperature, sampling} = config.eval;
  const results = await everyAgent(agents, async (agent, agentIndex) => {
    const asked = await withSampling({...agent, temperature: temperature ?? agent.temperature}, sampling);
    return evaluateSolo(asked, test, {...options, agentIndex});
  });
  run.emit({type: 'eval', step, results});
  return results;
}

async function save(run: Run, state: TrainerState): Promise<void> {
  const {agents, options, config} = run;
  if (options.recorder === undefined) return;
  const isBest = config.save.best && state.best?.step === state.step;
  run.emit({type: 'phase', step: state.step, phase: 'save', done: 0, total: 1, tokens: 0});
  await options.recorder.checkpoint(state, agents, isBest ? state.best?.score : undefined);
  run.emit({type: 'saved', step: state.step});
}

function idea3Options(run: Run, last: TrainerState, round: number, name: TrainPhase): Idea3Options {
  const {config, signal, onWarning} = run;
  const {seed, dialogue, groupSize} = config;
  const step = last.step + 1;
  return {seed, step, round, dialogue, groupSize, signal, onWarning, onProgress: phaseOf(run, step, name)};
}

function isEvaluationDue({config, test}: Run, step: number): boolean {
  if (test.length === 0) return false;
  const {every} = config.eval;
  return step === 0 || step === config.steps || (every > 0 && step % every === 0);
}

function isSaveDue({save: {every, best}}: RunConfig, state: TrainerState): boolean {
  if (state.step === 0) return false;
  return (every > 0 && state.step % every === 0) || (best && state.best?.step === state.step);
}
