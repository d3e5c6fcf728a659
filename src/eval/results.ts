import {IlrError, messageOf} from '../errors.js';
import {mean, meanInterval} from '../statistics.js';
import type {Question} from '../types.js';
import {compare, countCorrect, type Row, toNumber} from './comparisons.js';
import {type EvalBenchmark, type EvalPlan, type EvalUnit, hashAll, memberNames, UnitKeys} from './plan.js';
import type {AnswerFigures, Breakdown, EvalReport, EvalResult, ReportBenchmark, Score} from './report.js';
import {majority, passAtK, type Vote} from './scores.js';
import type {AnswerStore, StoredAnswer} from './store.js';
import {type StrategyStore, strategiesOf} from './strategies.js';

type Known = {readonly answers: AnswerStore; readonly strategies: StrategyStore};

/** Makes the report of a plan whose answers are all in the store. */
export async function buildReport(plan: EvalPlan, units: readonly EvalUnit[], known: Known): Promise<EvalReport> {
  const rows: Row[] = [];
  for (const benchmark of plan.benchmarks) {
    for (const mode of plan.settings.modes) {
      const own = units.filter((unit) => unit.benchmark === benchmark && unit.mode === mode);
      const members: Row[] = [];
      for (const unit of own) members.push(...(await rowsOf(plan, unit, known)));
      rows.push(...members, ...voteOf(plan, members));
    }
  }
  const {versions, settings, models, benchmarks} = plan;
  return {
    format: 1,
    versions,
    settings,
    models: models.map(({name, folder, identity, dtype, device, prompt, system, temperature, maxNewTokens}) => ({
      ...{name, folder, identity, dtype, device, prompt},
      ...(system !== undefined && {system}),
      ...{temperature, maxNewTokens},
    })),
    benchmarks: benchmarks.map(toReportBenchmark),
    results: rows.map(({result}) => result),
    comparisons: compare(plan, rows),
  };
}

function toReportBenchmark(benchmark: EvalPlan['benchmarks'][number]): ReportBenchmark {
  const {name, description, rewardName, prompt, questions, leftOut} = benchmark;
  return {
    name,
    ...(description !== undefined && {description}),
    reward: rewardName,
    ...(prompt !== undefined && {prompt}),
    questions: questions.length,
    identity: hashAll(questions),
    leftOut: leftOut.map(({id, answer}) => ({id, answer})),
  };
}

async function rowsOf(plan: EvalPlan, unit: EvalUnit, known: Known): Promise<Row[]> {
  const {questions} = unit.benchmark;
  const keys = new UnitKeys(plan, unit);
  const nobody = () => Promise.reject(new Error('strategies were chosen before'));
  const strategies = await strategiesOf(plan, unit, keys, nobody, known);
  return memberNames(unit.members).map((model, member) => {
    const answer = (question: Question, q: number, sample: number | null) =>
      known.answers.get(keys.of(member, question, sample, strategies?.[member]?.[q])) as StoredAnswer;
    const greedy = questions.map((question, q) => answer(question, q, null));
    const sampled = questions.map((question, q) => samplesOf(plan).map((sample) => answer(question, q, sample)));
    return toRow(plan, unit, {model, isVote: false, greedy, sampled});
  });
}

function samplesOf({settings: {samples}}: EvalPlan): number[] {
  return Array.from({length: samples}, (_, k) => k);
}

/** The vote of three members or more (of two, the first would always win) over their greedy answers, and over their k-th sampled ones. Solo's is what the dialogues have to beat. */
function voteOf(plan: EvalPlan, members: readonly Row[]): Row[] {
  const [first] = members;
  if (first === undefined || members.length < 3 || plan.settings.modes.every((mode) => mode === 'solo')) return [];
  const {unit} = first;
  if (members.some((row) => hasUnnamedAnswers(row))) return [];
  const {questions} = unit.benchmark;
  const vote = (votes: readonly Vote[]): Vote => majority(votes, sameAnswerOf(unit.benchmark)) ?? {isCorrect: false};
  const greedy = questions.map((_, q) => vote(members.map((row) => row.greedy[q] as Vote)));
  const sampled = questions.map((_, q) =>
    samplesOf(plan).map((k) => vote(members.map((row) => row.sampled[q]?.[k] as Vote))),
  );
  return [toRow(plan, unit, {model: 'vote', isVote: true, greedy, sampled})];
}

