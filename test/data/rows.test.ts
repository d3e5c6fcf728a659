import {readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {gzipSync} from 'node:zlib';
import test, {type ExecutionContext} from 'ava';
import {readRows} from '../../src/data/rows.js';
import {folderWith} from '../helpers/folder.js';

/** From dist/test/data to the files of make_parquet.py. */
const golden = (name: string) => fileURLToPath(new URL(`../../../test/data/golden/${name}`, import.meta.url));

async function rowsOf(file: string) {
  const rows: [number, unknown][] = [];
  for await (const {number, values} of readRows(file)) rows.push([number, {...values}]);
  return rows;
}

async function fileWith(t: ExecutionContext, name: string, content: string | Uint8Array): Promise<string> {
  return join(await folderWith(t, {[name]: content}), name);
}

const two = [
  [1, {a: 'x', b: '1'}],
  [2, {a: 'y, z', b: '2\n3'}],
];
const csv = '\ufeffa,b\r\nx,1\r\n"y, z","2\n3"\r\n';
const json = JSON.stringify(two.map(([, values]) => values));

test('the ending says the format, and .gz that it is packed', async (t) => {
  const tsv = 'a\tb\nx\t1\n"y, z"\t"2\n3"\n';
  const lines = two.map(([, values]) => `${JSON.stringify(values)}\n`).join('');
  const files: Record<string, string | Uint8Array> = {
    'q.csv': csv,
    'q.CSV.gz': gzipSync(csv),
    'q.tsv': tsv,
    'q.json': json,
    'data.json': `{"data": ${json}}`,
    'lines.json': lines,
    'q.json.gz': gzipSync(json),
    'q.jsonl': lines,
    'q.jsonl.gz': gzipSync(lines),
    'q.txt': lines,
  };
  const folder = await folderWith(t, files);
  for (const name of Object.keys(files)) t.deepEqual(await rowsOf(join(folder, name)), two, name);
});

for (const codec of ['snappy', 'gzip', 'brotli', 'zstd', 'lz4', 'none'])
  test(`Parquet of three row groups, ${codec}, comes as JSON would have it`, async (t) => {
    const rows = await rowsOf(golden(`kinds-${codec}.parquet`));
    const row = (i: number) => ({
      n: i < 4 ? i : String(2n ** 60n + BigInt(i)),
      u: i,
      small: -i,
      x: i / 2,
      yes: i % 2 === 0,
      text: `row ${i} é`,
      when: `2026-11-24T12:0${i}:00.000Z`,
      price: null,
      list: i === 0 ? [] : [i, i + 1],
      deep: {a: {b: ['c', `d${i}`]}},
      missing: null,
    });
    const normal = (value: unknown) => JSON.parse(JSON.stringify(value, (_, item) => (item === 0 ? 0 : item)));
    t.deepEqual(normal(rows), normal(Array.from({length: 6}, (_, i) => [i + 1, row(i)])));
  });

test('what is no row is refused by file and place', async (t) => {
  const refuse = async (name: string, content: string | Uint8Array, message: RegExp) => {
    const file = await fileWith(t, name, content);
    const error = await t.throwsAsync(rowsOf(file), {code: 'ILR_INVALID_DATA', message}, name);
    t.true(error?.message.startsWith(file), error?.message);
  };
  await refuse('q.csv', 'a,b\n1,2\n1,2,3\n', /:3: expected CSV, got:/);
  await refuse('q.csv', 'a,b\n1,"2\n', /expected CSV, got: Quote Not Closed/);
  await refuse('q.csv', 'a,b,a\n1,2,3\n', /:1: expected each field name once, got "a" twice/);
  await refuse('q.csv', `a\n${'x'.repeat(17 * 2 ** 20)}\n`, /expected CSV, got: Max Record Size/);
  await refuse('q.json', '[{"a": 1}, 2]', /: row 2: expected a JSON object, got "2"/);
  await refuse('q.json', '{\n"data": [', /expected JSON, got:/);
  await refuse('q.json', '"text"', /expected a list of JSON objects/);
  await refuse('q.json', Buffer.of(0x5b, 0xff, 0x5d), /expected UTF-8/);
  await refuse('q.jsonl.gz', 'not packed', /expected gzip, got:/);
  await refuse('q.jsonl.gz', gzipSync('{"a": 1}\n').subarray(0, 20), /expected gzip, got:/);
  await refuse('q.jsonl.gz', gzipSync(Buffer.alloc(20 * 2 ** 20, 32)), /:1: expected lines of at most 16777216 bytes/);
  await refuse('q.parquet', 'PAR1 but nothing more', /expected Parquet, got/);
  await refuse('q.parquet', '', /expected Parquet, got/);
});

test('a Parquet file that lies about its sizes costs an error, not the process', async (t) => {
  const bytes = await readFile(golden('kinds-none.parquet'));
  const folder = await folderWith(t);
  const outcomes = new Set<string>();
  // Bytes here and there, in headers of pages and in the footer, replaced by the largest one.
  for (let at = 4; at < bytes.length - 8; at += 373) {
    const broken = Buffer.from(bytes);
    broken.fill(0xff, at, at + 3);
    const file = join(folder, `${at}.parquet`);
    await writeFile(file, broken);
    outcomes.add(
      await rowsOf(file).then(
        () => 'read',
        (error) => error.code,
      ),
    );
  }
  t.true(outcomes.has('ILR_INVALID_DATA'));
  t.deepEqual(
    [...outcomes].filter((outcome) => outcome !== 'read' && outcome !== 'ILR_INVALID_DATA'),
    [],
  );
});

test('a file that is not there is an error of reading', async (t) => {
  for (const name of ['q.jsonl', 'q.json', 'q.csv', 'q.csv.gz', 'q.parquet'])
    await t.throwsAsync(rowsOf(join('/nowhere', name)), {code: 'ILR_IO', message: /could not be read/}, name);
});

test('a reader that stops early leaves nothing open', async (t) => {
  for await (const row of readRows(golden('kinds-snappy.parquet'))) {
    t.is(row.number, 1);
    break;
  }
  const file = await fileWith(t, 'q.csv', csv);
  for await (const row of readRows(file)) {
    t.is(row.number, 1);
    break;
  }
});
