import type {EvalReport, ReportBenchmark} from './report.js';
import {breakdownTables, comparisonTables, resultTables, type Table} from './tables.js';

/** The report as Markdown, for a page on a code host; what comes from models and files is escaped. */
export function toMarkdown(report: EvalReport): string {
  const {settings, versions} = report;
  const sections = [
    '# Evaluation',
    [
      `Seed ${settings.seed}; ${settings.samples} sampled answers per question beside the greedy one; ` +
        `${Math.round(100 * settings.level)} % bootstrap intervals over questions (${settings.resamples} resamples).`,
      ...(settings.strategy ? [`Strategies of idea3: ${settings.strategy}.`] : []),
      ...(settings.rounds === undefined ? [] : [`Rounds of a debate after the first answers: ${settings.rounds}.`]),
      `What each number means: docs/eval.md of ilr-native. ${Object.entries(versions)
        .map(([name, version]) => `${escapeText(name)} ${escapeText(version)}`)
        .join(', ')}.`,
    ].join('\n'),
    ...titled('## Results', resultTables(report)),
    ...titled('## Comparisons', comparisonTables(report)),
    ...titled('## By level and subject', breakdownTables(report)),
    '## Benchmarks',
    tableText(benchmarkTable(report.benchmarks)),
    '## Models',
    tableText(modelTable(report)),
  ];
  return `${sections.join('\n\n')}\n`;
}

function titled(title: string, tables: readonly Table[]): string[] {
  return tables.length === 0
    ? []
    : [title, ...tables.flatMap((table) => [`### ${escapeText(table.title)}`, tableText(table)])];
}

function benchmarkTable(benchmarks: readonly ReportBenchmark[]): Table {
  return {
    title: '',
    columns: ['benchmark', 'questions', 'left out: gold cannot be graded', 'reward', 'SHA-256'],
    rows: benchmarks.map(({name, questions, leftOut, reward, identity}) => [
      name,
      String(questions),
      leftOut.length === 0
        ? '0'
        : `${leftOut.length} (${leftOut
            .slice(0, 5)
            .map(({id}) => id)
            .join(', ')}${leftOut.length > 5 ? ', …' : ''})`,
      reward,
      identity.slice(0, 16),
    ]),
  };
}

function modelTable({models}: EvalReport): Table {
  return {
    title: '',
    columns: ['model', 'folder', 'SHA-256', 'dtype', 'device', 'temperature', 'new tokens', 'prompt', 'system prompt'],
    rows: models.map((model) => [
      model.name,
      model.folder,
      model.identity.slice(0, 16),
      model.dtype,
      model.device,
      String(model.temperature),
      String(model.maxNewTokens),
      model.prompt,
      model.system ?? '',
    ]),
  };
}

function tableText({columns, rows}: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escapeText).join(' | ')} |`;
  return [line(columns), `|${columns.map(() => ' --- |').join('')}`, ...rows.map(line)].join('\n');
}

/** No markup, no HTML, no link, no mention, no line break, nothing that hides or turns text; intervals and names stay readable. */
function escapeText(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .replaceAll(/[\\`*_{}<>#|~$&]|\](?=[([:])|(?<=:)\/(?=\/)|(?<=www)\.|@(?=[a-z])/gi, '\\$&');
}
