import test from 'ava';
import {type RunConfigInput, runSchema} from '../../src/config.js';
import {checkSameRun, differences, hashQuestions, type RunIdentity} from '../../src/record/identity.js';

function identity(over: Partial<RunConfigInput> = {}, rest: Partial<RunIdentity> = {}): RunIdentity {
  const config = runSchema.parse({agents: [{name: 'a', model: 'm'}], data: {train: 't'}, ...over});
  return {config, threads: [1, 1], device: 'cpu', questions: 'q', versions: {node: '20.1'}, ...rest};
}

test('a changed setting is named with both values', (t) => {
  t.deepEqual(differences(identity(), identity({groupSize: 4})), ['groupSize: 8 in the checkpoint, 4 now']);
  t.deepEqual(differences(identity(), identity({agents: [{name: 'a', model: 'm', system: 's'}]})), [
    'agents[0].system: not set in the checkpoint, "s" now',
  ]);
});

test('how long the run is, what it measures and keeps, and where, may change', (t) => {
  const now = identity({
    steps: 7,
    output: 'elsewhere',
    eval: {every: 3},
    save: {every: 1, keep: 9},
    data: {train: 't', test: 'x'},
  });
  t.deepEqual(differences(identity(), now), []);
});

test('how a reward is waited for may change, but not what it says', (t) => {
  const of = (timeoutSeconds: number, retries: number, weight: number) =>
    identity({
      reward: {
        timeoutSeconds,
        parts: [
          {name: 'answer', function: 'numeric', weight},
          {name: 'judge', function: 'https://judge.example/', remote: {retries}},
        ],
      },
    });
  t.deepEqual(differences(of(10, 1, 1), of(20, 5, 1)), []);
  t.deepEqual(differences(of(10, 1, 1), of(10, 1, 2)), ['reward.parts[0].weight: 1 in the checkpoint, 2 now']);
});

test('with a schedule, which ends with the run, its length may not change', (t) => {
  const of = (steps: number, schedule: 'linear' | 'constant') => identity({steps, optimizer: {schedule}});
  t.deepEqual(differences(of(5, 'linear'), of(6, 'linear')), ['steps: 5 in the checkpoint, 6 now']);
  t.deepEqual(differences(of(5, 'constant'), of(6, 'constant')), []);
});

test('another thread count says that bit-exactness would be lost', (t) => {
  const error = t.throws(() => checkSameRun(identity(), identity({}, {threads: [2, 2]}), 'runs/x/step-000001'), {
    code: 'ILR_CHECKPOINT',
  });
  t.regex(error?.message ?? '', /threads: 1 \+ 1 in the checkpoint, 2 \+ 2 now.*last bits/);
});

test('threads: 0 and the same count written out are the same run', (t) => {
  t.deepEqual(differences(identity({threads: 0}), identity({threads: 2})), []);
});

test('a setting that is newer than the checkpoint had its default then', (t) => {
  const now = identity();
  const {iterations: _, advantage: __, loss: ___, ...rest} = now.config;
  const older = {...now, config: {...rest, loss: {epsilonLow: 0.2, epsilonHigh: 0.28}} as RunIdentity['config']};
  t.deepEqual(differences(older, now), []);
  t.deepEqual(differences(older, identity({iterations: 2})), ['iterations: 1 in the checkpoint, 2 now']);
});

test('the weights that stay as they are must be what they were', (t) => {
  t.regex(
    differences(identity({}, {fixedWeights: 'a'}), identity({}, {fixedWeights: 'b'}))[0] ?? '',
    /^agents: weights in agents\[\]\.model .*changed/,
  );
});

test('other questions under the same file name are noticed', (t) => {
  const question = {id: '1', text: '1+1', answer: '2'};
  t.not(hashQuestions([[question]]), hashQuestions([[{...question, answer: '3'}]]));
  t.regex(differences(identity(), identity({}, {questions: 'r'}))[0] ?? '', /questions .* have changed/);
});

test('another version is a warning, not an error', (t) => {
  const warnings = checkSameRun(identity(), identity({}, {versions: {node: '22.0'}}), 'x');
  t.is(warnings.length, 1);
  t.regex(warnings[0] ?? '', /node 20\.1, this is 22\.0/);
});
