import {existsSync} from 'node:fs';
import {readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {extractZip, listZip} from '../../src/native/unzip.js';
import {folderWith} from '../helpers/folder.js';
import {zip} from '../helpers/libtorch.js';

test('a wheel is unpacked, the chosen files only, with progress up to the whole', async (t) => {
  const folder = await folderWith(t);
  const wheel = path.join(folder, 'a.whl');
  const long = 'header\n'.repeat(1000);
  await writeFile(
    wheel,
    zip([
      {name: 'a/b.h', text: long},
      {name: 'a/c.py', text: 'no'},
      {name: 'a/empty', text: ''},
    ]),
  );
  const entries = (await listZip(wheel)).filter(({name}) => !name.endsWith('.py'));
  const progress: number[][] = [];
  await extractZip(wheel, entries, path.join(folder, 'out'), (done, total) => progress.push([done, total]));
  t.is(await readFile(path.join(folder, 'out', 'a', 'b.h'), 'utf8'), long);
  t.is(await readFile(path.join(folder, 'out', 'a', 'empty'), 'utf8'), '');
  t.false(existsSync(path.join(folder, 'out', 'a', 'c.py')));
  t.deepEqual(progress, [
    [7000, 7000],
    [7000, 7000],
  ]);
});

test('a file of several megabytes is streamed to the same bytes', async (t) => {
  const folder = await folderWith(t);
  const wheel = path.join(folder, 'large.whl');
  const text = '0123456789abcde\n'.repeat(400_000); // 6.4 MB: above the size that is read whole
  await writeFile(wheel, zip([{name: 'large', text}]));
  await extractZip(wheel, await listZip(wheel), folder);
  t.true((await readFile(path.join(folder, 'large'), 'utf8')) === text);
});

for (const name of ['../evil', 'torch/../../evil', '/etc/evil', 'torch\\..\\evil', '..']) {
  test(`a wheel that holds ${name} is refused before anything is written`, async (t) => {
    const folder = await folderWith(t);
    const wheel = path.join(folder, 'bad.whl');
    await writeFile(
      wheel,
      zip([
        {name: 'torch/version.py', text: ''},
        {name, text: 'evil'},
      ]),
    );
    await t.throwsAsync(listZip(wheel), {
      code: 'ILR_IO',
      message: /bad\.whl cannot be unpacked: .*would leave its folder/,
    });
  });
}

test('a wheel that holds a link is refused', async (t) => {
  const wheel = path.join(await folderWith(t), 'link.whl');
  await writeFile(wheel, zip([{name: 'torch/lib', text: '/etc', mode: 0o120777}]));
  await t.throwsAsync(listZip(wheel), {code: 'ILR_IO', message: /is a link/});
});

test('a wheel that was cut off, or changed, is refused', async (t) => {
  const folder = await folderWith(t);
  const whole = zip([{name: 'a', text: 'hello hello hello'}]);
  const cut = path.join(folder, 'cut.whl');
  await writeFile(cut, whole.subarray(0, whole.length - 30));
  await t.throwsAsync(listZip(cut), {code: 'ILR_IO', message: /was the download cut off/});
  const changed = path.join(folder, 'changed.whl');
  const bytes = Buffer.from(whole);
  const body = 31; // the first packed byte, after the header (30) and the name (1)
  bytes[body + 2] = (bytes[body + 2] ?? 0) ^ 0x55;
  await writeFile(changed, bytes);
  await t.throwsAsync(extractZip(changed, await listZip(changed), folder), {code: 'ILR_IO', message: /changed\.whl/});
});