function sameAnswerOf({reward, rewardName}: EvalBenchmark): ((a: string, b: string) => boolean) | undefined {
  const {sameAnswer} = reward;
  if (sameAnswer === undefined) return undefined;
  return (a, b) => {
    try {
      return sameAnswer(a, b);
    } catch (cause) {
      throw new IlrError(
        'ILR_REWARD',
        `Expected sameAnswer of the reward ${rewardName} to compare ${JSON.stringify(a.slice(0, 80))} with ${JSON.stringify(b.slice(0, 80))}; ` +
          `it threw: ${messageOf(cause)}. The answers are saved; mend it and run again.`,
        {cause},
      );
    }
  };
}

/** A reward function that finds answers right without saying which they are: there is nothing to vote with. */
function hasUnnamedAnswers({greedy, sampled}: Pick<Row, 'greedy' | 'sampled'>): boolean {
  return [...greedy, ...sampled.flat()].some(({isCorrect, answer}) => isCorrect && answer === undefined);
}

interface Answers {
  readonly model: string;
  readonly isVote: boolean;
  readonly greedy: readonly (Vote | StoredAnswer)[];
  readonly sampled: readonly (readonly (Vote | StoredAnswer)[])[];
}

function toRow(plan: EvalPlan, unit: EvalUnit, answers: Answers): Row {
  const {model, isVote, greedy, sampled} = answers;
  const {questions} = unit.benchmark;
  const {samples} = plan.settings;
  const figures = isVote
    ? {}
    : {
        greedy: figuresOf(greedy as readonly StoredAnswer[]),
        ...(samples > 0 && {sampled: figuresOf(sampled.flat() as StoredAnswer[])}),
      };
  const levels = groupBy(questions, ({level}) => level).sort(([a], [b]) => Number(a) - Number(b));
  const subjects = groupBy(questions, ({subject}) => subject).sort(([a], [b]) => (a < b ? -1 : 1));
  const breakdown = ([value, places]: readonly [string, readonly number[]]): Breakdown => ({
    value,
    questions: places.length,
    scores: basicScores(plan, pick(greedy, places), pick(sampled, places)),
  });
  const result: EvalResult = {
    benchmark: unit.benchmark.name,
    mode: unit.mode,
    model,
    isVote,
    questions: questions.length,
    scores: [...basicScores(plan, greedy, sampled), ...scoresAtK(plan, unit, answers)],
    ...figures,
    levels: levels.map(breakdown),
    subjects: subjects.map(breakdown),
  };
  return {result, unit, greedy, sampled};
}

function basicScores(
  {settings}: EvalPlan,
  greedy: readonly Vote[],
  sampled: readonly (readonly Vote[])[],
): readonly Score[] {
  const score = (name: string, values: readonly number[]) => ({name, interval: meanInterval(values, settings)});
  return [
    score('greedy', greedy.map(toNumber)),
    ...(settings.samples > 0
      ? [
          score(
            `mean@${settings.samples}`,
            sampled.map((own) => mean(own.map(toNumber))),
          ),
        ]
      : []),
  ];
}

/** maj@k is the vote of the first k samples. */
function scoresAtK({settings}: EvalPlan, {benchmark}: EvalUnit, answers: Answers): readonly Score[] {
  const {sampled} = answers;
  const score = (name: string, value: (own: readonly Vote[]) => number) => ({
    name,
    interval: meanInterval(sampled.map(value), settings),
  });
  const sameAnswer = sameAnswerOf(benchmark);
  const pass = settings.k.map((k) => score(`pass@${k}`, (own) => passAtK(own.length, countCorrect(own), k)));
  if (hasUnnamedAnswers(answers)) return pass;
  const maj = settings.k.map((k) =>
    score(`maj@${k}`, (own) => (majority(own.slice(0, k), sameAnswer)?.isCorrect ? 1 : 0)),
  );
  return [...pass, ...maj];
}

function figuresOf(answers: readonly StoredAnswer[]): AnswerFigures {
  const share = (holds: (answer: StoredAnswer) => boolean) => answers.filter(holds).length / answers.length;
  const tokens = answers.reduce((sum, answer) => sum + answer.tokens, 0);
  return {
    answers: answers.length,
    wellFormed: share(({isWellFormed}) => isWellFormed),
    truncated: share(({finishReason}) => finishReason === 'length' || finishReason === 'context'),
    failed: share(({failure}) => failure !== undefined),
    tokens,
    tokensPerAnswer: tokens / answers.length,
  };
}

function groupBy(
  questions: readonly Question[],
  valueIn: (question: Question) => string | number | undefined,
): [string, number[]][] {
  const places = new Map<string, number[]>();
  questions.forEach((question, q) => {
    const value = valueIn(question);
    if (value === undefined) return;
    const known = places.get(String(value));
    if (known) known.push(q);
    else places.set(String(value), [q]);
  });
  return [...places];
}

function pick<T>(values: readonly T[], places: readonly number[]): T[] {
  return places.map((q) => values[q] as T);
}
