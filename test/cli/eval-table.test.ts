import test from 'ava';
import {terminalTables} from '../../src/cli/eval-table.js';
import type {Comparison, EvalReport, EvalResult} from '../../src/eval/report.js';

const interval = (mean: number) => ({mean, low: mean - 0.1, high: mean + 0.1});
const figures = {answers: 10, wellFormed: 0.9, truncated: 0.1, failed: 0, tokens: 125, tokensPerAnswer: 12.5};
const result = (model: string, own: Partial<EvalResult> = {}): EvalResult => ({
  benchmark: 'sums',
  mode: 'solo',
  model,
  isVote: false,
  questions: 10,
  scores: [{name: 'greedy', interval: interval(0.5)}],
  greedy: figures,
  levels: [],
  subjects: [],
  ...own,
});
const comparison: Comparison = {
  family: 'modes, greedy',
  benchmark: 'sums',
  first: {model: 'ann', mode: 'solo'},
  second: {model: 'ann', mode: 'debate'},
  score: 'greedy',
  test: 'mcnemar',
  questions: 10,
  difference: {mean: -0.2, low: -0.4, high: 0},
  firstHigher: 3,
  secondHigher: 1,
  p: 0.00001,
  adjustedP: 0.625,
};
const reportOf = (results: readonly EvalResult[], own: Partial<EvalReport> = {}): EvalReport => ({
  format: 1,
  versions: {},
  settings: {seed: 0, modes: ['solo', 'debate'], samples: 0, k: [], level: 0.95, resamples: 10},
  models: [],
  benchmarks: [{name: 'sums', reward: 'numeric', questions: 10, identity: '', leftOut: []}],
  results,
  comparisons: [],
  ...own,
});

test('one benchmark in one mode is one table without a title', (t) => {
  t.is(
    terminalTables(reportOf([result('ann'), result('bob\nbob')])),
    [
      'model    questions  greedy % [95 %]    well-formed %  cut %  tokens/answer',
      'ann      10         50.0 [40.0, 60.0]  90.0           10.0   12.5',
      'bob bob  10         50.0 [40.0, 60.0]  90.0           10.0   12.5',
      '',
    ].join('\n'),
  );
});

test('several tables have titles, a vote has no figures, and comparisons follow by family', (t) => {
  const vote = result('vote', {mode: 'debate', isVote: true, greedy: undefined});
  const text = terminalTables(
    reportOf([result('ann'), vote], {
      comparisons: [comparison],
    }),
  );
  t.regex(text, /^sums, solo\nmodel/);
  t.regex(text, /\n\nsums, debate\nmodel .*\nvote {3}10 {9}50\.0 \[40\.0, 60\.0\] {2}- /);
  t.regex(text, /\nmodes, greedy: 1 test, McNemar’s exact test\n/);
  t.regex(text, /\nsums +ann, solo +ann, debate +−20\.0 \[−40\.0, 0\.0\] +3 : 1 +< 0\.0001 +0\.6250\n$/);
});

test('failures have a column where there are some, and of many comparisons the first are shown', (t) => {
  const comparisons = Array.from({length: 15}, () => comparison);
  const text = terminalTables(reportOf([result('ann', {greedy: {...figures, failed: 0.25}})], {comparisons}));
  t.regex(text, /failed %.*\nann .* 25\.0 /);
  t.is(text.match(/\nsums /g)?.length, 12);
  t.regex(text, /modes, greedy: 15 tests[\s\S]*\n… and 3 more, in report\.md\n$/);
});
