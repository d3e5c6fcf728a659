import type {RunConfig} from './config.js';
import {
  accuracyOf,
  evaluateSolo,
  gradeAll,
  measureAbilities,
  measureDifficulty,
  requirePromptsFit,
} from './evaluate.js';
import {analyse, fuse, type Idea3Options, share} from './interact/idea3.js';
import {everyAgent, isAbort, streamNames} from './interact/rollout.js';
import {chooseStrategies} from './interact/strategy.js';
import {buildBatches, type TrainableGroup} from './learn/batch.js';
import {calibrateStage, type StageCalibration} from './learn/calibration.js';
import {
  calibrationFigures,
  dialogueFigures,
  evaluationFigures,
  type Figures,
  failureFigures,
  finite,
  perAgent,
  stageFigures,
  updateFigures,
} from './learn/metrics.js';
import type {UpdateResult} from './policy.js';
import {Random} from './random.js';
import {loadRewardFunction} from './reward/reward.js';
import {drawQuestions, isAdaptive, phaseOf, prepareRun, type Run, throwIfAborted} from './run.js';
import {mean, spearman} from './statistics.js';
import type {
  Agent,
  Group,
  Question,
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
@throws IlrError `ILR_ABORTED` on `signal`; `ILR_CHECKPOINT` when `resumeFrom` is of another run; `ILR_INVALID_DATA` or `ILR_DIFFICULTY` before the first step.
*/
export async function train(options: TrainOptions): Promise<TrainResult> {
  const {config, agents, stopAfterStep} = options;
  const reward = options.reward ?? (await loadRewardFunction(config.reward.function, process.cwd()));
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
    if (isAbort(error) && state !== saved) await save(run, state);
    throw error;
  }
}

/** One step of the paper's algorithm, for a batch of questions and N agents. */
async function learnStep(run: Run, last: TrainerState): Promise<TrainerState> {
  const {config, agents} = run;
  const started = run.now();
  const step = last.step + 1;
  const questions = drawQuestions(run, last);

  // Sharing: G solo completions of every agent.
  const ideas = await share(agents, questions, idea3Options(run, step, 'sharing'));
  const solo = await everyAgent(agents, (_, i) => gradeAll(ideas[i] as UngradedGroup[], run));

  // Analysis and fusion, by strategy: what is hard for an agent is worked out with the others, the rest against them.
  const talk = config.method === 'ilr' ? await discuss(run, last, questions[0] as Question[], ideas) : noTalk;

  // Perception Calibration within each stage, then one GRPO update of every agent on both.
  const mode = config.method === 'ilr' ? config.calibration : 'none';
  const stages = [calibrateStage(solo, mode), calibrateStage(talk.fusion, mode)];
  throwIfAborted(run.signal);
  const updates = await everyAgent(agents, (agent, i) =>
    update(
      run,
      step,
      agent,
      i,
      stages.flatMap((stage) => stage[i]?.groups ?? []),
    ),
  );

  const outcome = {solo, talk, stages, updates};
  await run.options.recorder?.dialogues(
    step,
    agents.flatMap((_, i) => groupsOf(outcome, i)),
  );
  const next = advance(run, last, questions, outcome);
  return {...next, pending: metricsOf(run, last, next, outcome, (run.now() - started) / 1000)};
}

/** What a step brought, by agent. */
interface Outcome {
  readonly solo: readonly (readonly Group[])[];
  readonly talk: Talk;
  readonly stages: readonly (readonly StageCalibration[])[];
  readonly updates: readonly (readonly UpdateResult[])[];
}

interface Talk {
  /** [N][Q]; undefined where the dialogue did not fit. */
  readonly fusion: readonly (readonly (Group | undefined)[])[];
  /** [N] */
  readonly figures: readonly Figures[];
  /** [N] */
  readonly analysisTokens: readonly number[];
}

const noTalk: Talk = {fusion: [], figures: [], analysisTokens: []};

/** Idea3 behind the shared ideas: strategies, analysis, fusion. */
async function discuss(
  run: Run,
  last: TrainerState,
  questions: readonly Question[],
  ideas: readonly (readonly UngradedGroup[])[],
): Promise<Talk> {
  const {config, agents} = run;
  const step = last.step + 1;
  const strategies = chooseStrategies(config.strategy, {
    numAgents: agents.length,
    abilities: last.abilities,
    difficulties: questions.map((question) => difficultyOf(last, question)),
    seed: config.seed,
    step,
  });
  const discussions = await analyse(agents, ideas, strategies, idea3Options(run, step, 'analysis'));
  const fused = await fuse(agents, discussions, streamNames(questions), idea3Options(run, step, 'fusion'));
  const fusion = await everyAgent(agents, (_, i) => gradeAll(fused[i] as (UngradedGroup | undefined)[], run));
  const held = discussions.map((row) => row.filter((discussion) => discussion !== undefined));
  return {
    fusion,
    figures: held.map((row, i) =>
      dialogueFigures({
        strategies: strategies[i] ?? [],
        truncatedAnalyses: row.filter(({analysis}) => analysis.finishReason !== 'stop').length,
        cutPeers: row.filter(({isCut}) => isCut).length,
        held: row.length,
      }),
    ),
    analysisTokens: held.map((row) => sum(row.map(({analysis}) => analysis.ids.length))),
  };
}

