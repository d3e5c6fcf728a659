import test from 'ava';
import {composeReward, type RewardPart} from '../../src/reward/compose.js';
import {formatReward} from '../../src/reward/format.js';
import {gradeGroup} from '../../src/reward/grade.js';
import {mathReward} from '../../src/reward/math-reward.js';
import {numericReward} from '../../src/reward/numeric.js';
import {repetitionReward} from '../../src/reward/repetition.js';
import type {Grade, RewardFunction, RewardInput, ScoreFunction, UngradedGroup} from '../../src/types.js';
import {rewardInput} from '../helpers/reward-input.js';

const weights = {correct: 1, wellFormed: 0.1, none: 0};

function groupOf(texts: readonly string[]): UngradedGroup {
  const {question} = rewardInput('');
  const completions = texts.map((_, index) => ({
    index,
    ids: Int32Array.of(1, 2),
    logprobs: Float32Array.of(-1, -1),
    finishReason: 'stop' as const,
  }));
  return {question, agent: 0, stage: 'solo', promptIds: Int32Array.of(1), texts, completions};
}

async function rolloutsOf(reward: RewardFunction, texts: readonly string[], timeoutMs = 1000) {
  const {rollouts} = await gradeGroup(groupOf(texts), {reward, weights, timeoutMs});
  return rollouts.map(({completion: _, ...rest}) => rest);
}

const texts = ['\\boxed{3}', '\\boxed{4}', '3', 'a a a a \\boxed{3}', '\\boxed{6/2}'];

test('one part of weight 1 is the function alone, bit for bit', async (t) => {
  for (const reward of [numericReward, mathReward]) {
    const alone = await rolloutsOf(reward, texts);
    const composed = await rolloutsOf(composeReward([{name: 'only', function: reward}], weights), texts);
    t.deepEqual(
      composed.map(({parts: _, ...rest}) => rest),
      alone,
    );
    t.deepEqual(
      composed.map(({parts}) => parts?.only),
      alone.map((rollout) => rollout.reward),
    );
  }
});

test('the reward is the weighted sum; each part is there, unweighted', async (t) => {
  const reward = composeReward(
    [
      {name: 'answer', function: numericReward, weight: 2},
      {name: 'form', function: formatReward({}), weight: 0.5},
      {name: 'again', function: repetitionReward({ngram: 1}), weight: 0.25},
      {name: 'long', function: ({text}) => text.length, weight: 0},
    ],
    weights,
  );
  const [right, wrong, bare, again] = await rolloutsOf(reward, texts);
  t.like(right, {reward: 2.5, isCorrect: true, isWellFormed: true, answer: '3'});
  t.deepEqual(right?.parts, {answer: 1, form: 1, again: 0, long: 9});
  t.like(wrong, {reward: 0.7, isCorrect: false, isWellFormed: true, answer: '4'});
  t.like(bare, {reward: 0, isCorrect: false, isWellFormed: false, answer: undefined});
  // five words, two of them different
  t.is(again?.parts?.again, -(1 - 2 / 5));
  t.is(again?.reward, 2 + 0.5 - 0.25 * (1 - 2 / 5));
});

test('correct and well-formed is what every part calls so that speaks of it', async (t) => {
  const says =
    (grade: Partial<Grade>): ScoreFunction =>
    () => ({reward: 0, ...grade});
  const of = async (...grades: Partial<Grade>[]) => {
    const parts = grades.map((grade, p) => ({name: `p${p}`, function: says(grade)}));
    const [rollout] = await rolloutsOf(composeReward(parts), ['x']);
    return [rollout?.isCorrect, rollout?.isWellFormed];
  };
  t.deepEqual(await of({isCorrect: true}), [true, true]);
  t.deepEqual(await of({isCorrect: true}, {isCorrect: false}), [false, true]);
  t.deepEqual(await of({isCorrect: true, isWellFormed: true}, {isWellFormed: false}, {}), [true, false]);
});

test('where no part says what is correct, there is no grade', async (t) => {
  const [rollout] = await rolloutsOf(composeReward([{name: 'form', function: formatReward({})}]), ['x']);
  t.regex(rollout?.failure ?? '', /one part at least to say whether the answer is correct/);
});

