import test from 'ava';
import {WarmStartDisplay} from '../../src/demo/warm-start-display.js';

const written = (isTTY: boolean) => {
  let text = '';
  let now = 0;
  const output = {isTTY, columns: 120, write: (added: string) => (text += added)};
  return {display: new WarmStartDisplay(output, () => now), text: () => text, wait: (ms: number) => (now += ms)};
};

test('without a terminal a line is written per tenth, with losses, speed and the time left', (t) => {
  const {display, text, wait} = written(false);
  for (let tokens = 10; tokens <= 100; tokens += 10) {
    display.onProgress('qwen', {tokens, total: 100, loss: 0.5});
    display.onProgress('llama', {tokens, total: 100, loss: 0.25});
    wait(1000);
  }
  const lines = text().trimEnd().split('\n');
  t.is(lines.length, 10);
  t.is(lines[4], 'warm start 50 %  qwen loss 0.500  llama loss 0.250  25 tokens/s  4s left');
  t.regex(lines[9] as string, /^warm start 100 %/);
});

test('a terminal sees one line redrawn', (t) => {
  const {display, text, wait} = written(true);
  display.onProgress('qwen', {tokens: 10, total: 100, loss: 0.5});
  wait(1000);
  display.onProgress('qwen', {tokens: 20, total: 100, loss: 0.5});
  display.finish();
  t.regex(text(), /warm start 10 %.*\n.*warm start 20 %/s);
});
