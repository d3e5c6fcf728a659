import {IlrError} from '../errors.js';
import type {Question} from '../types.js';
import type {Row} from './row.js';

export interface QuestionFile {
  readonly questions: readonly Question[];
  /** What is odd about the file but does not stop a run. */
  readonly warnings: readonly string[];
  /** How many rows were read; those that are no questions for us were left out, with a warning. */
  readonly numRows: number;
}

/** What a row says; a question without an answer is left out. */
export interface Reading {
  readonly question: Question;
  readonly noAnswer: () => IlrError;
  readonly hasOddLevel?: boolean;
}

/** MATH has a row with an empty `\boxed{}`: such rows are left out while they are rare; more of them means a wrong `data.answer`. */
const maxUnansweredShare = 0.01;

/** Gathers the questions of one file, or of the files of one set. */
export class Collector {
  private readonly questions: Question[] = [];
  private readonly rowOfId = new Map<string, Row>();
  private readonly unanswered: IlrError[] = [];
  private readonly oddLevels: Row[] = [];
  private readonly leftOut = new Map<string, number>();
  private numRows = 0;

  add(row: Row, {question, noAnswer, hasOddLevel}: Reading): void {
    this.numRows++;
    const earlier = this.rowOfId.get(question.id);
    if (earlier) row.fail('each id once', `${JSON.stringify(question.id)}, which ${earlier.place} has already`);
    this.rowOfId.set(question.id, row);
    if (hasOddLevel) this.oddLevels.push(row);
    if (question.answer.trim() !== '' || question.tests !== undefined) this.questions.push(question);
    else this.unanswered.push(noAnswer());
  }

  /** @param reason - as a warning says it: `whose question needs a picture`. */
  leaveOut(reason: string): void {
    this.numRows++;
    this.leftOut.set(reason, (this.leftOut.get(reason) ?? 0) + 1);
  }

  /** @param source - the file, or what it is called. */
  finish(source: string): QuestionFile {
    const {questions, unanswered, numRows} = this;
    if (numRows === 0)
      throw new IlrError('ILR_INVALID_DATA', `${source}: expected at least one question, got an empty file`);
    if (unanswered[0] && unanswered.length > maxUnansweredShare * numRows) throw unanswered[0];
    return {questions, warnings: this.warnings(source), numRows};
  }

  private warnings(source: string): string[] {
    const {unanswered, oddLevels} = this;
    const warnings: string[] = [];
    if (unanswered[0]) warnings.push(`${unanswered[0].message}; ${unanswered.length} such questions were left out`);
    if (oddLevels[0])
      warnings.push(`${oddLevels[0].problem('a level', 'none').message}; ${oddLevels.length} questions go without`);
    for (const [reason, count] of this.leftOut)
      warnings.push(`${source}: left out ${count} of ${this.numRows} rows ${reason}`);
    return warnings;
  }
}
