import {readdir, readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {jsonText, printable, Screen} from '../../src/cli/terminal.js';

const cases: [string, string, string][] = [
  ['plain text, line breaks and tabs stay', 'a\tb\nc é 数 🙂', 'a\tb\nc é 数 🙂'],
  ['colours', 'a\u001b[31mred\u001b[0m', 'ared'],
  ['moving the cursor and clearing', '\u001b[2J\u001b[1;1Hgone', 'gone'],
  ['a window title', 'x\u001b]0;owned\u0007y', 'xy'],
  ['a hyperlink', '\u001b]8;;http://e.invalid\u001b\\text\u001b]8;;\u001b\\', 'text'],
  ['a string that never ends hides nothing', '\u001b]0;title and all the rest', '0;title and all the rest'],
  ['a reset and a charset', '\u001bc\u001b(0x', 'x'],
  ['an eight-bit CSI', 'a\u009b31mb', 'a31mb'],
  ['carriage return and backspace', 'safe\rEVIL\b\b', 'safeEVIL'],
  ['a Windows line break', 'a\r\nb', 'a\nb'],
  ['bell, null, delete', '\u0007a\u0000b\u007f', 'ab'],
  ['turned writing', 'a\u202Etxt\u202Cb\u2066c\u2069\u200Fd', 'atxtbcd'],
  ['tag characters', 'a\u{E0041}\u{E007F}b', 'ab'],
  ['line and paragraph separators', 'a\u2028b\u2029c', 'abc'],
  ['half a character', 'a\ud800b', 'ab'],
  ['zero width space and byte order mark', '\ufeffa\u200bb', 'ab'],
  ['the joiners of emoji and Persian', '👩\u200d💻 می\u200cخواهم', '👩\u200d💻 می\u200cخواهم'],
];

for (const [name, hostile, shown] of cases)
  test(`printable: ${name}`, (t) => {
    t.is(printable(hostile), shown);
  });

test('printable takes linear work on hostile input', (t) => {
  const hostile = '\u001b]'.repeat(200_000) + '\u001b['.repeat(200_000);
  t.false(printable(hostile).includes('\u001b'));
});

function fake(isTTY: boolean) {
  let text = '';
  return {
    isTTY,
    columns: 10,
    write(part: string) {
      text += part;
    },
    take() {
      const all = text;
      text = '';
      return all;
    },
  };
}

test('without a terminal only lines that stay are written', (t) => {
  const output = fake(false);
  const screen = new Screen(output);
  screen.draw(['live']);
  screen.line('stays');
  screen.draw(['live']);
  screen.clear();
  t.is(output.take(), 'stays\n');
});

test('on a terminal the foot is redrawn in place, at most ten times a second, cut to the width', (t) => {
  const output = fake(true);
  let now = 0;
  const screen = new Screen(output, () => now);
  screen.draw(['0123456789abc', 'two']);
  t.is(output.take(), '012345678\ntwo\n');
  now = 50;
  screen.draw(['three']);
  t.is(output.take(), '');
  now = 120;
  screen.draw(['three']);
  t.is(output.take(), '\r\u001b[2A\u001b[0Jthree\n');
  screen.line('stays');
  t.is(output.take(), '\r\u001b[1A\u001b[0Jstays\n');
  screen.draw(['four']);
  t.is(output.take(), 'four\n');
});

test('whatever a screen is given, it writes no control of anybody else', (t) => {
  const output = fake(true);
  const screen = new Screen({...output, columns: 40}, () => 0);
  screen.line('warning: \u001b[2J\u202Eb\u0007');
  screen.draw(['model \u001b]0;title\u0007name\nof two lines', 'x\ty']);
  t.is(output.take(), 'warning: b\nmodel name of two lines\nx y\n');
});

test('JSON shows every character, and reads back as the same value', (t) => {
  const value = {'k\u202Ey': 'a\u009b31m\u007f\u{E0041}\ud800 é 漢 👩\u200d💻', n: [1, null]};
  for (const indent of [undefined, 2]) {
    const text = jsonText(value, indent);
    t.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
    t.is(printable(text), text);
    t.true(text.includes('é 漢 👩\u200d💻'));
  }
});

test('commands write to a terminal by print, jsonText or a screen alone', async (t) => {
  const root = fileURLToPath(new URL('../../../src/', import.meta.url));
  const files = (await readdir(root, {recursive: true})).filter((name) => name.endsWith('.ts'));
  t.true(files.length > 100);
  for (const name of files) {
    // the latter two hold scripts that run in a sandbox and write to its pipes
    if (['cli/terminal.ts', 'reward/code/sandbox/deno-attacks.ts', 'reward/code/sandbox/deno-runner.ts'].includes(name))
      continue;
    const text = await readFile(join(root, name), 'utf8');
    t.notRegex(text, /process\.std(?:out|err)\.write|console\.|'inherit'/, name);
    // a stream by another name: JSON lines of a grader
    const writes = [...text.matchAll(/\b(?:output|stdout|stderr|out)\.write\((.*)/g)].map(([, argument]) => argument);
    const allowed = name === 'cli/grade-input.ts' ? [/^`\$\{jsonText\(/] : [];
    for (const write of writes)
      t.true(
        allowed.some((form) => form.test(write as string)),
        `${name}: ${write}`,
      );
  }
});
