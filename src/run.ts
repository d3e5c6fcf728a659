import {lossOf, type RunConfig} from './config.js';
import {IlrError} from './errors.js';
import {Random} from './random.js';
import {gradableQuestions} from './reward/grade.js';
import {type Watch, watchRollouts} from './reward/watch.js';
import {changesOf} from './sampling.js';
import type {Agent, Question, RewardFunction, TrainEvent, TrainerState, TrainOptions, TrainPhase} from './types.js';

/** What a run is made of, checked: everything that stays the same from step to step. */
export interface Run {
  readonly options: TrainOptions;
  readonly config: RunConfig;
  readonly agents: readonly Agent[];
  readonly reward: RewardFunction;
  readonly train: readonly Question[];
  readonly validation: readonly Question[];
  readonly test: readonly Question[];
  readonly signal?: AbortSignal;
  readonly emit: (event: TrainEvent) => void;
  readonly onWarning: (message: string) => void;
  readonly now: () => number;
  readonly watch: Watch;
}

/**
Checks what was handed in, before anything is sampled. Questions whose gold answer cannot be graded are left out, with a warning.

@throws IlrError `ILR_INVALID_ARGUMENT`, `ILR_INVALID_DATA`, or `ILR_CHECKPOINT` when `resumeFrom` is of another run.
*/
export function prepareRun(options: TrainOptions, reward: RewardFunction): Run {
  const {config, agents, questions, signal, onEvent, resumeFrom} = options;
  const emit = (event: TrainEvent) => onEvent?.(event);
  const onWarning = (message: string) => emit({type: 'warning', message});
  requireAgents(config, agents);
  const gradable = (name: string, given: readonly Question[]) => gradableQuestions(name, given, reward, onWarning);
  const all = gradable('training', questions.train);
  const split =
    questions.validation === undefined
      ? holdOut(all, config)
      : {train: all, validation: gradable('validation', questions.validation).slice(0, config.ability.questions)};
  const run: Run = {
    options,
    config,
    agents,
    reward,
    ...split,
    test: gradable('test', questions.test ?? []).slice(0, config.eval.questions),
    signal,
    emit,
    onWarning,
    now: options.now ?? (() => performance.now()),
    watch: watchRollouts(
      agents.map((agent) => agent.name),
      onWarning,
    ),
  };
  requireQuestions(run);
  warnOfSampling(agents, onWarning);
  if (resumeFrom !== undefined) requireSameRun(run, resumeFrom);
  return run;
}

/** Difficulty and ability only serve the adaptive choice of a strategy. */
export function isAdaptive({method, strategy}: RunConfig): boolean {
  return method === 'ilr' && strategy.choose !== 'fixed';
}

/** [N] questions of each agent from `positions` on in the endless order, a new shuffle per epoch; in ILR all agents get the same. */
export function drawQuestions(run: Run, positions: readonly number[], counts: readonly number[]): Question[][] {
  const {train, config, agents} = run;
  const shuffles = new Map<number, readonly Question[]>();
  const questionAt = (place: number) => {
    const epoch = Math.floor(place / train.length);
    const shuffle = shuffles.get(epoch) ?? new Random({seed: config.seed, purpose: 'data', step: epoch}).shuffle(train);
    shuffles.set(epoch, shuffle);
    return shuffle[place % train.length] as Question;
  };
  return agents.map((_, i) =>
    Array.from({length: counts[i] as number}, (_, k) => questionAt((positions[i] as number) + k)),
  );
}

/** Reports how far a phase is, agent by agent. */
export function phaseOf(run: Run, step: number, phase: TrainPhase) {
  return (agent: Agent) => (done: number, total: number, tokens: number) =>
    run.emit({type: 'phase', step, phase, agent: agent.name, done, total, tokens});
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new IlrError('ILR_ABORTED', 'The run was aborted.');
}

/** [N] questions of the step that comes after `last`. */
export function questionCounts(run: Run, last: TrainerState): number[] {
  return run.agents.map((_, i) => questionsPerStep(run, last, i));
}

/** As configured; for `grpo` with `matchTokens`, what the tokens still due up to this step pay for, at the mean length so far. */
function questionsPerStep({config, options}: Run, last: TrainerState, agent: number): number {
  const {questionsPerStep: base, groupSize, matchTokens, method} = config;
  if (method === 'ilr' || !matchTokens) return base;
  const usual = Math.round((base * (2 * groupSize + 1)) / groupSize);
  const budget = options.tokenBudgetPerStep?.[agent];
  const tokens = last.soloTokens[agent] as number;
  if (budget === undefined || tokens === 0) return usual;
  const due = budget * (last.step + 1) - (last.generatedTokens[agent] as number);
  const perQuestion = (groupSize * tokens) / (last.soloCompletions[agent] as number);
  return Math.min(4 * usual, Math.max(1, Math.round(due / perQuestion)));
}

