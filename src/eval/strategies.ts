import {readFile} from 'node:fs/promises';
import {IlrError} from '../errors.js';
import {measureAbilities, measureDifficulty} from '../evaluate.js';
import {chooseStrategies} from '../interact/strategy.js';
import {AppendedFile, jsonLine} from '../record/appended-file.js';
import {withIo} from '../record/files.js';
import type {Agent, Question, Strategy} from '../types.js';
import {dialogueOf, type EvalEvent, type EvalPlan, type EvalUnit, type UnitKeys} from './plan.js';

/** [N][questions] */
export type Strategies = readonly (readonly Strategy[])[];

interface StrategyLine {
  readonly key: string;
  readonly benchmark: string;
  /** [N] γ, measured on the validation questions. */
  readonly abilities: readonly number[];
  /** [questions] D. */
  readonly difficulties: readonly number[];
  readonly strategies: Strategies;
}

/** The adaptive strategies that were chosen before, in a file of JSON lines: to measure what they follow from takes long. */
export class StrategyStore {
  private constructor(
    private readonly lines: AppendedFile,
    private readonly known: Map<string, StrategyLine>,
  ) {}

  static async open(file: string): Promise<StrategyStore> {
    const text = await withIo('reading', file, () =>
      readFile(file, 'utf8').catch((error) => {
        if (error.code === 'ENOENT') return '';
        throw error;
      }),
    );
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    const known = new Map<string, StrategyLine>();
    whole.split('\n').forEach((line, i) => {
      if (line === '') return;
      const value = parse(line, `${file}:${i + 1}`);
      known.set(value.key, value);
    });
    const {opened: lines} = await AppendedFile.open(file, Buffer.byteLength(whole));
    return new StrategyStore(lines, known);
  }

  get(key: string): Strategies | undefined {
    return this.known.get(key)?.strategies;
  }

  async add(line: StrategyLine): Promise<void> {
    await this.lines.append(jsonLine(line));
    await this.lines.sync();
    this.known.set(line.key, line);
  }

  close(): Promise<void> {
    return this.lines.close();
  }
}

function parse(line: string, place: string): StrategyLine {
  try {
    const value = JSON.parse(line) as StrategyLine;
    const names = value.strategies.flat();
    if (typeof value.key === 'string' && names.every((name) => name === 'cooperative' || name === 'competitive'))
      return value;
  } catch {
    // said below
  }
  throw new IlrError(
    'ILR_CHECKPOINT',
    `${place}: expected strategies as eval writes them, got something else. Remove the line, or give another --output.`,
  );
}

export interface StrategyContext {
  readonly strategies: StrategyStore;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: EvalEvent) => void;
}

/**
The strategies of a unit's dialogues, for all questions of its benchmark at once; undefined but in idea3.

@param open - Loads the members, where difficulties and abilities have to be measured.
*/
export async function strategiesOf(
  plan: EvalPlan,
  unit: EvalUnit,
  keys: UnitKeys,
  open: () => Promise<readonly Agent[]>,
  context: StrategyContext,
): Promise<Strategies | undefined> {
  if (unit.mode !== 'idea3') return undefined;
  const {questions} = unit.benchmark;
  const {strategy, seed} = plan.settings;
  if (strategy === 'cooperative' || strategy === 'competitive')
    return unit.members.map(() => questions.map(() => strategy));
  if (strategy === 'fixed')
    return chooseStrategies(
      {choose: 'fixed', cooperativeShare: plan.cooperativeShare},
      {numAgents: unit.members.length, abilities: [], difficulties: questions.map(() => 0), seed, step: 0},
    );
  const key = keys.ofStrategies(questions);
  const known = context.strategies.get(key);
  if (known !== undefined) return known;
  return measure(plan, unit, key, await open(), context);
}

async function measure(
  plan: EvalPlan,
  unit: EvalUnit,
  key: string,
  agents: readonly Agent[],
  {strategies: store, signal, onEvent}: StrategyContext,
): Promise<Strategies> {
  const {benchmark, members} = unit;
  const {adaptive, dialogue, reward, settings, cooperativeShare} = plan;
  if (adaptive === undefined)
    throw new IlrError(
      'ILR_INVALID_ARGUMENT',
      'Expected validation questions that measure abilities with the adaptive strategy, got none.',
    );
  const {seed} = settings;
  const onWarning = (message: string) => onEvent?.({type: 'warning', message});
  const ability = {questions: adaptive.validation.length, refresh: 'fixed' as const, decay: 0};
  const abilities = await measureAbilities(agents, adaptive.validation, {
    config: {seed, dialogue, reward, ability},
    reward: adaptive.reward,
    signal,
    onWarning,
  });
  const table = await measureDifficulty(agents, benchmark.questions, {
    config: {seed, dialogue: dialogueOf(plan, unit), reward, difficulty: adaptive.difficulty},
    reward: benchmark.reward,
    signal,
    onWarning,
  });
  const difficulties = benchmark.questions.map(({id}: Question) => table.difficulties[id] as number);
  const strategies = chooseStrategies(
    {choose: adaptive.choose, cooperativeShare},
    {numAgents: members.length, abilities, difficulties, seed, step: 0},
  );
  await store.add({key, benchmark: benchmark.name, abilities, difficulties, strategies});
  return strategies;
}
