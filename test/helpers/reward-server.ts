import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import type {ExecutionContext} from 'ava';

export interface Posted {
  readonly headers: IncomingMessage['headers'];
  readonly body: {readonly inputs: readonly {readonly text: string; readonly question: {readonly answer: string}}[]};
}

export type Answer = (posted: Posted, response: ServerResponse, attempt: number) => unknown;

/** A server on this machine that answers as the test says; `attempt` counts from 1. It ends with the test. */
export async function rewardServer(t: ExecutionContext, answer: Answer) {
  const posted: Posted[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    posted.push({headers: request.headers, body: JSON.parse(text)});
    answer(posted.at(-1) as Posted, response, posted.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return {posted, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/score?key=hidden`};
}

export function answerJson(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, {'content-type': 'application/json'}).end(JSON.stringify(value));
}