/** The GRPO update of one agent: its groups, dealt to minibatches. Advantages, loss and optimiser step are the policy's. */
async function update(
  run: Run,
  step: number,
  agent: Agent,
  index: number,
  groups: readonly TrainableGroup[],
): Promise<UpdateResult[]> {
  const {config, options} = run;
  const {seed, minibatches, loss, optimizer} = config;
  const random = new Random({seed, purpose: 'minibatch', agent: index, step});
  const batches = buildBatches(groups, {...loss, minibatches, random});
  if (batches.length === 0) {
    run.onWarning(`Step ${step}: ${agent.name} has no group with two graded rollouts, so it is not updated.`);
  }
  const report = phaseOf(run, step, 'update')(agent);
  const results: UpdateResult[] = [];
  report(0, batches.length, 0);
  for (const batch of batches) {
    const result = await agent.policy.update(batch, {
      ...optimizer,
      loss: 'dapo',
      temperature: agent.temperature,
      epsilonLow: loss.epsilonLow,
      epsilonHigh: loss.epsilonHigh,
      // Half of the agents updated could not be saved.
      signal: options.recorder === undefined ? run.signal : undefined,
    });
    results.push(result);
    report(results.length, batches.length, sum(results.map((each) => each.trainedTokens)));
  }
  return results;
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
      ...perAgent(agents, (i) => ({ability: abilities[i]})),
    },
    seed: config.seed,
    method: config.method,
    agents: agents.map((agent) => agent.name),
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
    results === undefined ? pending : {...pending, ...perAgent(run.agents, (i) => evaluationFigures(results[i]))};
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
  const results = await everyAgent(agents, (agent, agentIndex) => evaluateSolo(agent, test, {...options, agentIndex}));
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

function idea3Options(run: Run, step: number, name: TrainPhase): Idea3Options {
  const {config, signal, onWarning} = run;
  const {seed, dialogue, groupSize} = config;
  return {seed, step, dialogue, groupSize, signal, onWarning, onProgress: phaseOf(run, step, name)};
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

/** What the step changes in the state. */
function advance(
  {config: {ability}}: Run,
  last: TrainerState,
  questions: readonly (readonly Question[])[],
  outcome: Outcome,
): TrainerState {
  const {solo, talk, updates} = outcome;
  const add = (to: readonly number[], of: (agent: number) => number) => to.map((value, i) => value + of(i));
  const refresh = (value: number, i: number) => ability.decay * value + (1 - ability.decay) * passRateOf(solo[i] ?? []);
  return {
    ...last,
    step: last.step + 1,
    abilities: ability.refresh === 'ema' ? last.abilities.map(refresh) : last.abilities,
    positions: add(last.positions, (i) => questions[i]?.length ?? 0),
    generatedTokens: add(last.generatedTokens, (i) => tokensOf(groupsOf(outcome, i)) + (talk.analysisTokens[i] ?? 0)),
    trainedTokens: add(last.trainedTokens, (i) => sum((updates[i] ?? []).map((result) => result.trainedTokens))),
    soloCompletions: add(last.soloCompletions, (i) => sum((solo[i] ?? []).map((group) => group.rollouts.length))),
    soloTokens: add(last.soloTokens, (i) => tokensOf(solo[i] ?? [])),
  };
}

function metricsOf(
  {agents, config}: Run,
  last: TrainerState,
  state: TrainerState,
  outcome: Outcome,
  seconds: number,
): StepMetrics {
  const {solo, talk, stages, updates} = outcome;
  const generated = state.generatedTokens.map((tokens, i) => tokens - (last.generatedTokens[i] as number));
  const trained = state.trainedTokens.map((tokens, i) => tokens - (last.trainedTokens[i] as number));
  return {
    step: state.step,
    seconds,
    tokensPerSecond: sum(generated) / seconds,
    'tokens/generated': sum(generated),
    'tokens/trained': sum(trained),
    ...finite({'difficulty/pass_rate_correlation': passRateCorrelation(state, solo)}),
    ...perAgent(agents, (i) => ({
      questions: solo[i]?.length,
      'tokens/generated': generated[i],
      ability: state.abilities[i],
      ...failureFigures(groupsOf(outcome, i)),
      ...stageFigures('solo', solo[i] ?? []),
      ...(config.method === 'ilr' ? {...stageFigures('fusion', fusionOf(talk, i)), ...talk.figures[i]} : {}),
      ...calibrationFigures(stages.flatMap((stage) => stage[i] ?? [])),
      ...updateFigures(updates[i] ?? []),
    })),
  };
}

/** How well D_q foretells the step's failures: Spearman with 1 − pass rate, where all agents answered the same questions. */
function passRateCorrelation(state: TrainerState, solo: Outcome['solo']): number | undefined {
  if (state.difficulty === undefined || state.method !== 'ilr') return undefined;
  const questions = solo[0] ?? [];
  return spearman(
    questions.map(({question}) => difficultyOf(state, question)),
    questions.map((_, q) => 1 - mean(solo.map((row) => accuracyOf(row[q] as Group)))),
  );
}

function difficultyOf(state: TrainerState, {id}: Question): number {
  return state.difficulty?.difficulties[id] ?? 0.5;
}

function passRateOf(groups: readonly Group[]): number {
  return mean(groups.map(accuracyOf));
}

function fusionOf({fusion}: Talk, agent: number): Group[] {
  return (fusion[agent] ?? []).filter((group) => group !== undefined);
}

function groupsOf({solo, talk}: Outcome, agent: number): Group[] {
  return [...(solo[agent] ?? []), ...fusionOf(talk, agent)];
}

function tokensOf(groups: readonly Group[]): number {
  return sum(groups.flatMap((group) => group.rollouts.map((rollout) => rollout.completion.ids.length)));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
