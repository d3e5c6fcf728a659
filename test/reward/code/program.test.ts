import test from 'ava';
import {findProgram} from '../../../src/reward/code/program.js';

const add = 'def add(a, b):\n    return a + b';
const find = (text: string, options: Partial<Parameters<typeof findProgram>[1]> = {}) =>
  findProgram(text, {names: ['add'], ...options});
const fence = (code: string, language = 'python') => `\`\`\`${language}\n${code}\n\`\`\``;

test('the last fenced Python block that defines what is asked for', (t) => {
  t.is(find(`First:\n${fence('x = 1')}\nThen:\n${fence(add)}\nUse it:\n${fence('print(add(1, 2))')}`), add);
  t.is(find(`${fence('def add(a, b): return 0')}\nNo:\n${fence(add)}`), add);
  t.is(find(`${fence('def other(): pass')}\n${fence('y = 2')}`), 'y = 2'); // none defines it: the last
  t.is(find(`<think>${fence('def add(a, b): return 0')}</think>\n${fence(add, 'py')}`), add);
  t.is(find(fence('add = lambda a, b: a + b')), 'add = lambda a, b: a + b');
});

test('else the last fenced block without a language; blocks in another language are no programs', (t) => {
  t.is(find(`${fence(add, '')}\n${fence('3', 'text')}`), add);
  t.is(find(`${fence(add, '')}\n${fence(add.replace('+', '-'), 'Python3')}`), add.replace('+', '-'));
  t.is(find(fence('int add(int a, int b) { return a + b; }', 'c')), undefined);
  t.is(find(fence('   ')), undefined);
});

test('fences of any length and indentation, with attributes, CRLF, and one that is never closed', (t) => {
  t.is(find(`~~~~python\n${add}\n~~~~`), add);
  t.is(find(`\`\`\`\`python\n${add}\n"""\n\`\`\`\nx\n\`\`\`\n"""\n\`\`\`\``), `${add}\n"""\n\`\`\`\nx\n\`\`\`\n"""`);
  t.is(find(`1. So:\n   \`\`\`python title="a.py"\n   def add(a, b):\n       return a + b\n   \`\`\``), add);
  t.is(find(fence(`\n    import re\n\n${add.replace(/^/gm, '    ')}`)), `\nimport re\n\n${add}`);
  t.is(find(fence(add).replaceAll('\n', '\r\n')), add);
  t.is(find(`\`\`\`python\n${add}`), add);
  t.is(find(`\`\`\`python\n${add}`, {isCutOff: true}), undefined);
  t.is(find(`${fence(add)}\nand \`\`\`python\ndef ad`, {isCutOff: true}), add);
});

const prefix = 'import math\n\ndef add(a, b):\n    """ Adds. """\n';

test('with a prefix, text without a fence goes on from it, up to the first statement at the margin', (t) => {
  const body = '    c = a\n\n    return c + b\n';
  t.is(find(body, {prefix}), `${prefix}${body}`);
  t.is(
    find(`${body}\ndef helper():\n    pass\n\nprint(add(1, 2))\nassert 1\n`, {prefix}),
    `${prefix}${body}\ndef helper():\n    pass\n`,
  );
  t.is(find(`${body}\n# Test it\n    x`, {prefix}), `${prefix}${body}`);
  t.is(find(`${body}\ndef helper():\n    pa`, {prefix, isCutOff: true}), `${prefix}${body}`);
  t.is(find(' \n', {prefix}), undefined);
  t.is(find('    return a + b', {prefix: 'def add(a, b):'}), 'def add(a, b):\n    return a + b');
});

test('a block or a text that defines the function itself stands without the prefix; a body in a block goes on from it', (t) => {
  t.is(find(fence(add), {prefix}), add);
  t.is(find(add, {prefix}), add);
  t.is(find(fence('    return a + b'), {prefix}), `${prefix}    return a + b`);
});

test('text that begins as Python does is a program, up to where it no longer looks so', (t) => {
  t.is(find(`${add}\nx = add(1, 2)\n[DONE]\nmore`), `${add}\nx = add(1, 2)`);
  t.is(find(`Here is the function:\n\nimport re\n${add}\n\nIt adds the two numbers.`), `import re\n${add}\n`);
  const whole = `LIMIT = 3\nWORDS = """\nNo code here.\n"""\n${add}\n    # end`;
  t.is(find(`${whole}\n\nThat is all.`), `${whole}\n`);
  t.is(find('n = 3 is what I get.'), undefined);
  t.is(find('I would add the two numbers.'), undefined);
  t.is(find(''), undefined);
});

test('a text that was made to be slow to read is read at once', (t) => {
  const long = 300_000;
  for (const text of [
    `\`\`\`${' '.repeat(long)}\``,
    `${'`'.repeat(long)}a\``,
    `\`\`\`python\n${'\t'.repeat(long)}print()`,
    `${' '.repeat(long)}\`\`\``,
    '```\nx\n```\n'.repeat(long / 10),
    `from a import ${'b '.repeat(long)}`,
    `import a\n${'a'.repeat(long)} b`,
  ]) {
    t.notThrows(() => [find(text), find(text, {prefix})]); // minutes, and an expression too long to compile, before
  }
  const indent = '\t'.repeat(long);
  t.true(
    find(`\`\`\`python\n${indent}def add(a, b):\n${indent} return a + b\n\`\`\``) === 'def add(a, b):\n return a + b',
  );
});
