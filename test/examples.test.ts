import {execFile} from 'node:child_process';
import {promisify} from 'node:util';
import test from 'ava';
import {readConfigFile} from '../src/config-file.js';
import {packageRoot} from '../src/native/paths.js';
import {loadReward} from '../src/reward/reward.js';
import type {Grade} from '../src/types.js';
import {rewardInput} from './helpers/reward-input.js';

test('the reward example runs, and gives what is worked out by hand', async (t) => {
  const {stdout} = await promisify(execFile)(process.execPath, ['examples/rewards.mjs'], {cwd: packageRoot()});
  t.deepEqual(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.trim().split(/\s{2,}/, 5)),
    [
      ['1.40', 'answer 1.00', 'form 1.00', 'repetition 0.00', 'work 1.00'],
      ['1.20', 'answer 1.00', 'form 0.00', 'repetition 0.00', 'work 1.00'],
      ['0.10', 'answer 0.10', 'form 0.00', 'repetition 0.00', 'work 0.00'],
      // nine trigrams, three of them different
      ['-0.33', 'answer 0.00', 'form 0.00', 'repetition -0.67', 'work 0.00'],
    ],
  );
});

test('the reward of recipes/rewards.yaml grades, its module included', async (t) => {
  const {config} = await readConfigFile(`${packageRoot()}/recipes/rewards.yaml`, []);
  const reward = await loadReward(config.reward, '.');
  const grade = (await reward(rewardInput('1+2 is \\boxed{3}', {maxNewTokens: 512}))) as Grade;
  t.deepEqual(grade.parts, {answer: 1, form: 1, length: 0, repetition: 0, work: 1});
  t.is(grade.reward, 1 + 0.1 + 0.1);
});
