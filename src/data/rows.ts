import {readCsv} from './csv.js';
import {readJson, readJsonLines} from './json.js';
import {readParquet} from './parquet.js';
import type {Row} from './row.js';

/**
The rows of a file, in order, by its ending: `.json`, `.csv`, `.tsv` (each also with `.gz`), `.parquet`; any other file is JSON lines.

@throws IlrError `ILR_INVALID_DATA` that names file and line or row; `ILR_IO` when it cannot be read.
*/
export function readRows(file: string): AsyncGenerator<Row> {
  const ending = /\.(json|csv|tsv|parquet)(?:\.gz)?$/i.exec(file)?.[1]?.toLowerCase();
  if (ending === 'json') return readJson(file);
  if (ending === 'csv' || ending === 'tsv') return readCsv(file);
  return ending === 'parquet' ? readParquet(file) : readJsonLines(file);
}