test('a part that throws, is late or returns nonsense costs its rollout, by name; the others are graded', async (t) => {
  let signal: AbortSignal | undefined;
  const odd: ScoreFunction = ({text}, context) => {
    if (text === 'throw') throw new Error('no luck');
    if (text === 'nonsense') return 'high' as unknown as number;
    if (text === 'bad') return {isCorrect: true};
    if (text === 'decline') return null;
    if (text !== 'late') return 1;
    signal = context?.signal;
    return new Promise(() => {});
  };
  const parts: RewardPart[] = [
    {name: 'answer', function: () => ({isCorrect: true, isWellFormed: true})},
    {name: 'odd', function: odd, timeoutMs: 20},
  ];
  const rollouts = await rolloutsOf(composeReward(parts), ['throw', 'nonsense', 'bad', 'decline', 'late', 'good']);
  const failures = rollouts.map(({failure}) => failure);
  t.is(failures[0], 'odd: no luck');
  t.regex(failures[1] ?? '', /^odd: Expected a part .* got "high"/);
  t.regex(failures[2] ?? '', /^odd: Expected a part/);
  t.is(failures[3], 'cannot be graded');
  t.regex(failures[4] ?? '', /^odd: Expected a grade within 20 ms/);
  t.true(signal?.aborted);
  t.like(rollouts[5], {reward: 2, isCorrect: true, failure: undefined});
});

test('batch grades a group in one call; an Error in it costs one completion, a throw all of them', async (t) => {
  const calls: number[] = [];
  const alone = () => {
    throw new Error('one by one');
  };
  const batch = async (inputs: readonly RewardInput[]) => {
    calls.push(inputs.length);
    if (inputs.some(({text}) => text === 'throw')) throw new Error('all of them');
    if (inputs.some(({text}) => text === 'short')) return [];
    return inputs.map(({text}) => (text === 'bad' ? new Error('this one') : {isCorrect: true, isWellFormed: true}));
  };
  const reward = Object.assign(alone, {batch}) as unknown as RewardFunction;
  for (const [function_, prefix] of [
    [reward, ''],
    [composeReward([{name: 'p', function: reward}]), 'p: '],
  ] as const) {
    const failuresOf = async (...given: string[]) => (await rolloutsOf(function_, given)).map(({failure}) => failure);
    t.deepEqual(await failuresOf('a', 'bad', 'b'), [undefined, `${prefix}this one`, undefined]);
    t.deepEqual(await failuresOf('a', 'throw'), [`${prefix}all of them`, `${prefix}all of them`]);
    t.regex((await failuresOf('a', 'short'))[0] ?? '', /batch of a reward function to return 2 grades.*got 0/);
  }
  t.deepEqual(calls, [3, 2, 2, 3, 2, 2]);
});

test('an abort ends grading at once, whatever a function does, and reaches its signal', async (t) => {
  const abort = new AbortController();
  const signals: (AbortSignal | undefined)[] = [];
  const stuck: ScoreFunction = (_input, context) => {
    signals.push(context?.signal);
    return new Promise(() => {});
  };
  const reward = composeReward([{name: 'stuck', function: stuck}]);
  const grading = gradeGroup(groupOf(['a', 'b']), {reward, weights, signal: abort.signal});
  await new Promise(setImmediate);
  abort.abort();
  await t.throwsAsync(grading, {code: 'ILR_ABORTED'});
  t.deepEqual(
    signals.map((signal) => signal?.aborted),
    [true, true],
  );
});

test('questions, answers and closing reach every part', async (t) => {
  const seen: string[] = [];
  const part = (name: string, accepted: string): RewardPart => ({
    name,
    function: Object.assign(() => 1, {
      prepare: async () => void seen.push(`prepare ${name}`),
      accepts: ({answer}: {readonly answer: string}) => answer.includes(accepted),
      close: async () => {
        seen.push(`close ${name}`);
        if (name === 'b') throw new Error('stuck');
      },
    }),
  });
  const reward = composeReward([part('a', '1'), part('b', '2'), part('c', ''), {name: 'd', function: numericReward}]);
  await reward.prepare?.([]);
  const accepts = (answer: string) => reward.accepts?.({id: 'q', text: '?', answer});
  t.deepEqual([accepts('12'), accepts('1'), accepts('2'), accepts('12x')], [true, false, false, false]);
  t.true(reward.sameAnswer?.('1.0', '1'));
  await t.throwsAsync(reward.close?.() ?? Promise.resolve(), {message: 'stuck'});
  t.deepEqual(seen, ['prepare a', 'prepare b', 'prepare c', 'close a', 'close b', 'close c']);
});

test('parts without names of their own, or weights, are refused', (t) => {
  const part = {name: 'a', function: numericReward};
  t.throws(() => composeReward([]), {code: 'ILR_INVALID_ARGUMENT', message: /got none/});
  t.throws(() => composeReward([part, part]), {code: 'ILR_INVALID_ARGUMENT', message: /"a" twice/});
  t.throws(() => composeReward([{...part, weight: Number.NaN}]), {code: 'ILR_INVALID_ARGUMENT', message: /weight NaN/});
});
