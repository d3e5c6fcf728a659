import {copyFile, mkdir} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {benchmarks, findBenchmark, readBenchmark, type Split} from '../../src/data/benchmarks.js';
import type {Question} from '../../src/types.js';
import {folderWith} from '../helpers/folder.js';

/** Rows written by hand, in the columns and types of the hub's files: Parquet by golden/make_parquet.py, JSON here. */

const golden = (name: string) => fileURLToPath(new URL(`../../../test/data/golden/${name}`, import.meta.url));

/** Puts the hand-written file of a set in place of each of the hub's. */
async function readHub(
  t: ExecutionContext,
  name: string,
  split: Split,
  content?: string,
): Promise<readonly Question[]> {
  const {hub} = findBenchmark(name);
  const files = hub.files.map((file) => join(name, file));
  const folder = await folderWith(
    t,
    content === undefined ? {} : Object.fromEntries(files.map((file) => [file, content])),
  );
  if (content === undefined)
    for (const file of files) {
      await mkdir(dirname(join(folder, file)), {recursive: true});
      await copyFile(golden(`${name}.parquet`), join(folder, file));
    }
  return (await readBenchmark(name, {split, folder, env: {}})).questions;
}

const choice = (question: string, options: string) =>
  `${question}\n\n${options}\n\nAnswer with the letter of the right option.`;

test('GSM8K', async (t) => {
  t.deepEqual(await readHub(t, 'gsm8k', 'train'), [
    {id: 'train/1', text: 'Ann has 2 pens and buys 1,003 more. How many has she?', answer: '1,005'},
    {id: 'train/2', text: 'What is 3 minus 5?', answer: '-2'},
  ]);
});

test('MATH: the files of seven subjects are one split', async (t) => {
  const questions = await readHub(t, 'math', 'test');
  t.is(questions.length, 14);
  t.deepEqual(questions.slice(0, 2), [
    {id: 'test/1', text: 'What is $\\frac12$ of 3?', answer: '\\frac{3}{2}', level: 2, subject: 'Algebra'},
    {id: 'test/2', text: 'What is $1+1$?', answer: '2', subject: 'Algebra'},
  ]);
});

test('MATH-500', async (t) => {
  const row = {
    problem: 'p',
    solution: 's',
    answer: '\\pi',
    subject: 'Algebra',
    level: 3,
    unique_id: 'test/algebra/1.json',
  };
  t.deepEqual(await readHub(t, 'math500', 'test', `${JSON.stringify(row)}\n`), [
    {id: 'test/algebra/1.json', text: 'p', answer: '\\pi', level: 3, subject: 'Algebra'},
  ]);
});

test('Minerva', async (t) => {
  t.deepEqual(await readHub(t, 'minerva_math', 'test', '{"question": "q", "answer": "1.6"}\n'), [
    {id: 'test/1', text: 'q', answer: '1.6'},
  ]);
});

test('OlympiadBench: several answers, a context, a unit', async (t) => {
  t.deepEqual(await readHub(t, 'olympiadbench', 'test'), [
    {id: '7', text: 'Find all $x$ with $x^2=4$.', answer: '-2,2', subject: 'Algebra'},
    {
      id: '9',
      text: 'A triangle has equal sides.\n\nHow wide is the angle?\n\nGive the answer in $^{\\circ}$, without the unit.',
      answer: '60',
      subject: 'Geometry',
      tolerance: {absolute: 0.1},
    },
  ]);
});

test('AMC23, AIME24 and AIME25', async (t) => {
  t.deepEqual(await readHub(t, 'amc23', 'test'), [{id: '0', text: 'What is 9 times 3?', answer: '27'}]);
  t.deepEqual(await readHub(t, 'aime24', 'test'), [{id: '60', text: 'What is $6\\cdot 34$?', answer: '204'}]);
  t.deepEqual(await readHub(t, 'aime25', 'test', '{"problem": "p", "answer": "070", "id": "0"}\n'), [
    {id: '0', text: 'p', answer: '070'},
  ]);
});

test('MBPP: name and first test are told, setup is kept; only the rest of the tests is hidden', async (t) => {
  const [question] = await readHub(t, 'mbpp', 'test');
  t.deepEqual(question, {
    id: '11',
    text:
      'Write a function to add a pair. Name it `add_pair`. It should pass this test, and others like it:\n\n' +
      '```python\nassert add_pair(Pair(1, 2)) == 3\n```',
    answer: '',
    tests: {
      asserts: ['assert add_pair(Pair(1, 2)) == 3', 'assert add_pair(Pair(2, 2)) == 4'],
      setup: 'root = 1',
      entryPoint: 'add_pair',
    },
  });
});

