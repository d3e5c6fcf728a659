import {type Benchmark, benchmark, reading} from '../benchmark.js';
import type {Row} from '../row.js';

const prompt =
  '{question}\n\nThink step by step, then answer with the whole program, all that it imports included, in one ```python block.';

const hubFiles = (folder: string, names: readonly string[]) =>
  names.map((name) => `${folder}/${name}-00000-of-00001.parquet`);

/** The task in the set's words, the function's name, and the first of the tests; the others are not shown, so that answers cannot be copied from them. */
function mbppParts(row: Row) {
  const task = row.text('text', 'prompt').trim();
  const asserts = row.texts('test_list');
  const entryPoint = calledFunction(row.optionalText('code') ?? '', asserts[0] ?? '');
  const setup =
    row.optionalText('test_setup_code') ??
    (row.first('test_imports') === undefined ? '' : row.texts('test_imports').join('\n'));
  const name = entryPoint === undefined ? '' : ` Name it \`${entryPoint}\`.`;
  return {
    id: row.get('task_id'),
    text: `${task}${name} It should pass this test, and others like it:\n\n\`\`\`python\n${(asserts[0] ?? '').trim()}\n\`\`\``,
    tests: {
      asserts,
      ...(setup !== '' && {setup}),
      ...(entryPoint !== undefined && {entryPoint}),
    },
  };
}

/** What the reference defines and a test calls; of several (a class that is an argument) the one that is called first. */
function calledFunction(code: string, test: string): string | undefined {
  const defined = [...code.matchAll(/^(?:def|class)[ \t]+(\w+)/gm)].map((match) => match[1] as string);
  const called = defined.map((name) => ({name, at: test.search(new RegExp(`\\b${name}\\s*\\(`))}));
  return called.filter(({at}) => at >= 0).sort((a, b) => a.at - b.at)[0]?.name;
}

const mbpp = (name: string, title: string, description: string, folder: string): Benchmark =>
  benchmark({
    name,
    title,
    description,
    reward: 'code',
    prompt,
    repo: 'google-research-datasets/mbpp',
    files: {
      // What is not tested on: the hub's prompt, validation and train splits, in the order of the task ids.
      train: {local: ['train.jsonl'], hub: hubFiles(folder, ['prompt', 'validation', 'train'])},
      test: {local: ['test.jsonl'], hub: hubFiles(folder, ['test'])},
    },
    read: (row, place) => reading(row, place, mbppParts(row)),
  });

const humaneval = benchmark({
  name: 'humaneval',
  title: 'HumanEval',
  description: 'Python functions to be completed from signature and docstring (OpenAI)',
  reward: 'code',
  prompt,
  repo: 'openai/openai_humaneval',
  files: {test: {local: ['test.jsonl'], hub: ['openai_humaneval/test-00000-of-00001.parquet']}},
  read: (row, place) => {
    const prefix = row.text('prompt');
    return reading(row, place, {
      id: row.get('task_id'),
      text: `Complete this Python function.\n\n\`\`\`python\n${prefix.trim()}\n\`\`\``,
      tests: {asserts: [row.text('test')], entryPoint: row.text('entry_point').trim(), prefix},
    });
  },
});

export const codeBenchmarks: readonly Benchmark[] = [
  mbpp('mbpp', 'MBPP', 'short Python programs, with three tests each (Google)', 'full'),
  mbpp('mbpp_sanitized', 'MBPP, sanitised', 'the part of MBPP that was verified by hand', 'sanitized'),
  humaneval,
];
