import test from 'ava';
import {loadAgent} from '../../src/cli/agents.js';
import {sampleText} from '../../src/cli/sample.js';
import type {SamplingSettings} from '../../src/config-sampling.js';
import {cpuRuntime, temporaryFolder} from '../helpers/native.js';
import {writeTinyRun} from '../helpers/tiny-run.js';

test('an answer is shown up to its stop string, and the same without it goes on', async (t) => {
  const {agents} = await writeTinyRun(await temporaryFolder(t));
  const ask = async (sampling: Partial<SamplingSettings>) => {
    const agent = await loadAgent(`${agents}/ann`, {runtime: await cpuRuntime(), sampling, trainable: false});
    let shown = '';
    const answer = await sampleText(agent, '1+1=?', (text) => (shown += text), {maxNewTokens: 60, seed: 2});
    t.is(shown, answer.text);
    await agent.close();
    return answer;
  };
  const whole = await ask({});
  t.true(whole.text.length > 20);
  const stop = whole.text.slice(9, 11);
  const stopped = await ask({stopStrings: [stop]});
  t.is(stopped.text, whole.text.slice(0, whole.text.indexOf(stop)));
  t.is(stopped.finishReason, 'stop');
  t.true(stopped.tokens < whole.tokens);
  const letter = whole.text[0] as string;
  t.false((await ask({badWords: [letter]})).text.includes(letter));
});

test('several answers to one prompt have draws of their own', async (t) => {
  const {agents} = await writeTinyRun(await temporaryFolder(t));
  const agent = await loadAgent(`${agents}/bob`, {runtime: await cpuRuntime(), trainable: false});
  const answer = (sample?: number) => sampleText(agent, '1+1=?', () => {}, {maxNewTokens: 20, seed: 2, sample});
  const texts = [await answer(), await answer(1), await answer(2)].map(({text}) => text);
  t.is(new Set(texts).size, 3);
  t.is((await answer(1)).text, texts[1] as string);
  t.is((await answer(0)).text, texts[0] as string);
  await agent.close();
});
