import test from 'ava';
import {type RunConfig, type RunConfigInput, runSchema} from '../src/config.js';
import {isModule} from '../src/config-reward.js';

type Reward = RunConfigInput['reward'];

const agents = ['ann', 'bob'].map((name) => ({name, model: 'm'}));

function parse(reward: Reward, changes: Partial<RunConfigInput> = {}): RunConfig['reward'] {
  return runSchema.parse({agents, data: {train: 'q'}, ...changes, reward}).reward;
}

function problems(reward: Reward): string[] {
  const {error} = runSchema.safeParse({agents, data: {train: 'q'}, reward});
  return (error?.issues ?? []).map((issue) => `${issue.path.join('.')}: ${issue.message}`);
}

test('left out, the reward is numeric, and nothing is there that a run of before did not have', (t) => {
  t.deepEqual(parse(undefined), {function: 'numeric', correct: 1, wellFormed: 0.1, none: 0});
});

test('with parts there is no function; a resolved reward comes to the same', (t) => {
  const answer = {name: 'answer', function: 'math', math: {extract: ['boxed' as const]}};
  const parts = [answer, {name: 'form', function: 'format', weight: 0.5}];
  const reward = parse({parts});
  t.deepEqual(reward, {
    correct: 1,
    wellFormed: 0.1,
    none: 0,
    parts: [{...answer, weight: 1}, parts[1] as never],
  });
  t.deepEqual(parse(reward), reward);
  t.deepEqual(parse(parse({function: 'math'})), parse({function: 'math'}));
});

test('a module is what is neither known by name nor an address', (t) => {
  t.deepEqual(
    ['numeric', 'math', 'exact', 'code', 'format', 'length', 'repetition', 'https://a/b', './r.mjs', 'r'].map(isModule),
    [false, false, false, false, false, false, false, false, true, true],
  );
});

const answer = {name: 'answer', function: 'numeric'};

for (const [what, reward, message] of [
  ['function beside parts', {function: 'math', parts: [answer]}, /^reward\.function: expected .* not both/],
  ['a form alone', {function: 'format'}, /^reward\.function: .*format is for reward\.parts/],
  ['parts that judge nothing', {parts: [{name: 'a', function: 'format'}]}, /^reward\.parts: .*says what is correct/],
  ['two parts of a name', {parts: [answer, answer]}, /^reward\.parts: .*another name for each/],
  ['a part called solo', {parts: [{...answer, name: 'solo'}]}, /^reward\.parts\.0\.name: .*not solo or fusion/],
  ['a path in a name', {parts: [{...answer, name: 'a/b'}]}, /^reward\.parts\.0\.name/],
  ['no parts', {parts: []}, /^reward\.parts/],
  ['options of another', {math: {percent: 'strict'}}, /^reward\.math: .*only with the function math \(here numeric\)/],
  [
    'options above parts',
    {math: {percent: 'strict'}, parts: [answer]},
    /^reward\.math: expected reward\.parts\[\]\.math/,
  ],
  ['options for a grader', {options: {a: 1}}, /^reward\.options: .*only with a module/],
  [
    'two forms',
    {parts: [answer, {name: 'f', function: 'format', format: {box: true, tags: ['a']}}]},
    /^reward\.parts\.1\.format: expected one of/,
  ],
  [
    'a pattern that is none',
    {parts: [answer, {name: 'f', function: 'format', format: {pattern: '('}}]},
    /^reward\.parts\.1\.format\.pattern: expected a regular expression/,
  ],
  [
    'a tag twice',
    {parts: [answer, {name: 'f', function: 'format', format: {tags: ['a', 'a']}}]},
    /^reward\.parts\.1\.format\.tags: expected each tag once/,
  ],
  [
    'a length without a cache',
    {parts: [answer, {name: 'l', function: 'length'}]},
    /^reward\.parts\.1\.length: expected length\.cache/,
  ],
  [
    'length taken off twice',
    {overlongCache: 4, parts: [answer, {name: 'l', function: 'length', length: {cache: 4}}]},
    /^reward\.parts\.1\.function: .*beside reward\.overlongCache/,
  ],
  [
    'a header without a secret',
    {function: 'https://a/', remote: {secretHeader: 'x-key'}},
    /^reward\.remote\.secretHeader: .*only with remote\.secretEnv/,
  ],
  [
    'a secret in place of its variable',
    {function: 'https://a/', remote: {secretEnv: 'sk-123'}},
    /name of an environment/,
  ],
  ['a longer wait than a timer can', {timeoutSeconds: 1e7}, /^reward\.timeoutSeconds/],
] satisfies [string, Reward, RegExp][]) {
  test(`refused: ${what}`, (t) => {
    const [first, ...rest] = problems(reward);
    t.regex(first ?? '', message);
    t.deepEqual(rest, []);
  });
}
