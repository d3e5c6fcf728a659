import test, {type ExecutionContext} from 'ava';
import {callFunction, partScore} from '../../src/reward/call.js';
import {type RemoteOptions, remoteReward} from '../../src/reward/remote.js';
import {rewardInput} from '../helpers/reward-input.js';
import {type Answer, answerJson, rewardServer} from '../helpers/reward-server.js';

/** Against a server on this machine that fails on purpose. */

const quick: RemoteOptions = {backoffMs: 1, timeoutMs: 5000};

async function outcomesOf(t: ExecutionContext, answer: Answer, options: RemoteOptions = {}, texts = ['a', 'b']) {
  const server = await rewardServer(t, answer);
  const reward = remoteReward(server.address, {...quick, ...options});
  const inputs = texts.map((text) => rewardInput(text));
  const outcomes = await callFunction(reward, partScore, inputs, {timeoutMs: 1});
  return {...server, outcomes};
}

const failuresOf = (outcomes: readonly object[]) => outcomes.map((outcome) => (outcome as {failure?: string}).failure);

test('a group goes out in one request, and each kind of grade comes back', async (t) => {
  const grades = [0.5, {isCorrect: true, isWellFormed: true, reward: 2, answer: '3'}, null, {error: 'no idea'}, 'high'];
  const texts = ['a', 'b', 'c', 'd', 'e'];
  const {posted, outcomes} = await outcomesOf(t, (_, response) => answerJson(response, {grades}), {}, texts);
  t.deepEqual(outcomes.slice(0, 3), [{score: 0.5}, {score: grades[1] as object}, {score: null}]);
  t.is(failuresOf(outcomes)[3], 'the server says: no idea');
  t.regex(failuresOf(outcomes)[4] ?? '', /a finite number.*from the server/);
  t.is(posted.length, 1);
  t.deepEqual(posted[0]?.body, {
    inputs: texts.map((text) => ({
      question: {id: 'q', text: '1+2=?', answer: '3'},
      text,
      finishReason: 'stop',
      tokens: 2,
      stage: 'solo',
    })),
  });
  t.is(posted[0]?.headers.authorization, undefined);
});

for (const status of [408, 429, 500, 503]) {
  test(`${status} is tried again, until it goes well`, async (t) => {
    const {posted, outcomes} = await outcomesOf(t, (_, response, attempt) =>
      attempt < 3 ? response.writeHead(status).end() : answerJson(response, {grades: [1, 0]}),
    );
    t.deepEqual(outcomes, [{score: 1}, {score: 0}]);
    t.is(posted.length, 3);
  });
}

test('a connection that breaks is tried again; what always breaks fails with the last reason, without the query', async (t) => {
  const {posted, outcomes, address} = await outcomesOf(t, (_, response) => response.destroy(), {retries: 2});
  t.is(posted.length, 3);
  for (const failure of failuresOf(outcomes)) {
    t.regex(failure ?? '', /score: the connection failed: .* \(3 attempts\)$/);
    t.true(failure?.startsWith(address.split('?')[0] as string));
    t.false(failure?.includes('hidden'));
  }
});

test('nobody there: the connection failed', async (t) => {
  const reward = remoteReward('http://127.0.0.1:1/', {...quick, retries: 1});
  const outcomes = await callFunction(reward, partScore, [rewardInput('a')], {timeoutMs: 1000});
  t.regex(failuresOf(outcomes)[0] ?? '', /127\.0\.0\.1:1\/: the connection failed: .*\(2 attempts\)/);
});

test('an answer that does not come, or not to its end, is late and tried again', async (t) => {
  const {posted, outcomes} = await outcomesOf(
    t,
    (_, response, attempt) => {
      if (attempt === 2) response.writeHead(200).write('{"grades": [');
      if (attempt === 3) answerJson(response, {grades: [1, 0]});
    },
    {timeoutMs: 1000},
  );
  t.deepEqual(outcomes, [{score: 1}, {score: 0}]);
  t.is(posted.length, 3);
});

test('a grade that is none costs itself alone', async (t) => {
  const good = {isCorrect: true, isWellFormed: true};
  const odd = [
    {...good, parts: null},
    {...good, parts: ''},
    {...good, parts: [1]},
    {...good, parts: {a: '1'}},
    {parts: 1},
  ];
  const texts = [...odd, good].map((_, i) => `${i}`);
  const {outcomes} = await outcomesOf(t, (_, response) => answerJson(response, {grades: [...odd, good]}), {}, texts);
  t.deepEqual(outcomes.at(-1), {score: good});
  for (const failure of failuresOf(outcomes).slice(0, -1))
    t.regex(failure ?? '', /from the server, got something else/);
});

