import {Readable} from 'node:stream';
import test from 'ava';
import {openInput, readLines, readRow} from '../../src/cli/grade-input.js';

const linesOf = (input: Readable) => Readable.from(readLines(input)).toArray();

test('a line ends with a line feed alone, wherever the pieces of the input end', async (t) => {
  const rows = [{text: 'a\u2028b\u2029c\rd\u0085é😀'}, {}, {text: 'last'}];
  const text = Buffer.from(`\ufeff${rows.map((row) => JSON.stringify(row)).join('\r\n')}`);
  for (const size of [1, 2, 3, 7, 1000]) {
    const pieces = Array.from({length: Math.ceil(text.length / size)}, (_, i) =>
      text.subarray(i * size, (i + 1) * size),
    );
    const lines = await linesOf(Readable.from(pieces));
    t.deepEqual(lines.map(readRow), rows, `pieces of ${size}`);
  }
  t.deepEqual(await linesOf(Readable.from(['a\n\n', 'b\n'])), ['a', '', 'b']);
  t.deepEqual(await linesOf(Readable.from([])), []);
});

test('an endless line does not fill the memory, and the next one is read', async (t) => {
  const piece = Buffer.alloc(2 ** 20, 'x');
  const input = Readable.from([...Array.from({length: 40}, () => piece), Buffer.from('\n{}\n')]);
  const [long, next] = await linesOf(input);
  t.is(long?.length, 2 ** 24);
  t.is(next, '{}');
});

test('a folder, and an input that breaks off, are errors that say so', async (t) => {
  const folder = await openInput('.');
  await t.throwsAsync(linesOf(folder), {code: 'ILR_IO', message: /could not be read: EISDIR/});
  const broken = new Readable({read: () => {}});
  const lines = linesOf(broken);
  broken.destroy(new Error('gone'));
  await t.throwsAsync(lines, {code: 'ILR_IO', message: /could not be read: gone/});
});
