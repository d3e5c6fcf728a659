import {Collector, type QuestionFile} from './collect.js';
import {type QuestionFormat, toQuestion} from './mapping.js';
import {readRows} from './rows.js';

export type {QuestionFile} from './collect.js';
export type {QuestionFormat} from './mapping.js';

/**
Reads a question file: JSON lines, JSON, CSV or Parquet, by its ending. A question without an id gets its line number, or its row's number where the
file has no lines.

@throws IlrError `ILR_INVALID_DATA` naming file and place on a row that is not a question, an id that stands twice, or a file without questions, or
when more than a hundredth of the answer fields hold no answer in the wanted form (fewer are left out with a warning); `ILR_IO` when it cannot be read.
*/
export async function readQuestions(file: string, format: QuestionFormat): Promise<QuestionFile> {
  const collector = new Collector();
  for await (const row of readRows(file)) collector.add(row, toQuestion(row, format));
  return collector.finish(file);
}
