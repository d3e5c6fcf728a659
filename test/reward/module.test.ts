import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import test from 'ava';
import {runSchema} from '../../src/config.js';
import {gradableQuestions, gradeGroup, prepareReward} from '../../src/reward/grade.js';
import {loadReward, rewardModules, rewardName} from '../../src/reward/reward.js';
import type {Question} from '../../src/types.js';
import {folderWith} from '../helpers/folder.js';
import {rewardInput} from '../helpers/reward-input.js';

const settingsOf = (reward: object) =>
  runSchema.parse({agents: ['a', 'b'].map((name) => ({name, model: 'm'})), data: {train: 'q'}, reward}).reward;

async function rolloutsOf(folder: string, reward: object, texts: readonly string[]) {
  const settings = settingsOf(reward);
  const {rollouts} = await gradeGroup(
    {
      question: rewardInput('').question,
      agent: 0,
      stage: 'fusion',
      promptIds: Int32Array.of(1),
      texts,
      completions: texts.map((_, index) => ({
        index,
        ids: Int32Array.of(1),
        logprobs: Float32Array.of(-1),
        finishReason: 'stop',
      })),
    },
    {reward: await loadReward(settings, folder), weights: settings, options: settings.options, maxNewTokens: 9},
  );
  return rollouts;
}

test('a module with batch alone, a part with options, and what a function is told', async (t) => {
  const folder = await folderWith(t);
  await writeFile(
    join(folder, 'batch.mjs'),
    'export const batch = async (inputs) => inputs.map(({text}) => ({isCorrect: text === "yes", isWellFormed: true}));',
  );
  await writeFile(
    join(folder, 'told.mjs'),
    'export default ({stage, maxNewTokens}, {options, signal}) => ' +
      '[stage, maxNewTokens, options.scale, signal.aborted].join() === "fusion,9,3,false" ? options.scale : 0;',
  );
  const whole = await rolloutsOf(folder, {function: './batch.mjs'}, ['yes', 'no']);
  t.deepEqual(
    whole.map(({reward}) => reward),
    [1, 0.1],
  );
  const parts = [
    {name: 'answer', function: 'batch.mjs'},
    {name: 'told', function: './told.mjs', weight: 2, options: {scale: 3}},
  ];
  const composed = await rolloutsOf(folder, {parts}, ['yes', 'no']);
  t.deepEqual(
    composed.map(({reward, failure}) => failure ?? reward),
    [7, 6.1],
  );
  t.is(rewardName(settingsOf({parts})), 'answer + told');
  t.deepEqual(rewardModules(settingsOf({parts}), folder), [join(folder, 'batch.mjs'), join(folder, 'told.mjs')]);
  t.deepEqual(rewardModules(settingsOf({}), folder), []);
});

test('a function’s hooks stand beside it or on it; a wrong one is refused', async (t) => {
  const folder = await folderWith(t);
  await writeFile(
    join(folder, 'hooks.mjs'),
    'let known = 0;\nconst grade = () => ({isCorrect: true, isWellFormed: true});\n' +
      'grade.accepts = ({id}) => known === 2 && id !== "odd";\nexport default grade;\n' +
      'export const prepare = async (questions) => { known = questions.length; };',
  );
  await writeFile(join(folder, 'wrong.mjs'), 'export default () => null;\nexport const accepts = 3;');
  const reward = await loadReward(settingsOf({function: 'hooks.mjs'}), folder);
  const questions: Question[] = ['even', 'odd'].map((id) => ({id, text: '?', answer: id}));
  await prepareReward(reward, questions);
  const warnings: string[] = [];
  t.deepEqual(
    gradableQuestions('test', questions, reward, (message) => warnings.push(message)),
    questions.slice(0, 1),
  );
  t.regex(warnings[0] ?? '', /Skipped 1 of 2 test questions .* the first is odd/);
  await t.throwsAsync(loadReward(settingsOf({function: 'wrong.mjs'}), folder), {
    code: 'ILR_INVALID_CONFIG',
    message: /accepts of .*wrong\.mjs to be a function, got number/,
  });
});

test('a misspelt name is taken for a file, and the nearest name said', async (t) => {
  const folder = await folderWith(t);
  await t.throwsAsync(loadReward(settingsOf({function: 'maths'}), folder), {
    code: 'ILR_INVALID_CONFIG',
    message: /got .*maths, where there is nothing; did you mean math\?$/,
  });
});

test('what throws ahead of the first completion is an error of the reward', async (t) => {
  const failing = Object.assign(() => null, {
    prepare: () => Promise.reject(new Error('no disk')),
    accepts: () => {
      throw new Error('no idea');
    },
  });
  await t.throwsAsync(prepareReward(failing, []), {code: 'ILR_REWARD', message: /prepare .*no disk/});
  t.throws(() => gradableQuestions('test', [rewardInput('').question], failing, () => {}), {
    code: 'ILR_REWARD',
    message: /accepts, of question q, .*no idea/,
  });
});
