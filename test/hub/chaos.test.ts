import {readdir, readFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {IlrError} from '../../src/errors.js';
import {pull} from '../../src/hub/pull.js';
import {Random} from '../../src/random.js';
import {folderWith} from '../helpers/folder.js';
import {answer, cutAfter, FakeHub, type Fault, noise, quick, sendInstead, sendRange} from '../helpers/hub.js';

/** One of what servers and networks do wrong, drawn from a seed; half of all answers are good. */
function drawFault(random: Random): Fault {
  const faults: Fault[] = [
    cutAfter(random.below(60_000)),
    cutAfter(0),
    answer(503),
    answer(429, {'retry-after': '0'}),
    answer(404),
    (_, response) => response.destroy(),
    sendInstead((bytes) => bytes.map((byte, i) => (i === 100 ? byte ^ 1 : byte)) as Buffer),
    sendInstead((bytes) => bytes.subarray(0, -1)),
    sendInstead((bytes) => Buffer.concat([bytes, bytes])),
    // Range is not heeded
    (_, response, bytes) => response.writeHead(200, {'content-length': bytes.length}).end(bytes),
    // a rest that is another's
    (request, response, bytes) => sendRange(request, response, Buffer.from(bytes).reverse()),
  ];
  return random.next() < 0.5 ? sendRange : (faults[random.below(faults.length)] as Fault);
}

const files = Object.fromEntries(Array.from({length: 12}, (_, i) => [`part-${i}.jsonl`, noise(20_000 + 7000 * i, i)]));

for (const seed of [1, 2, 3, 4, 5, 6])
  test(`whatever a server does, a folder has no file or all of them, right in every byte (seed ${seed})`, async (t) => {
    const large = Object.keys(files).filter((_, i) => i % 2 === 0);
    const hub = await FakeHub.start(t, {'datasets/owner/rows': {files, large}});
    const folder = await folderWith(t);
    const random = new Random({seed, purpose: 'eval'});
    for (const name of Object.keys(files)) hub.fail(name, ...Array.from({length: 12}, () => drawFault(random)));
    const settings = await hub.settings();
    let failures = 0;
    for (;;) {
      try {
        await pull({repository: {kind: 'dataset', id: 'owner/rows'}, settings, folder, limits: quick});
        break;
      } catch (error) {
        if (!IlrError.is(error)) throw error;
        t.is(error.code, 'ILR_IO', error.message);
        t.deepEqual(await readdir(folder), ['.ilr-pull'], error.message);
        failures++;
      }
    }
    t.true(failures > 0, 'the seed is to make some calls fail');
    for (const [name, bytes] of Object.entries(files)) t.deepEqual(await readFile(path.join(folder, name)), bytes);
    t.deepEqual(await readdir(path.join(folder, '.ilr-pull')), ['record.json']);
  });
