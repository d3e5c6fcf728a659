import test from 'ava';
import {compare, meanDifferences} from '../../src/demo/compare.js';
import type {DemoResult} from '../../src/demo/run-demo.js';
import {resultLines, table} from '../../src/demo/table.js';
import type {SoloEvaluation} from '../../src/types.js';

const ids = Array.from({length: 100}, (_, i) => `q${i}`);
/** 1 for the first `correct` of 100 questions. */
const scores = (correct: number) => ids.map((_, i) => (i < correct ? 1 : 0));
const solo = (agent: string, greedy: number, sampled: number): SoloEvaluation => ({
  agent,
  questionIds: ids,
  greedy: scores(greedy),
  sampled: scores(sampled),
  wellFormed: 0.99,
});
const effect = (agent: string, own: number, fusion: number, copied: number) => ({
  agent,
  solo: scores(own),
  fusion: scores(fusion),
  copied: scores(copied),
});

const result: DemoResult = {
  seed: 0,
  output: 'runs/demo',
  questionIds: ids,
  before: [solo('qwen', 40, 45), solo('llama', 50, 50)],
  after: [solo('qwen', 90, 70), solo('llama', 50, 55)],
  dialoguesBefore: [effect('qwen', 40, 80, 40), effect('llama', 50, 70, 55)],
  dialoguesAfter: [effect('qwen', 90, 95, 90), effect('llama', 50, 90, 50)],
  cooperative: [0.25, 0.5],
  ranking: {parseRate: 0.9, levelCorrelation: 0.8},
  generatedTokens: [1000, 1100],
  seconds: {warmStart: 60, ilr: 40, total: 110},
};

test('columns are as wide as their widest cell, and numbers stand to the right', (t) => {
  t.deepEqual(
    table(
      ['agent', 'answers', 'after'],
      [
        ['qwen', 'greedy', '9.0 %'],
        ['', 'sampled', '100.0 %'],
      ],
    ),
    ['  agent  answers    after', '  qwen   greedy     9.0 %', '         sampled  100.0 %'],
  );
});

test('the table shows each agent before and after, greedy and sampled, with its gain and interval', (t) => {
  const lines = resultLines(result);
  t.regex(lines[0] as string, /100 questions/);
  // 50 of 100 questions gained: standard deviation of the mean 5 points, so about 50 ± 10.
  const [, , mean, low, high] =
    (lines[2] as string).match(/qwen\s+greedy\s+40\.0 %\s+90\.0 %(\s+)(\S+) \[(\S+), (\S+)\]/) ?? [];
  t.is(mean, '+50.0');
  t.true(Math.abs(Number(low) - 40) <= 2 && Math.abs(Number(high) - 60) <= 2);
  t.regex(lines[3] as string, /^ +sampled +45\.0 % +70\.0 % +\+25\.0/);
  t.regex(lines[4] as string, /llama +greedy +50\.0 % +50\.0 % +0\.0 \[0\.0, 0\.0\]/);
});

test('the table shows solo beside fusion and the control, the modes and the rankings', (t) => {
  const text = resultLines(result).join('\n');
  t.regex(text, /qwen +before +40\.0 % +80\.0 % +40\.0 % +\+40\.0 \[/);
  t.regex(text, /llama +after +50\.0 % +90\.0 % +50\.0 % +\+40\.0 \[/);
  t.regex(text, /qwen 25\.0 % cooperative, 75\.0 % competitive; llama 50\.0 % cooperative/);
  t.regex(text, /90\.0 % of them parsed; rank correlation with the level 0\.80/);
  t.notRegex(text, /GRPO/);
});

test('the comparison is in pairs, both agents together, and says who is ahead only when it is', (t) => {
  const grpo = {after: [solo('qwen', 95, 75), solo('llama', 60, 55)], generatedTokens: [1001, 1099]};
  t.deepEqual(
    meanDifferences(result.after, grpo.after, 'greedy').slice(88, 96),
    [0, 0, -0.5, -0.5, -0.5, -0.5, -0.5, 0],
  );
  const comparison = compare({...result, grpo});
  t.true(Math.abs((comparison?.mean.greedy.mean ?? 0) + 0.075) < 1e-12);
  t.is(comparison?.agents[1]?.sampled.difference.mean, 0);
  t.regex(resultLines({...result, grpo}).join('\n'), /greedy: ILR − GRPO = −7\.5 .*GRPO is ahead here/);
  const equal = {...grpo, after: result.after};
  t.regex(resultLines({...result, grpo: equal}).join('\n'), /0\.0 \[0\.0, 0\.0\] points: no difference/);
  t.is(compare(result), undefined);
});
