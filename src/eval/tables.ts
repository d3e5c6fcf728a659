import type {Interval} from '../statistics.js';
import type {Breakdown, Comparison, EvalReport, EvalResult} from './report.js';

/** A report as tables of text, in percent; Markdown and the terminal show the same. Nothing is escaped yet. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Of each benchmark and mode. */
export function resultTables(report: EvalReport): Table[] {
  return report.benchmarks.flatMap((benchmark) =>
    report.settings.modes.flatMap((mode) => {
      const results = report.results.filter((result) => result.benchmark === benchmark.name && result.mode === mode);
      return results.length === 0 ? [] : [resultTable(`${benchmark.name}, ${mode}`, results)];
    }),
  );
}

function resultTable(title: string, results: readonly EvalResult[]): Table {
  const names = [...new Set(results.flatMap(({scores}) => scores.map(({name}) => name)))];
  return {
    title,
    columns: [
      'model',
      'questions',
      ...names.map((name) => `${name} % [95 %]`),
      'well-formed %',
      'cut %',
      'failed %',
      'tokens/answer',
    ],
    rows: results.map((result) => [
      result.model,
      String(result.questions),
      ...names.map((name) => intervalText(result.scores.find((score) => score.name === name)?.interval)),
      ...figureTexts(result),
    ]),
  };
}

/** Of the greedy answers. */
function figureTexts({greedy}: EvalResult): string[] {
  if (greedy === undefined) return ['-', '-', '-', '-'];
  const {wellFormed, truncated, failed, tokensPerAnswer} = greedy;
  return [...[wellFormed, truncated, failed].map(percent), tokensPerAnswer.toFixed(1)];
}

export function breakdownTables(report: EvalReport): Table[] {
  return report.benchmarks.flatMap(({name}) =>
    (['levels', 'subjects'] as const).flatMap((kind) => {
      const results = report.results.filter((result) => result.benchmark === name && result[kind].length > 0);
      return results.length === 0 ? [] : [breakdownTable(`${name}, by ${kind.slice(0, -1)}`, kind, results)];
    }),
  );
}

function breakdownTable(title: string, kind: 'levels' | 'subjects', results: readonly EvalResult[]): Table {
  const rows = results.flatMap((result) =>
    result[kind].map((part): {result: EvalResult; part: Breakdown} => ({result, part})),
  );
  const names = [...new Set(rows.flatMap(({part}) => part.scores.map(({name}) => name)))];
  return {
    title,
    columns: ['mode', 'model', kind.slice(0, -1), 'questions', ...names.map((name) => `${name} % [95 %]`)],
    rows: rows.map(({result, part}) => [
      result.mode,
      result.model,
      part.value,
      String(part.questions),
      ...names.map((name) => intervalText(part.scores.find((score) => score.name === name)?.interval)),
    ]),
  };
}

/** One table for each family of tests. */
export function comparisonTables({comparisons}: EvalReport): Table[] {
  const families = [...new Set(comparisons.map(({family}) => family))];
  return families.map((family) => {
    const own = comparisons.filter((comparison) => comparison.family === family);
    return {
      title: `${family}: ${own.length} ${own.length === 1 ? 'test' : 'tests'}, ${testWords[own[0]?.test ?? 'mcnemar']}`,
      columns: ['benchmark', 'first', 'second', 'second − first, points [95 %]', 'better on', 'p', 'p (Holm)'],
      rows: own.map(comparisonRow),
    };
  });
}

const testWords = {mcnemar: 'McNemar’s exact test', permutation: 'exact paired permutation test'};

function comparisonRow(comparison: Comparison): string[] {
  const {benchmark, first, second, difference, firstHigher, secondHigher, p, adjustedP} = comparison;
  return [
    benchmark,
    `${first.model}, ${first.mode}`,
    `${second.model}, ${second.mode}`,
    `${signed(difference.mean)} [${signed(difference.low)}, ${signed(difference.high)}]`,
    `${firstHigher} : ${secondHigher}`,
    pText(p),
    pText(adjustedP),
  ];
}

export function intervalText(interval: Interval | undefined): string {
  if (interval === undefined) return '-';
  return `${percent(interval.mean)} [${percent(interval.low)}, ${percent(interval.high)}]`;
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

function signed(share: number): string {
  const text = percent(Math.abs(share));
  return Number(text) === 0 ? text : `${share < 0 ? '−' : '+'}${text}`;
}

function pText(p: number): string {
  return p < 0.0001 ? '< 0.0001' : p.toFixed(4);
}
