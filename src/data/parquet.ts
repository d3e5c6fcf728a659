import {Worker} from 'node:worker_threads';
import {IlrError, isErrorCode, messageOf} from '../errors.js';
import type {ParquetAnswer} from './parquet-worker.js';
import {Row} from './row.js';

const heapMegabytes = 2048;
/** A row group of the largest data set takes some seconds. */
const maxGroupSeconds = 60;

/**
The rows of a Parquet file. They are read in a worker with a heap of its own: some bytes of a hostile file can stand for billions of values, and
memory that runs out in this thread would end the process.
*/
export async function* readParquet(file: string): AsyncGenerator<Row> {
  const worker = new Worker(new URL('./parquet-worker.js', import.meta.url), {
    workerData: file,
    resourceLimits: {maxOldGenerationSizeMb: heapMegabytes},
    stderr: true, // what V8 says when it runs out of memory
  });
  // hyparquet may reject for several columns, and nobody waits for the later ones.
  worker.on('error', () => {});
  try {
    let number = 0;
    for (;;) {
      const answer = await nextGroup(file, worker);
      if ('isDone' in answer) return;
      if ('code' in answer)
        throw new IlrError(isErrorCode(answer.code) ? answer.code : 'ILR_INVALID_DATA', answer.message);
      for (const values of answer.rows) {
        number++;
        yield new Row(file, number, `: row ${number}`, values);
      }
    }
  } finally {
    await worker.terminate();
  }
}

function nextGroup(file: string, worker: Worker): Promise<ParquetAnswer> {
  return new Promise((resolve, reject) => {
    const refuse = (got: string, cause?: unknown) => {
      settle();
      reject(new IlrError('ILR_INVALID_DATA', `${file}: expected Parquet, got ${got}`, {cause}));
    };
    const onMessage = (answer: ParquetAnswer) => {
      settle();
      resolve(answer);
    };
    const onError = (error: unknown) =>
      (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY'
        ? refuse(`a row group that does not fit in ${heapMegabytes} MB`, error)
        : refuse(messageOf(error), error);
    const onExit = () => refuse('a file that ended its reader');
    const timer = setTimeout(
      () => refuse(`a row group that was not read within ${maxGroupSeconds} seconds`),
      1000 * maxGroupSeconds,
    );
    const settle = () => {
      clearTimeout(timer);
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
    };
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    worker.postMessage('next');
  });
}
