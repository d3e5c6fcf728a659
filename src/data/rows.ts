import {readJson, readJsonLines} from './json.js';
import type {Row} from './row.js';

/**
The rows of a file, in order, by its ending: `.json`, `.csv`, `.tsv` (each also with `.gz`), `.parquet`; any other file is JSON lines.

@throws IlrError `ILR_INVALID_DATA` that names file and line or row; `ILR_IO` when it cannot be read.
*/
export async function* readRows(file: string): AsyncGenerator<Row> {
  // Readers that few commands need are loaded with the first file of their kind.
  switch (/\.(json|csv|tsv|parquet)(?:\.gz)?$/i.exec(file)?.[1]?.toLowerCase()) {
    case 'json':
      return yield* readJson(file);
    case 'csv':
    case 'tsv':
      return yield* (await import('./csv.js')).readCsv(file);
    case 'parquet':
      return yield* (await import('./parquet.js')).readParquet(file);
    default:
      return yield* readJsonLines(file);
  }
}
