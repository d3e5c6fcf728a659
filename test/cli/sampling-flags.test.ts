import test from 'ava';
import {Command} from 'commander';
import {addSamplingFlags, samplingOf} from '../../src/cli/sampling-flags.js';

function parse(...flags: string[]) {
  const command = addSamplingFlags(new Command().exitOverride().configureOutput({writeErr: () => {}}));
  return samplingOf(command.parse(flags, {from: 'user'}).opts());
}

test('flags become settings; what is not given is left out', (t) => {
  t.deepEqual(parse(), {});
  t.deepEqual(parse('--top-k', '5', '--top-p', '0.9', '--min-p', '0', '--repetition-penalty', '1.1'), {
    topK: 5,
    topP: 0.9,
    minP: 0,
    repetitionPenalty: 1.1,
  });
  t.deepEqual(
    parse(
      '--stop',
      'a',
      '--stop',
      '\n',
      '--stop-id',
      '3',
      '--stop-id',
      '4',
      '--bad-word',
      'x',
      '--logit-bias',
      '3=-1.5',
      '--logit-bias',
      '4=2',
    ),
    {stopStrings: ['a', '\n'], stopIds: [3, 4], badWords: ['x'], logitBias: {3: -1.5, 4: 2}},
  );
});

test('a wrong value is refused by its flag', (t) => {
  for (const flags of [
    ['--top-k', '-1'],
    ['--top-p', '0'],
    ['--top-p', ''],
    ['--min-p', '1.1'],
    ['--repetition-penalty', '0'],
    ['--logit-bias', '3'],
    ['--logit-bias', '3=nan'],
    ['--stop-id', 'x'],
  ])
    t.throws(() => parse(...flags), {message: new RegExp(flags[0] as string)});
});
