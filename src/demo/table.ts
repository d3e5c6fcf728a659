import {type Interval, mean, pairedInterval} from '../statistics.js';
import type {SoloEvaluation} from '../types.js';
import {compare, type Measured} from './compare.js';
import type {DialogueEffect} from './dialogues.js';
import type {DemoResult} from './run-demo.js';

/** What came of a demo, for a person: lines of at most 100 characters. */
export function resultLines(result: DemoResult): string[] {
  return [...soloLines(result), '', ...dialogueLines(result), '', ...strategyLines(result), ...comparisonLines(result)];
}

function soloLines({before, after, questionIds, seed}: DemoResult): string[] {
  const rows = before.flatMap((first, i) => {
    const last = after[i] as SoloEvaluation;
    return (['greedy', 'sampled'] as const).map((kind) => [
      kind === 'greedy' ? first.agent : '',
      kind,
      percent(mean(first[kind])),
      percent(mean(last[kind])),
      points(pairedInterval(first[kind], last[kind], {seed})),
    ]);
  });
  return [
    `Each agent alone, on ${questionIds.length} questions that nobody trained on`,
    ...table(['agent', 'answers', 'before', 'after', 'gain in points [95 %]'], rows),
    `Well-formed answers before training: ${before.map(({agent, wellFormed}) => `${agent} ${percent(wellFormed)}`).join(', ')}`,
  ];
}

function dialogueLines({dialoguesBefore, dialoguesAfter, seed}: DemoResult): string[] {
  const rowOf = (when: string) => (effect: DialogueEffect) => [
    effect.agent,
    when,
    percent(mean(effect.solo)),
    percent(mean(effect.fusion)),
    percent(mean(effect.copied)),
    points(pairedInterval(effect.copied, effect.fusion, {seed})),
  ];
  return [
    'In dialogue with the other, greedy. Control: the peer’s idea replaced by a copy of the agent’s own',
    ...table(
      ['agent', 'training', 'own idea', 'fusion', 'control', 'the peer’s part in points [95 %]'],
      [...dialoguesBefore.map(rowOf('before')), ...dialoguesAfter.map(rowOf('after'))],
    ),
  ];
}

function strategyLines({before, cooperative, ranking}: DemoResult): string[] {
  const shares = before.map(
    ({agent}, i) =>
      `${agent} ${percent(cooperative[i] as number)} cooperative, ${percent(1 - (cooperative[i] as number))} competitive`,
  );
  return [`Dialogues in training: ${shares.join('; ')}`, ...(ranking === undefined ? [] : [rankingLine(ranking)])];
}

function rankingLine({parseRate, levelCorrelation}: NonNullable<DemoResult['ranking']>): string {
  const correlation =
    levelCorrelation === undefined ? '' : `; rank correlation with the level ${levelCorrelation.toFixed(2)}`;
  return `Difficulty by the agents’ own rankings: ${percent(parseRate)} of them parsed${correlation}`;
}

function comparisonLines(result: DemoResult): string[] {
  const comparison = compare(result);
  if (comparison === undefined) return [];
  const row = (agent: string, kind: string, measured: Measured) => [
    agent,
    kind,
    percent(measured.before),
    percent(measured.ilr),
    percent(measured.grpo),
    points(measured.difference),
  ];
  const rows = comparison.agents.flatMap(({agent, greedy, sampled}) => [
    row(agent, 'greedy', greedy),
    row('', 'sampled', sampled),
  ]);
  const tokens = comparison.agents.map(({agent, generatedTokens: {ilr, grpo}}) => `${agent} ${ilr} and ${grpo}`);
  return [
    '',
    'ILR against each agent alone (GRPO), from the same start',
    ...table(['agent', 'answers', 'before', 'ILR', 'GRPO', 'ILR − GRPO in points [95 %]'], rows),
    ...(['greedy', 'sampled'] as const).map((kind) => {
      const difference = comparison.mean[kind];
      return `Both agents, ${kind}: ILR − GRPO = ${points(difference)} points: ${verdictOf(difference)}`;
    }),
    `Generated tokens, ILR and GRPO: ${tokens.join('; ')}`,
  ];
}

function verdictOf({low, high}: Interval): string {
  if (low > 0) return 'ILR is ahead here';
  return high < 0 ? 'GRPO is ahead here' : 'no difference that can be told from chance';
}

/** Columns as wide as their widest cell; numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]) =>
    `  ${row.map((cell, column) => (column < 2 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number))).join('  ')}`.trimEnd();
  return [line(head), ...rows.map(line)];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** `+46.3 [+42.3, +50.3]` */
function points({mean: value, low, high}: Interval): string {
  return `${signed(value)} [${signed(low)}, ${signed(high)}]`;
}

function signed(share: number): string {
  const text = (100 * share).toFixed(1);
  if (Number(text) === 0) return '0.0';
  return share < 0 ? text.replace('-', '−') : `+${text}`;
}
