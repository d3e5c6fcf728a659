import {IlrError} from '../errors.js';
import type {Agent, Question, Strategy} from '../types.js';
import {answerBatch} from './answers.js';
import {
  dialogueOf,
  type EvalEvent,
  type EvalModel,
  type EvalPlan,
  type EvalUnit,
  memberNames,
  type OpenedModel,
  UnitKeys,
  unitsOf,
} from './plan.js';
import type {EvalReport} from './report.js';
import {buildReport} from './results.js';
import type {AnswerStore} from './store.js';
import {type StrategyStore, strategiesOf} from './strategies.js';
import {UnitWarnings} from './warnings.js';

export interface EvalRunOptions {
  readonly answers: AnswerStore;
  readonly strategies: StrategyStore;
  /** Stops now: rejects with `ILR_ABORTED`. The batches under way are lost, all others are in the store. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: EvalEvent) => void;
}

/** Asks what the store does not know, and reports. Models are loaded one after the other, and only where something is missing. */
export async function runEvaluation(plan: EvalPlan, options: EvalRunOptions): Promise<EvalReport> {
  const units = unitsOf(plan);
  let opened: readonly OpenedModel[] = [];
  let members: readonly EvalModel[] = [];
  try {
    for (const unit of units) {
      const agents = async () => {
        if (!isSame(unit.members, members)) {
          await closeAll(opened);
          opened = [];
          options.onEvent?.({type: 'loading', models: [...new Set(unit.members.map(({name}) => name))]});
          opened = await openAll(unit.members);
          members = unit.members;
        }
        return opened;
      };
      await answerUnit(plan, unit, agents, options);
    }
  } finally {
    await closeAll(opened);
  }
  return buildReport(plan, units, options);
}

async function answerUnit(
  plan: EvalPlan,
  unit: EvalUnit,
  open: () => Promise<readonly Agent[]>,
  options: EvalRunOptions,
): Promise<void> {
  const {questions} = unit.benchmark;
  const keys = new UnitKeys(plan, unit);
  const strategies = await strategiesOf(plan, unit, keys, open, options);
  const batches = batchesOf(questions, plan.batch).map(({from, to}) => ({
    questions: questions.slice(from, to),
    strategies: strategies?.map((row) => row.slice(from, to)),
  }));
  const missing = batches.filter((batch) => !isKnown(batch, plan, unit, keys, options.answers));
  const known = questions.length - missing.reduce((sum, batch) => sum + batch.questions.length, 0);
  const state = {done: known, tokens: 0};
  const report = () => options.onEvent?.({type: 'progress', unit, total: questions.length, known, ...state});
  report();
  if (missing.length === 0) return;
  const agents = await open();
  const warnings = new UnitWarnings(unit, (message) => options.onEvent?.({type: 'warning', message}));
  await twoAtOnce(missing, async (batch) => {
    throwIfAborted(options.signal);
    const answers = await answerBatch(agents, batch.questions, {
      config: {seed: plan.settings.seed, dialogue: dialogueOf(plan, unit), reward: plan.reward},
      reward: unit.benchmark.reward,
      samples: plan.settings.samples,
      unit,
      keys,
      names: memberNames(unit.members),
      rounds: plan.settings.rounds,
      strategies: batch.strategies,
      signal: options.signal,
      onProgress: () => {
        let seen = 0;
        return (_done, _total, tokens) => {
          state.tokens += tokens - seen;
          seen = tokens;
          report();
        };
      },
      onWarning: warnings.add,
    });
    await options.answers.add(answers);
    warnings.see(answers);
    state.done += batch.questions.length;
    report();
  });
  warnings.end();
}

interface Batch {
  readonly questions: readonly Question[];
  readonly strategies?: readonly (readonly Strategy[])[];
}

/** Always the same ones, so that a batch that is done again is done as it was. */
function batchesOf(questions: readonly Question[], size: number): {from: number; to: number}[] {
  const count = Math.ceil(questions.length / size);
  return Array.from({length: count}, (_, i) => ({from: i * size, to: Math.min(questions.length, (i + 1) * size)}));
}

function isKnown(
  {questions, strategies}: Batch,
  {settings: {samples}}: EvalPlan,
  {members}: EvalUnit,
  keys: UnitKeys,
  answers: AnswerStore,
): boolean {
  return members.every((_, member) =>
    questions.every((question, q) => {
      const strategy = strategies?.[member]?.[q];
      const isThere = (sample: number | null) => answers.get(keys.of(member, question, sample, strategy)) !== undefined;
      return isThere(null) && Array.from({length: samples}, (_, k) => k).every(isThere);
    }),
  );
}

/** The next batch is written while the last one is graded. All have ended when it returns or throws. */
async function twoAtOnce<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const underWay: Promise<void>[] = [];
  try {
    for (const item of items) {
      if (underWay.length === 2) await underWay.shift();
      const started = work(item);
      started.catch(() => {}); // it is awaited in its turn
      underWay.push(started);
    }
    for (const started of underWay) await started;
  } finally {
    await Promise.allSettled(underWay);
  }
}

/** A model that stands there twice is loaded once. */
async function openAll(members: readonly EvalModel[]): Promise<OpenedModel[]> {
  const names = memberNames(members);
  const opened = new Map<EvalModel, OpenedModel>();
  try {
    for (const model of members) if (!opened.has(model)) opened.set(model, await model.open());
  } catch (error) {
    await closeAll([...opened.values()]);
    throw error;
  }
  return members.map((model, i) => ({...(opened.get(model) as OpenedModel), name: names[i] as string}));
}

async function closeAll(opened: readonly OpenedModel[]): Promise<void> {
  for (const close of new Set(opened.map((agent) => agent.close))) await close();
}

function isSame(a: readonly EvalModel[], b: readonly EvalModel[]): boolean {
  return a.length === b.length && a.every((model, i) => model === b[i]);
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new IlrError('ILR_ABORTED', 'The evaluation was aborted.');
}
