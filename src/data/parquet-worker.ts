import {parentPort, workerData} from 'node:worker_threads';
import {IlrError, messageOf} from '../errors.js';
import {readGroups} from './parquet-groups.js';
import type {Values} from './row.js';

/** One of these answers each message. */
export type ParquetAnswer =
  | {readonly rows: readonly Values[]}
  | {readonly isDone: true}
  | {readonly code: string; readonly message: string};

const port = parentPort;
if (port !== null) {
  const groups = readGroups(workerData as string);
  port.on('message', async () => port.postMessage(await next(groups)));
}

async function next(groups: AsyncGenerator<Values[]>): Promise<ParquetAnswer> {
  try {
    const {value, done} = await groups.next();
    return done ? {isDone: true} : {rows: value};
  } catch (error) {
    return {code: IlrError.is(error) ? error.code : 'ILR_INVALID_DATA', message: messageOf(error)};
  }
}