/** At most a tenth of the training questions, drawn from the seed. */
function holdOut(questions: readonly Question[], {seed, ability}: RunConfig) {
  const shuffled = new Random({seed, purpose: 'data'}).shuffle(questions);
  const held = new Set(shuffled.slice(0, Math.min(ability.questions, Math.floor(questions.length / 10))));
  return {train: questions.filter((question) => !held.has(question)), validation: [...held]};
}

/** The policy gradient takes the samples for those of the distribution that is trained. */
function warnOfSampling(agents: readonly Agent[], onWarning: (message: string) => void): void {
  for (const {name, sampling} of agents) {
    const options = changesOf(sampling);
    if (options.length === 0) continue;
    onWarning(
      `${name} draws with ${options.join(', ')}, but is trained as if it drew from softmax(logits / temperature): log-probs and ` +
        'updates do not mirror these options (metric sampling/changed). Leave them out of agents.*.sampling, or set them in eval.sampling alone.',
    );
  }
}

function requireAgents(config: RunConfig, agents: readonly Agent[]): void {
  const needed = config.method === 'ilr' ? 2 : 1;
  if (agents.length < needed) {
    throw new IlrError(
      'ILR_INVALID_ARGUMENT',
      `Expected at least ${needed} agents for method ${config.method}, got ${agents.length}. Add one, or use method: grpo.`,
    );
  }
  requireNames(agents.map((agent) => agent.name));
  for (const agent of agents) requireReference(config, agent);
}

function requireNames(names: readonly string[]): void {
  const lower = names.map((name) => name.toLowerCase());
  const twice = names.find((_, i) => lower.indexOf(lower[i] as string) !== i);
  if (twice === undefined) return;
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `Expected agents with different names (in more than upper and lower case: they are folders), got ${twice} twice.`,
  );
}

/** False of an agent that takes part and stays as it is. */
export function isTrained({policy}: Agent): boolean {
  return policy.info().trainedParameters !== 0;
}

function requireReference(config: RunConfig, agent: Agent): void {
  const {name, policy, reference} = agent;
  const {kind} = config.reference;
  const {beta} = lossOf(config, name);
  if (beta === 0 || kind === 'none' || !isTrained(agent)) return;
  if (kind === 'base') {
    if (policy.info().adapter !== undefined) return;
    throw new IlrError(
      'ILR_INVALID_ARGUMENT',
      `Expected ${name} to have an adapter (agents[].adapter) with reference.kind: base, whose reference is the model under it; ` +
        'it trains the whole model. Give it one, or use reference.kind: frozen.',
    );
  }
  if (reference !== undefined && reference !== policy) return;
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `Expected ${name} to have a reference policy of its own (Agent.reference) with reference.kind: ${kind} and beta ${beta}, got ` +
      `${reference === undefined ? 'none' : 'the policy that is trained'}. Load one from the same folder with {trainable: false}.`,
  );
}

function requireQuestions({train, validation, config}: Run): void {
  if (train.length === 0) {
    throw new IlrError('ILR_INVALID_DATA', 'Expected at least one training question that can be graded, got none.');
  }
  if (isAdaptive(config) && validation.length === 0) {
    throw new IlrError(
      'ILR_INVALID_DATA',
      'Expected validation questions that measure ability, got none. ' +
        'Name data.validation, or give at least 10 training questions to hold some out of.',
    );
  }
  const ids = new Set<string>();
  for (const {id} of train) {
    if (ids.has(id)) {
      throw new IlrError('ILR_INVALID_DATA', `Expected training questions with different ids, got ${id} twice.`);
    }
    ids.add(id);
  }
}

function requireSameRun({config, agents, train}: Run, state: TrainerState): void {
  const differences = [
    ['seed', state.seed, config.seed],
    ['method', state.method, config.method],
    ['agents', state.agents.join(', '), agents.map((agent) => agent.name).join(', ')],
    ['number of training questions', state.numQuestions, train.length],
  ].filter(([, had, has]) => had !== has);
  if (differences.length === 0) return;
  const list = differences.map(([what, had, has]) => `${what} ${had}, now ${has}`).join('; ');
  throw new IlrError(
    'ILR_CHECKPOINT',
    `Expected the run that the checkpoint belongs to; it had ${list}. Start anew, or undo the change.`,
  );
}
