import type {RunConfig} from '../config.js';
import {hashOf} from '../record/identity.js';
import type {Agent, Question, RewardFunction, Strategy} from '../types.js';
import type {EvalMode, EvalSettings, ReportModel} from './report.js';

/** What is to be evaluated: every model on every benchmark in every mode. */
export interface EvalPlan {
  readonly models: readonly EvalModel[];
  /** Who talk in debate and idea3, as places in `models`; a model may stand there twice. Empty without these modes. */
  readonly group: readonly number[];
  readonly benchmarks: readonly EvalBenchmark[];
  readonly settings: EvalSettings;
  /** Of the group's dialogues; `share` is what each is asked. */
  readonly dialogue: RunConfig['dialogue'];
  readonly reward: RunConfig['reward'];
  /** Questions that are asked together, and saved together. */
  readonly batch: number;
  readonly versions: Readonly<Record<string, string>>;
  /** Of the dialogues, with the strategy `fixed`. */
  readonly cooperativeShare: number;
  /** Needed with the strategy `adaptive`. */
  readonly adaptive?: AdaptiveOptions;
}

/** What the adaptive choice of strategies measures difficulty and ability with. */
export interface AdaptiveOptions {
  readonly difficulty: RunConfig['difficulty'];
  readonly choose: 'agent' | 'question';
  /** Questions that measure abilities, none of a benchmark. */
  readonly validation: readonly Question[];
  readonly reward: RewardFunction;
  readonly rewardName: string;
}

export interface OpenedModel extends Agent {
  close(): Promise<void>;
}

export interface EvalModel extends ReportModel {
  /** Of this model alone. */
  readonly dialogue: RunConfig['dialogue'];
  /** All else that its answers depend on: sampling, chat template, threads. */
  readonly details: unknown;
  open(): Promise<OpenedModel>;
}

export interface EvalBenchmark {
  readonly name: string;
  readonly description?: string;
  readonly reward: RewardFunction;
  readonly rewardName: string;
  /** What else a grade depends on, such as the contents of a module. */
  readonly rewardIdentity: string;
  /** Those whose gold answer can be graded. */
  readonly questions: readonly Question[];
  readonly leftOut: readonly Question[];
  /** Asked in place of the models' own prompt, where the form of its answers needs it. */
  readonly prompt?: string;
}

/** One row of results to be: a benchmark, a mode, and who is asked. */
export interface EvalUnit {
  readonly benchmark: EvalBenchmark;
  readonly mode: EvalMode;
  /** One alone, or the group. */
  readonly members: readonly EvalModel[];
}

/** How far an evaluation is. */
export type EvalEvent =
  | {
      readonly type: 'progress';
      readonly unit: EvalUnit;
      /** Questions whose answers are saved, and all. */
      readonly done: number;
      readonly total: number;
      /** Of `done`: there before this run. */
      readonly known: number;
      /** Written in this run for this unit, those of batches under way included. */
      readonly tokens: number;
    }
  | {readonly type: 'loading'; readonly models: readonly string[]}
  | {readonly type: 'warning'; readonly message: string};

/** What a unit's models are asked, and how long they may answer. */
export function dialogueOf({dialogue}: EvalPlan, {benchmark, mode, members}: EvalUnit): EvalPlan['dialogue'] {
  const own = mode === 'solo' ? (members[0] as EvalModel).dialogue : dialogue;
  const {prompt} = benchmark;
  if (prompt === undefined) return own;
  // The usual words ask for a boxed answer again.
  const prompts = {
    ...own.prompts,
    share: prompt,
    fuse: `Now solve it again with all you have learned.\n\n${prompt}`,
    debate: `{peers}\n\nThese are solutions of others. Use them as additional information and solve it again.\n\n${prompt}`,
  };
  return {...own, prompts};
}

/** Names of a group's members: a model that stands there twice gets a number. */
export function memberNames(members: readonly {readonly name: string}[]): string[] {
  const seen = new Map<string, number>();
  return members.map(({name}) => {
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    return times === 1 ? name : `${name} (${times})`;
  });
}

/** All units of a plan, model by model, so that each is loaded once. */
export function unitsOf({models, group, benchmarks, settings: {modes}}: EvalPlan): EvalUnit[] {
  const members = group.map((index) => models[index] as EvalModel);
  return [
    ...(modes.includes('solo')
      ? models.flatMap((model) => benchmarks.map((benchmark) => ({benchmark, mode: 'solo' as const, members: [model]})))
      : []),
    ...modes
      .filter((mode) => mode !== 'solo')
      .flatMap((mode) => benchmarks.map((benchmark) => ({benchmark, mode, members}))),
  ];
}

/**
The keys of a unit's answers. An answer depends on who is asked, on the question and its grader, and on all settings that change what is
drawn; not on which other questions, models or benchmarks stand beside it.
*/
export class UnitKeys {
  private readonly recipe: string;

  constructor(
    private readonly plan: EvalPlan,
    unit: EvalUnit,
  ) {
    const {mode, members, benchmark} = unit;
    const isGroup = mode !== 'solo';
    const dialogue = dialogueOf(plan, unit);
    this.recipe = hashOf([
      1,
      plan.versions,
      plan.settings.seed,
      mode,
      members.map(({identity, dtype, device, system, temperature, details}) => [
        identity,
        dtype,
        device,
        system ?? null,
        temperature,
        details,
      ]),
      isGroup ? dialogue : [dialogue.prompts.share, dialogue.maxNewTokens.share],
      mode === 'debate' ? (plan.settings.rounds ?? null) : null,
      [benchmark.rewardName, benchmark.rewardIdentity],
    ]);
  }

  /** @param strategy - Of the member, in idea3. */
  of(member: number, question: Question, sample: number | null, strategy?: Strategy): string {
    return hashOf([this.recipe, member, questionParts(question), sample, strategy ?? null]);
  }

  /** Of the strategies of a whole benchmark. */
  ofStrategies(questions: readonly Question[]): string {
    const {adaptive, settings} = this.plan;
    const how = adaptive && [adaptive.difficulty, adaptive.choose, adaptive.rewardName, hashAll(adaptive.validation)];
    return hashOf([this.recipe, settings.strategy, how ?? null, hashAll(questions)]);
  }
}

export function hashAll(questions: readonly Question[]): string {
  return hashOf(questions.map(questionParts));
}

function questionParts({id, text, answer, level, subject, tests, tolerance}: Question): unknown {
  const {asserts, setup, entryPoint, prefix} = tests ?? {};
  const program = tests && [asserts, setup ?? null, entryPoint ?? null, prefix ?? null];
  return [id, text, answer, level ?? null, subject ?? null, program ?? null, ...(tolerance ? [tolerance] : [])];
}
