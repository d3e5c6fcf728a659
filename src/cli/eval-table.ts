import type {EvalReport} from '../eval/report.js';
import {comparisonTables, resultTables, type Table} from '../eval/tables.js';
import {printable} from './terminal.js';

/** Results, and comparisons where there are some; by level and subject they are in the files alone. */
export function terminalTables(report: EvalReport): string {
  const results = resultTables(report);
  const [only] = results;
  const tables = only && results.length === 1 ? [textOf(only, false)] : results.map((table) => textOf(table, true));
  return [...tables, ...comparisonTables(report).map((table) => textOf(table, true))].join('\n');
}

function textOf({title, columns, rows}: Table, isTitled: boolean): string {
  const cells = [columns, ...rows].map((row) => row.map(oneLine));
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => [...(row[column] ?? '')].length)));
  const lines = cells.map((row) =>
    row
      .map((text, column) => text + ' '.repeat((widths[column] as number) - [...text].length))
      .join('  ')
      .trimEnd(),
  );
  return `${[...(isTitled ? [oneLine(title)] : []), ...lines].join('\n')}\n`;
}

function oneLine(text: string): string {
  return printable(text).replaceAll(/\s+/g, ' ');
}
