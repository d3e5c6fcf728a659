import test from 'ava';
import type {IlrError} from '../../src/errors.js';
import {codeReward} from '../../src/reward/code-reward.js';
import type {CodeTests, Question, RewardFunction} from '../../src/types.js';
import {sandboxTest} from '../helpers/sandbox.js';

const question = (id: string, tests?: CodeTests): Question => ({id, text: '?', answer: '', ...(tests && {tests})});
const square = question('square', {
  asserts: ['assert f(1) == 1', 'assert f(2) == 4', 'assert f(3) == 9', 'assert f(-1) == 1'],
});
const vacuous = question('vacuous', {asserts: ['assert f(1) == f(1)']});
const untested = question('untested');

function grade(reward: RewardFunction, text: string, asked = square, finishReason: 'stop' | 'length' = 'stop') {
  return reward({question: asked, text, completion: {finishReason, ids: Int32Array.of(1)}});
}

sandboxTest(
  'code: the reward is the share of tests passed; all of them is correct, a program is well-formed',
  async (t) => {
    const reward = codeReward();
    await reward.prepare?.([square, vacuous, untested]);
    t.deepEqual(await grade(reward, '```python\ndef f(x): return x * x\n```'), {
      isCorrect: true,
      isWellFormed: true,
      reward: 1,
    });
    t.deepEqual(await grade(reward, '```python\ndef f(x): return x ** 3\n```'), {
      isCorrect: false,
      isWellFormed: true,
      reward: 0.25,
    });
    t.deepEqual(await grade(reward, '```python\ndef f(x): return\n```'), {
      isCorrect: false,
      isWellFormed: true,
      reward: 0,
    });
    t.deepEqual(await grade(reward, 'It is the square.'), {isCorrect: false, isWellFormed: false});
    t.deepEqual(await grade(reward, '```python\ndef f(x): return x * x', square, 'length'), {
      isCorrect: false,
      isWellFormed: false,
    });
    await reward.close?.();
  },
);

sandboxTest('code: questions without tests that compare values are not accepted, and not graded', async (t) => {
  const reward = codeReward();
  await reward.prepare?.([square, vacuous, untested]);
  t.deepEqual(
    [square, vacuous, untested].map((one) => reward.accepts?.(one)),
    [true, false, false],
  );
  t.is(await grade(reward, '```python\ndef f(x): return 1\n```', vacuous), null);
  t.is(await grade(reward, '```python\ndef f(x): return 1\n```', untested), null);
  const error = await t.throwsAsync<IlrError>(async () => reward.prepare?.([untested]));
  t.is(error.code, 'ILR_INVALID_DATA');
  await reward.close?.();
});

sandboxTest('code: an abort ends the programs, and after close they have ended', async (t) => {
  const reward = codeReward();
  await reward.prepare?.([square]);
  const controller = new AbortController();
  const input = {
    question: square,
    text: '```python\nimport time\ntime.sleep(60)\n```',
    completion: {finishReason: 'stop' as const, ids: new Int32Array(1)},
  };
  const aborted = t.throwsAsync<IlrError>(async () => reward(input, {signal: controller.signal}));
  const closed = t.throwsAsync<IlrError>(async () => reward(input));
  setTimeout(() => controller.abort(), 50);
  t.is((await aborted).code, 'ILR_ABORTED');
  await reward.close?.();
  t.is((await closed).code, 'ILR_DISPOSED');
});

test('code: without a sandbox nothing is run: prepare says how to get one', async (t) => {
  const reward = codeReward({env: {PATH: ''}});
  const error = await t.throwsAsync<IlrError>(async () => reward.prepare?.([square]));
  t.is(error.code, 'ILR_UNSUPPORTED');
  t.regex(error.message, /Install bubblewrap/);
  t.is(
    (await t.throwsAsync<IlrError>(async () => grade(reward, '```python\ndef f(x): return 1\n```'))).code,
    'ILR_UNSUPPORTED',
  );
});