test('MBPP, sanitised: imports are the setup', async (t) => {
  const [question] = await readHub(t, 'mbpp_sanitized', 'test');
  t.deepEqual(question?.tests, {
    asserts: ['assert math.isclose(halve(3), 1.5)'],
    setup: 'import math',
    entryPoint: 'halve',
  });
});

test('HumanEval', async (t) => {
  const prefix = 'def twice(n: int) -> int:\n    """Twice n."""\n';
  t.deepEqual(await readHub(t, 'humaneval', 'test'), [
    {
      id: 'HumanEval/0',
      text: `Complete this Python function.\n\n\`\`\`python\n${prefix.trim()}\n\`\`\``,
      answer: '',
      tests: {asserts: ['def check(candidate):\n    assert candidate(2) == 4\n'], entryPoint: 'twice', prefix},
    },
  ]);
});

test('ARC-Challenge: labels that are numbers become letters', async (t) => {
  for (const split of ['train', 'validation', 'test'] as const)
    t.deepEqual(await readHub(t, 'arc_challenge', split), [
      {id: 'X_1', text: choice('Which is hot?', 'A. ice\nB. fire'), answer: 'B'},
      {id: 'X_2', text: choice('Which is wet?', 'A. sand\nB. stone\nC. rain'), answer: 'C'},
    ]);
});

test('MMLU-STEM: eighteen subjects, the answer is a place', async (t) => {
  const questions = await readHub(t, 'mmlu_stem', 'test');
  t.is(questions.length, 18);
  t.deepEqual(questions[0], {
    id: 'test/1',
    text: choice('What is 2 + 2?', 'A. 1\nB. 2\nC. 3\nD. 4'),
    answer: 'D',
    subject: 'elementary_mathematics',
  });
});

test('TheoremQA: pictures are left out, lists stay lists, what is not whole has a tolerance', async (t) => {
  const questions = await readHub(t, 'theoremqa', 'test');
  t.deepEqual(
    questions.map(({answer}) => answer),
    ['True', '[2, 3]', '(b)', '0.25'],
  );
  t.deepEqual(
    questions.map(({tolerance}) => tolerance),
    [undefined, undefined, undefined, {relative: 0.04}],
  );
});

test('SciBench: twenty files; the unit is told, and the answer is the number before it', async (t) => {
  const row = {
    problem_text: ' How hot? ',
    answer_number: '+37',
    unit: ' $\\mathrm{~K}$\r\n',
    source: 'atkins',
    problemid: ' 1',
  };
  const questions = await readHub(t, 'scibench', 'test', JSON.stringify([row, {...row, unit: ' '}]));
  t.is(questions.length, 40);
  t.deepEqual(questions.slice(0, 2), [
    {
      id: 'test/1',
      text: 'How hot?\n\nThe unit of the answer is $\\mathrm{~K}$. Give the number without it.',
      answer: '37',
      subject: 'atkins',
      tolerance: {relative: 0.05},
    },
    {id: 'test/2', text: 'How hot?', answer: '37', subject: 'atkins', tolerance: {relative: 0.05}},
  ]);
});

test('our own layout comes first, and a layout must be whole', async (t) => {
  const line = '{"question": "q", "answer": "#### 1"}\n';
  const both = await folderWith(t, {'gsm8k/test.jsonl': line, 'gsm8k/main/test-00000-of-00001.parquet': 'broken'});
  t.is((await readBenchmark('gsm8k', {folder: both, env: {}})).questions.length, 1);
  const part = await folderWith(t, {'math/algebra/test-00000-of-00001.parquet': 'one of seven'});
  await t.throwsAsync(readBenchmark('math', {folder: part, env: {}}), {code: 'ILR_IO', message: /and 6 more/});
});

test('sets are looked for in ILR_DATA, then where pull puts them', async (t) => {
  const folder = await folderWith(t, {
    'own/gsm8k/test.jsonl': '{"question": "own", "answer": "#### 1"}\n',
    'cache/datasets/gsm8k/test.jsonl': '{"question": "pulled", "answer": "#### 1"}\n',
    'cache/datasets/math500/test.jsonl': '{"problem": "pulled", "answer": "1"}\n',
  });
  const env = {ILR_DATA: join(folder, 'own'), ILR_CACHE: join(folder, 'cache')};
  t.is((await readBenchmark('gsm8k', {env})).questions[0]?.text, 'own');
  t.is((await readBenchmark('math500', {env})).questions[0]?.text, 'pulled');
});

test('every set names a repository and the files of it', (t) => {
  for (const {name, hub, splits, layouts} of benchmarks) {
    t.regex(hub.repo, /^[\w-]+\/[\w-]+$/, name);
    t.is(new Set(hub.files).size, hub.files.length, name);
    for (const split of splits) t.true((layouts[split]?.length ?? 0) > 0, name);
  }
});
