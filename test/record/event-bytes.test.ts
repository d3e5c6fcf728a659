import {readFile} from 'node:fs/promises';
import test from 'ava';
import {crc32c, scalarsEvent, startEvent, versionEvent} from '../../src/record/event-bytes.js';
import {castagnoli, readEvents} from '../helpers/events.js';

const first = {'ann/loss': 0.1, 'ann/accuracy/solo': 0.5, seconds: 12.75};
const second = {
  'ann/loss': -1e-7,
  'ann/accuracy/solo': 1,
  'né/x': 3.4e38,
  big: 1e39,
  'ann/kl': Number.NaN,
  max: Number.NEGATIVE_INFINITY,
};
const header = (step: number) => ({wallTime: 1764000000.125 + step, step});
const file = Buffer.concat([
  versionEvent(header(0)),
  startEvent(header(0)),
  scalarsEvent(header(0), first),
  scalarsEvent(header(300), second),
]);

test('byte for byte what TensorBoard’s own writer makes of the same events', async (t) => {
  const golden = await readFile(new URL('../../../test/record/golden/events.bin', import.meta.url));
  t.deepEqual(file, golden);
});

test('an independent reader finds the events, values as float32', (t) => {
  const events = readEvents(file);
  t.deepEqual(events.slice(0, 2), [
    {wallTime: 1764000000.125, step: 0, version: 'brain.Event:2'},
    {wallTime: 1764000000.125, step: 0, session: 1},
  ]);
  const {big, ...rest} = second;
  t.deepEqual(events[3], {
    wallTime: 1764000300.125,
    step: 300,
    scalars: {
      ...Object.fromEntries(Object.entries(rest).map(([tag, value]) => [tag, Math.fround(value)])),
      big: Infinity,
    },
  });
});

test('any flipped bit is noticed', (t) => {
  for (let bit = 0; bit < 8 * file.length; bit += 7) {
    const flipped = Buffer.from(file);
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    t.throws(() => readEvents(flipped), undefined, `bit ${bit}`);
  }
});

test('CRC-32C has the check values of RFC 3720, and those of another way to compute it', (t) => {
  t.is(crc32c(Buffer.from('123456789')), 0xe3069283);
  t.is(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  t.is(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43);
  const bytes = Buffer.from(Array.from({length: 300}, (_, i) => (i * 151) % 256));
  for (let length = 0; length < 300; length += 37) {
    t.is(crc32c(bytes.subarray(0, length)), castagnoli(bytes.subarray(0, length)));
  }
});
