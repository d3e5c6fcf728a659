import type {EvalReport} from '../eval/report.js';
import {comparisonTables, resultTables, type Table} from '../eval/tables.js';
import {printable} from './terminal.js';

/** Of a family that does not fit a screen, the others are in the files. */
const shownComparisons = 12;

/** Results, and comparisons where there are some; by level and subject they are in the files alone. */
export function terminalTables(report: EvalReport): string {
  const results = resultTables(report).map(withoutZeros);
  const [only] = results;
  const tables = only && results.length === 1 ? [textOf(only, false)] : results.map((table) => textOf(table, true));
  return [...tables, ...comparisonTables(report).map(comparisonText)].join('\n');
}

/** Without the columns of what went wrong where nothing did: lines are long. */
function withoutZeros({title, columns, rows}: Table): Table {
  const isShown = columns.map(
    (name, column) =>
      !['cut %', 'failed %'].includes(name) || rows.some((row) => !['0.0', '-'].includes(row[column] ?? '')),
  );
  const shown = (row: readonly string[]) => row.filter((_, column) => isShown[column]);
  return {title, columns: shown(columns), rows: rows.map(shown)};
}

function comparisonText(table: Table): string {
  const more = table.rows.length - shownComparisons;
  if (more <= 1) return textOf(table, true);
  return `${textOf({...table, rows: table.rows.slice(0, shownComparisons)}, true)}… and ${more} more, in report.md\n`;
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