for (const [what, answer, message] of [
  ['400', (_, response) => response.writeHead(400).end('secret words'), /: HTTP 400$/],
  ['another text than JSON', (_, response) => response.end('<html>'), /in JSON, got another text of 6 characters$/],
  ['too few grades', (_, response) => answerJson(response, {grades: [1]}), /with 2, got 1 grades/],
  ['no grades', (_, response) => answerJson(response, [1, 1]), /with 2, got none/],
  ['an endless answer', (_, response) => response.end(`"${'x'.repeat(200_000)}"`), /at most 98304 bytes, got more$/],
] satisfies [string, Answer, RegExp][]) {
  test(`${what} fails the completions, and is not tried again`, async (t) => {
    const {posted, outcomes} = await outcomesOf(t, answer);
    for (const failure of failuresOf(outcomes)) t.regex(failure ?? '', message);
    t.is(posted.length, 1);
  });
}

test('a redirect is not followed, so that a secret goes nowhere else', async (t) => {
  const other = await rewardServer(t, (_, response) => answerJson(response, {grades: [1, 1]}));
  const {posted, outcomes} = await outcomesOf(t, (_, response) =>
    response.writeHead(307, {location: other.address}).end(),
  );
  for (const failure of failuresOf(outcomes)) t.regex(failure ?? '', /HTTP 307: redirects are not followed/);
  t.is(posted.length, 1);
  t.is(other.posted.length, 0);
});

test('a secret goes along in its header, and into no message', async (t) => {
  const server = await rewardServer(t, ({headers}, response) => response.writeHead(200).end(JSON.stringify(headers)));
  const env = {JUDGE_KEY: 's3cret-key'};
  const failureOf = async (options: RemoteOptions) => {
    const reward = remoteReward(server.address, {...quick, ...options}, env);
    return failuresOf(await callFunction(reward, partScore, [rewardInput('a')], {timeoutMs: 1}))[0] ?? '';
  };
  for (const failure of [
    await failureOf({secretEnv: 'JUDGE_KEY'}),
    await failureOf({secretEnv: 'JUDGE_KEY', secretHeader: 'x-key'}),
  ]) {
    t.regex(failure, /got none/);
    t.false(failure.includes('s3cret'));
  }
  t.is(server.posted[0]?.headers.authorization, 'Bearer s3cret-key');
  t.is(server.posted[1]?.headers['x-key'], 's3cret-key');
  t.is(server.posted[1]?.headers.authorization, undefined);
});

for (const [what, address, options, env, message] of [
  ['a secret that is not there', 'https://judge.example/', {secretEnv: 'KEY'}, {}, /KEY .*got none/],
  ['a secret of two lines', 'https://judge.example/', {secretEnv: 'KEY'}, {KEY: 'a\r\nb: c'}, /got another text/],
  ['a secret in the clear', 'http://judge.example/', {secretEnv: 'KEY'}, {KEY: 'a'}, /https:\/\/ for judge\.example/],
  ['a password in the address', 'https://me:pw@judge.example/', {}, {}, /without a name or password/],
  ['no address', 'https://', {}, {}, /address of a reward server/],
] satisfies [string, string, RemoteOptions, NodeJS.ProcessEnv, RegExp][]) {
  test(`${what} is refused ahead of any request`, (t) => {
    const error = t.throws(() => remoteReward(address, options, env), {code: 'ILR_INVALID_CONFIG', message});
    t.false(error?.message.includes('pw'));
  });
}

test('an abort ends a request under way, and the wait before the next', async (t) => {
  for (const answer of [() => {}, (_: unknown, response: {destroy(): unknown}) => response.destroy()]) {
    const server = await rewardServer(t, answer as Answer);
    const abort = new AbortController();
    const reward = remoteReward(server.address, {timeoutMs: 60_000, backoffMs: 60_000});
    const calling = callFunction(reward, partScore, [rewardInput('a')], {timeoutMs: 1, signal: abort.signal});
    while (server.posted.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    abort.abort();
    await t.throwsAsync(calling, {code: 'ILR_ABORTED'});
  }
});

test('no more requests at once than asked for', async (t) => {
  let open = 0;
  let most = 0;
  const server = await rewardServer(t, (_, response) => {
    most = Math.max(most, ++open);
    setTimeout(() => {
      open--;
      answerJson(response, {grades: [1]});
    }, 20);
  });
  const reward = remoteReward(server.address, {...quick, concurrency: 2});
  const calls = Array.from({length: 7}, () => callFunction(reward, partScore, [rewardInput('a')], {timeoutMs: 1}));
  t.deepEqual(
    (await Promise.all(calls)).flat(),
    Array.from({length: 7}, () => ({score: 1})),
  );
  t.is(most, 2);
});
