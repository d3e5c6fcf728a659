import {createReadStream} from 'node:fs';
import {stat} from 'node:fs/promises';
import {z} from 'zod';
import {IlrError} from '../errors.js';
import {AppendedFile, jsonLine} from '../record/appended-file.js';
import {withIo} from '../record/files.js';
import type {EvalAnswer} from './report.js';

const answerSchema = z.looseObject({
  key: z.string(),
  text: z.string(),
  answer: z.string().optional(),
  isCorrect: z.boolean(),
  isWellFormed: z.boolean(),
  finishReason: z.enum(['stop', 'length', 'context']).optional(),
  tokens: z.int().nonnegative(),
  failure: z.string().optional(),
});

/** What scores are made of; the text stays on the disk. */
export type StoredAnswer = Pick<
  EvalAnswer,
  'answer' | 'isCorrect' | 'isWellFormed' | 'finishReason' | 'tokens' | 'failure'
>;

/** All answers that were ever given into one file of JSON lines, by their keys. */
export class AnswerStore {
  private last: Promise<void> = Promise.resolve();

  private constructor(
    private readonly lines: AppendedFile,
    private readonly answers: Map<string, StoredAnswer>,
  ) {}

  /**
  Reads what is there. A last line that was left half written is cut off.

  @throws IlrError `ILR_CHECKPOINT` naming a line that eval has not written; `ILR_IO` when the file cannot be read.
  */
  static async open(file: string): Promise<AnswerStore> {
    const answers = new Map<string, StoredAnswer>();
    let bytes = 0;
    let number = 0;
    for await (const line of wholeLines(file)) {
      number++;
      bytes += line.length + 1;
      const {key, ...answer} = parse(line, `${file}:${number}`);
      answers.set(key, answer);
    }
    const {opened: lines} = await AppendedFile.open(file, bytes);
    return new AnswerStore(lines, answers);
  }

  get(key: string): StoredAnswer | undefined {
    return this.answers.get(key);
  }

  /** On the disk when it returns; those whose key is there stay as they are. After a failure nothing more is written behind what may be half a line. */
  add(answers: readonly EvalAnswer[]): Promise<void> {
    this.last = this.last.then(() => this.write(answers));
    return this.last;
  }

  close(): Promise<void> {
    return this.lines.close();
  }

  private async write(answers: readonly EvalAnswer[]): Promise<void> {
    const fresh = answers.filter(({key}) => !this.answers.has(key));
    for (const answer of fresh) await this.lines.append(jsonLine(answer));
    await this.lines.sync();
    for (const {key, ...answer} of fresh) this.answers.set(key, slim(answer));
  }
}

function parse(line: Buffer, place: string): StoredAnswer & {readonly key: string} {
  try {
    const {key, ...answer} = answerSchema.parse(JSON.parse(line.toString('utf8')));
    return {key, ...slim(answer)};
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message;
    throw new IlrError(
      'ILR_CHECKPOINT',
      `${place}: expected an answer as eval writes it, got something else (${why}). Remove the line, or give another --output.`,
      {cause},
    );
  }
}

function slim({answer, isCorrect, isWellFormed, finishReason, tokens, failure}: StoredAnswer): StoredAnswer {
  return {answer, isCorrect, isWellFormed, finishReason, tokens, failure};
}

/** Lines that end with \n, alone: other separators may stand inside JSON text. */
export async function* wholeLines(file: string): AsyncGenerator<Buffer> {
  const isThere = await stat(file).then(
    () => true,
    () => false,
  );
  if (!isThere) return;
  let rest: Buffer[] = [];
  const chunks = createReadStream(file, {highWaterMark: 1 << 20}) as AsyncIterable<Buffer>;
  const iterator = chunks[Symbol.asyncIterator]();
  for (;;) {
    const {done, value: chunk} = await withIo('reading', file, () => iterator.next());
    if (done) return;
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      yield Buffer.concat([...rest, chunk.subarray(start, end)]);
      rest = [];
      start = end + 1;
    }
    rest.push(chunk.subarray(start));
  }
}
