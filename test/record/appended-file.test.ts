import {appendFile, mkdtemp, readFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import {AppendedFile, jsonLine} from '../../src/record/appended-file.js';

const file = async () => path.join(await mkdtemp(path.join(tmpdir(), 'ilr-lines-')), 'metrics.jsonl');

test('each value is one line, and the length is in bytes', async (t) => {
  const name = await file();
  const {opened: lines, missing} = await AppendedFile.open(name, 0);
  await lines.append(jsonLine({step: 1}));
  await lines.append(jsonLine({text: 'é\n'}));
  await lines.sync();
  await lines.close();
  t.is(missing, 0);
  t.is(await readFile(name, 'utf8'), '{"step":1}\n{"text":"é\\n"}\n');
  t.is(lines.bytes, Buffer.byteLength('{"step":1}\n{"text":"é\\n"}\n'));
  t.is(lines.name, 'metrics.jsonl');
});

test('lines after the checkpoint and a half-written one are cut, and the next line follows', async (t) => {
  const name = await file();
  const first = await AppendedFile.open(name, 0);
  await first.opened.append(jsonLine({step: 1}));
  const keep = first.opened.bytes;
  await first.opened.append(jsonLine({step: 2}));
  await first.opened.close();
  await appendFile(name, '{"step":3,"rew');
  const second = await AppendedFile.open(name, keep);
  await second.opened.append(jsonLine({step: 2}));
  await second.opened.close();
  t.is(second.missing, 0);
  t.is(await readFile(name, 'utf8'), '{"step":1}\n{"step":2}\n');
});

test('a file shorter than the checkpoint knew says how much is missing', async (t) => {
  const name = await file();
  await appendFile(name, '{}\n');
  const {opened: lines, missing} = await AppendedFile.open(name, 10);
  t.is(missing, 7);
  t.is(lines.bytes, 3);
  await lines.close();
});

test('a file that cannot be opened is an ILR_IO error that names it', async (t) => {
  await t.throwsAsync(AppendedFile.open('/nonexistent/metrics.jsonl', 0), {
    code: 'ILR_IO',
    message: /\/nonexistent\/metrics\.jsonl/,
  });
});
