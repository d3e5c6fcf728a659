import {Readable} from 'node:stream';
import {type CsvError, parse} from 'csv-parse';
import {IlrError} from '../errors.js';
import {readBytes} from './bytes.js';
import {Row} from './row.js';

const maxRecordBytes = 16 * 2 ** 20;

/** CSV (RFC 4180) with a header line of field names, UTF-8; every value is text. Tab-separated where the name says so. */
export async function* readCsv(file: string): AsyncGenerator<Row> {
  const parser = parse({
    bom: true,
    columns: (header: string[]) => checkHeader(file, header),
    delimiter: /\.tsv(\.gz)?$/i.test(file) ? '\t' : ',',
    info: true,
    max_record_size: maxRecordBytes,
    skip_empty_lines: true,
  });
  const source = Readable.from(readBytes(file));
  source.on('error', (error) => parser.destroy(error));
  source.pipe(parser);
  let number = 0;
  try {
    for await (const {record, info} of parser as AsyncIterable<{
      record: Record<string, string>;
      info: {lines: number};
    }>) {
      number++;
      yield new Row(file, number, `:${info.lines}`, record);
    }
  } catch (error) {
    if (IlrError.is(error)) throw error;
    const {message, lines} = error as CsvError & {lines?: number};
    throw new IlrError(
      'ILR_INVALID_DATA',
      `${file}${lines === undefined ? '' : `:${lines}`}: expected CSV, got: ${message}`,
      {
        cause: error,
      },
    );
  } finally {
    source.destroy();
  }
}

function checkHeader(file: string, header: readonly string[]): string[] {
  const names = header.map((name) => name.trim());
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new IlrError(
      'ILR_INVALID_DATA',
      `${file}:1: expected each field name once, got ${JSON.stringify(twice)} twice`,
    );
  return names;
}
