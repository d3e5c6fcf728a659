import test from 'ava';
import {gradeProgram} from '../../../src/reward/code/grader.js';
import {type ReadTests, testReader} from '../../../src/reward/code/test-reader.js';
import {type Reference, references, spoilers} from '../../helpers/code-references.js';
import {sandboxTest} from '../../helpers/sandbox.js';

/** All of MBPP and more ways to be wrong: bench/grade-code.mjs. */
const every = {mbpp: 8, mbpp_sanitized: 8, humaneval: 2};
/** What no sample leaves out: setup that needs the program, sys in a test, a built-in's name, sets of tuples; other relations than ==; an oracle. */
const always = [
  '367',
  '927',
  '596',
  '126',
  '82',
  '737',
  'HumanEval/32',
  'HumanEval/33',
  'HumanEval/38',
  'HumanEval/53',
];

for (const set of ['mbpp', 'mbpp_sanitized', 'humaneval'] as const) {
  const all = references(set);
  const title = `${set}: reference solutions pass, and the same made to return something else do not`;
  if (!all) {
    test.skip(`${title} (../shared is not there)`, () => undefined);
    continue;
  }
  const sample = all.filter(({id}, i) => i % every[set] === 0 || always.includes(id));
  sandboxTest(title, async (t, sandbox) => {
    const readTests = testReader(sandbox);
    const grade = async ({id, tests, program}: Reference) => {
      const read = await readTests(tests);
      t.true(read.checks.length > 0, id);
      const run = (text: string) => gradeProgram(sandbox, tests, read, `\`\`\`python\n${text}\n\`\`\``);
      const right = await run(program);
      t.true(right.correct, `${id}: ${right.reason}`);
      const wrong = await run(`${program}\n${spoilers.changed(functions(read, program))}`);
      t.false(wrong.correct, id);
      t.notRegex(wrong.reason, /does not load|no program/, id);
    };
    await Promise.all(sample.map(grade));
  });
}

/** A class that only makes arguments stays as it is. */
function functions({names}: ReadTests, program: string): readonly string[] {
  return names.filter((name) => new RegExp(`^def ${name}\\b`, 'm').test(program));
}
