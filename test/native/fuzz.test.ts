import {spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {isErrorCode} from '../../src/errors.js';

interface Report {
  readonly ends: Readonly<Record<string, number>>;
  readonly wrong: readonly string[];
  readonly isSane: boolean;
  readonly isSame: boolean;
  readonly names: Readonly<Record<string, readonly string[]>>;
}

function fuzz(calls: number, seed: number): Promise<{code: number | null; signal: string | null; output: string}> {
  const file = fileURLToPath(new URL('../helpers/fuzz-seam.js', import.meta.url));
  const child = spawn(process.execPath, [file, String(calls), String(seed)]);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({code, signal, output}));
  });
}

test('twenty thousand random calls neither crash nor hang, and each is refused with a documented code', async (t) => {
  const calls = 20_000;
  const {code, signal, output} = await fuzz(calls, 11);
  t.deepEqual({code, signal}, {code: 0, signal: null}, output.slice(-4000));
  const {ends, wrong, isSane, isSame, names} = JSON.parse(output.trim().split('\n').at(-1) as string) as Report;
  t.deepEqual(wrong, [], 'rejections that are no IlrError');
  t.deepEqual(
    Object.keys(ends).filter((end) => end !== 'fine' && !isErrorCode(end)),
    [],
  );
  const refused = Object.entries(ends)
    .filter(([end]) => end !== 'fine')
    .reduce((sum, [, count]) => sum + count, 0);
  t.true(refused + (ends.fine ?? 0) >= calls);
  t.true(refused > calls / 2 && (ends.fine ?? 0) > calls / 20, JSON.stringify(ends));
  t.true((ends.ILR_DISPOSED ?? 0) > 10 && (ends.ILR_INVALID_ARGUMENT ?? 0) > calls / 4, JSON.stringify(ends));
  t.true(isSane, 'a policy that was left alone answers as before');
  t.true(isSame, 'so does a new one');
  t.true((names.update?.length ?? 0) > 10 && (names.generate?.length ?? 0) > 5, 'the names of options were asked for');
});
