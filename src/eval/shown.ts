import type {Question} from '../types.js';
import type {ShownQuestion} from './page-answers.js';
import {type EvalBenchmark, type EvalPlan, type EvalUnit, memberNames, UnitKeys, unitsOf} from './plan.js';
import type {EvalAnswer} from './report.js';
import {type AnswerStore, type StoredAnswer, wholeLines} from './store.js';
import {type StrategyStore, strategiesOf} from './strategies.js';

/** Questions shown of each benchmark: told by how the greedy answers to them came out. */
const wanted = {mixed: 3, wrong: 2, right: 1};
/** Shown of one benchmark's answers to a question; there may be many models. */
const answersPerQuestion = 12;

type Outcome = keyof typeof wanted;

interface Asked {
  readonly question: Question;
  /** Of the greedy answers, by unit and member. */
  readonly keys: readonly string[];
  readonly outcome: Outcome;
}

/** Some questions of each benchmark with the greedy answers to them, read from the store's file: the same ones each time. */
export async function chooseShown(
  plan: EvalPlan,
  known: {readonly answers: AnswerStore; readonly strategies: StrategyStore},
  file: string,
): Promise<ShownQuestion[]> {
  const chosen: {benchmark: EvalBenchmark; asked: Asked}[] = [];
  for (const benchmark of plan.benchmarks) {
    const asked = await askedOf(plan, benchmark, known);
    for (const one of pick(asked)) chosen.push({benchmark, asked: one});
  }
  const answers = await readAnswers(file, new Set(chosen.flatMap(({asked}) => asked.keys)));
  return chosen.map(({benchmark, asked: {question, keys}}) => ({
    benchmark: benchmark.name,
    id: question.id,
    text: question.text,
    answer: question.answer,
    level: question.level,
    subject: question.subject,
    answers: keys.map((key) => answers.get(key)).filter((answer) => answer !== undefined),
  }));
}

async function askedOf(
  plan: EvalPlan,
  benchmark: EvalBenchmark,
  known: {readonly answers: AnswerStore; readonly strategies: StrategyStore},
): Promise<Asked[]> {
  const keys: string[][] = benchmark.questions.map(() => []);
  for (const unit of unitsOf(plan).filter((one) => one.benchmark === benchmark)) {
    for (const [q, own] of (await greedyKeys(plan, unit, known)).entries()) keys[q]?.push(...own);
  }
  return benchmark.questions.map((question, q) => {
    const own = keys[q] as string[];
    return {
      question,
      keys: own.slice(0, answersPerQuestion),
      outcome: outcomeOf(own.map((key) => known.answers.get(key))),
    };
  });
}

/** [questions][members] */
async function greedyKeys(
  plan: EvalPlan,
  unit: EvalUnit,
  known: {readonly answers: AnswerStore; readonly strategies: StrategyStore},
): Promise<string[][]> {
  const keys = new UnitKeys(plan, unit);
  const nobody = () => Promise.reject(new Error('strategies were chosen before'));
  const strategies = await strategiesOf(plan, unit, keys, nobody, known);
  return unit.benchmark.questions.map((question, q) =>
    memberNames(unit.members).map((_, member) => keys.of(member, question, null, strategies?.[member]?.[q])),
  );
}

function outcomeOf(answers: readonly (StoredAnswer | undefined)[]): Outcome {
  const right = answers.filter((answer) => answer?.isCorrect).length;
  if (right === 0) return 'wrong';
  return right === answers.length ? 'right' : 'mixed';
}

/** The first ones of each outcome, in the order of the benchmark. */
function pick(asked: readonly Asked[]): Asked[] {
  const left = {...wanted};
  return asked.filter(({outcome}) => left[outcome]-- > 0);
}

async function readAnswers(file: string, keys: ReadonlySet<string>): Promise<Map<string, EvalAnswer>> {
  const found = new Map<string, EvalAnswer>();
  for await (const line of wholeLines(file)) {
    // The store has checked each line; only the few that are shown are parsed again.
    const key = /^\{"key":"([^"]*)"/.exec(line.toString('latin1', 0, 200))?.[1];
    if (key === undefined || !keys.has(key) || found.has(key)) continue;
    found.set(key, JSON.parse(line.toString('utf8')) as EvalAnswer);
  }
  return found;
}
