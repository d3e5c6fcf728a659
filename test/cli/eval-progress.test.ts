import test from 'ava';
import {EvalProgress} from '../../src/cli/eval-progress.js';
import type {EvalEvent} from '../../src/eval/plan.js';
import {benchmarkOf, scriptedModel} from '../helpers/eval-plan.js';

const esc = String.fromCharCode(27);
const unit = {
  benchmark: benchmarkOf(`gsm8k${esc}[31m`),
  mode: 'debate' as const,
  members: [scriptedModel('ann', () => ''), scriptedModel('bob', () => '')],
};
const progress = (done: number, known: number, tokens: number): EvalEvent => ({
  type: 'progress',
  unit,
  done,
  total: 30,
  known,
  tokens,
});

function shown(isTTY: boolean, events: readonly (readonly [number, EvalEvent])[]): string {
  let text = '';
  let time = 0;
  const display = new EvalProgress({isTTY, columns: 100, write: (part: string) => (text += part)}, () => time);
  for (const [at, event] of events) {
    time = at;
    display.onEvent(event);
  }
  display.finish();
  return text;
}

test('without a terminal a unit is one line, when it is done', (t) => {
  const text = shown(false, [
    [0, progress(8, 8, 0)],
    [5000, progress(20, 8, 400)],
    [65_000, progress(30, 8, 900)],
    [65_000, progress(30, 8, 900)],
  ]);
  t.is(text, 'debate ann + bob on gsm8k: 30 questions, 8 of them before, 900 tokens in 1m 05s\n');
});

test('what was answered before is said so', (t) => {
  t.is(shown(false, [[0, progress(30, 30, 0)]]), 'debate ann + bob on gsm8k: all 30 questions were answered before\n');
});

test('a terminal sees how far it is, how fast and how long yet, and no control sequence of a name', (t) => {
  const text = shown(true, [
    [0, progress(8, 8, 0)],
    [10_000, progress(18, 8, 500)],
    [10_500, {type: 'warning', message: `odd${esc}]0;title`}],
  ]);
  t.true(text.includes('debate ann + bob on gsm8k  18/30 questions  50 tokens/s  12s left\n'), text);
  t.true(text.includes('warning: odd'));
  t.false(text.includes('[31m'));
  t.false(text.includes(`${esc}]0`));
});
