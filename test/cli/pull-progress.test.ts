import test from 'ava';
import {bytesText, PullProgress} from '../../src/cli/pull-progress.js';

function shown(isTTY: boolean) {
  let text = '';
  let at = 0;
  const output = {isTTY, columns: 100, write: (more: string) => (text += more)};
  const progress = new PullProgress(output, 'owner/tiny', () => at);
  return {
    progress,
    /** What was written since. */
    at: (seconds: number, done: number, received: number) => {
      at = 1000 * seconds;
      text = '';
      progress.onEvent({type: 'progress', phase: 'download', done, total: 100e6, received});
      return text;
    },
    rest: () => text,
  };
}

test('a terminal shows bytes, rate and time left, of the last seconds alone', (t) => {
  const {at} = shown(true);
  t.is(at(0, 20e6, 0), 'downloading 20.0 MB of 100 MB (20 %)\n');
  // 10 MB in 2 s: 5 MB/s; 70 MB are left
  t.regex(at(2, 30e6, 10e6), /downloading 30\.0 MB of 100 MB \(30 %\) {2}5\.0 MB\/s {2}14s left\n$/);
  for (let second = 3; second <= 20; second++) at(second, 30e6 + (second - 2) * 1e6, 10e6 + (second - 2) * 1e6);
  // 1 MB/s of late, whatever it was at first; at 21 s 49 MB are there
  t.regex(at(21, 49e6, 29e6), /49\.0 MB of 100 MB \(49 %\) {2}1\.0 MB\/s {2}51s left\n$/);
});

test('without a terminal there is a line every ten seconds', (t) => {
  const {at} = shown(false);
  t.is(at(1, 1e6, 1e6), '');
  t.is(at(9, 9e6, 9e6), '');
  t.is(at(10, 10e6, 10e6), 'downloading 10.0 MB of 100 MB (10 %)  1.0 MB/s  1m 30s left\n');
  t.is(at(11, 11e6, 11e6), '');
});

test('nothing that a server says reaches the terminal but text', (t) => {
  const {progress, rest} = shown(false);
  progress.onEvent({type: 'retry', message: 'it says \u001b[31mred\u001b]0;title\u0007', waitMs: 2000});
  t.is(rest(), 'it says red; again in 2s\n');
});

test('sizes are in the units that disks are sold in', (t) => {
  t.deepEqual([812, 3400, 65_400_000, 988_000_000, 15_230_000_000].map(bytesText), [
    '812 bytes',
    '3.4 kB',
    '65.4 MB',
    '988 MB',
    '15.23 GB',
  ]);
});
