import test from 'ava';
import {learningRateAt, toBatch, warmStart} from '../../src/demo/warm-start.js';

const lesson = (ids: readonly number[], mask: readonly number[]) => ({
  ids: Int32Array.from(ids),
  mask: Uint8Array.from(mask),
});

test('a batch holds whole chats end to end, trained where the mask says', (t) => {
  const batch = toBatch([lesson([1, 5, 0, 2, 7, 0], [0, 0, 0, 0, 1, 1]), lesson([1, 0, 2, 8, 0], [0, 0, 0, 1, 1])]);
  t.deepEqual([...batch.completions.ids], [1, 5, 0, 2, 7, 0, 1, 0, 2, 8, 0]);
  t.deepEqual([...batch.completions.offsets], [0, 6, 11]);
  t.deepEqual([...batch.completions.mask], [0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1]);
  t.deepEqual([...batch.prompts.offsets], [0, 0]);
  t.deepEqual([...batch.completions.promptIndex], [0, 0]);
  t.is(batch.completions.samplerLogprobs.length, 11);
  t.deepEqual([...batch.stageWeights], [1]);
});

test('the learning rate is level, then falls in a line to a twentieth', (t) => {
  const {decayFrom, learningRate} = warmStart;
  t.is(learningRateAt(0), learningRate);
  t.is(learningRateAt(decayFrom * 0.99), learningRate);
  t.true(Math.abs(learningRateAt((1 + decayFrom) / 2) - learningRate * (1 - 0.95 / 2)) < 1e-12);
  t.true(Math.abs(learningRateAt(1) - learningRate / 20) < 1e-12);
});
