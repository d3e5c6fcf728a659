import {behindHashes, boxedAnswer, toLevel} from '../answer.js';
import {type Benchmark, benchmark, reading} from '../benchmark.js';
import type {Row} from '../row.js';

const local = (split: string) => [`${split}.jsonl`];

const gsm8k = benchmark({
  name: 'gsm8k',
  title: 'GSM8K',
  description: 'word problems of grade school, whole numbers as answers',
  reward: 'math',
  repo: 'openai/gsm8k',
  files: {
    train: {local: local('train'), hub: ['main/train-00000-of-00001.parquet']},
    test: {local: local('test'), hub: ['main/test-00000-of-00001.parquet']},
  },
  read: (row, place) => reading(row, place, {text: row.text('question'), answer: behindHashes(row.text('answer'))}),
});

const mathSubjects = [
  'algebra',
  'counting_and_probability',
  'geometry',
  'intermediate_algebra',
  'number_theory',
  'prealgebra',
  'precalculus',
];

const math = benchmark({
  name: 'math',
  title: 'MATH',
  description: 'competition problems of seven subjects and five levels (Hendrycks et al.)',
  reward: 'math',
  repo: 'EleutherAI/hendrycks_math',
  files: {
    train: {local: local('train'), hub: mathSubjects.map((subject) => `${subject}/train-00000-of-00001.parquet`)},
    test: {local: local('test'), hub: mathSubjects.map((subject) => `${subject}/test-00000-of-00001.parquet`)},
  },
  read: (row, place) => {
    const level = toLevel(row.get('level'));
    const found = reading(row, place, {
      id: row.get('unique_id'),
      text: row.text('problem'),
      answer: boxedAnswer(row.text('solution')),
      level,
      subject: row.optionalText('type', 'subject'),
    });
    return {...found, hasOddLevel: level === undefined};
  },
});

const math500 = benchmark({
  name: 'math500',
  title: 'MATH-500',
  description: '500 problems of the test split of MATH (Lightman et al.)',
  reward: 'math',
  repo: 'HuggingFaceH4/MATH-500',
  files: {test: {local: local('test'), hub: ['test.jsonl']}},
  read: (row, place) =>
    reading(row, place, {
      id: row.get('unique_id'),
      text: row.text('problem'),
      answer: row.scalar('answer'),
      level: toLevel(row.get('level')),
      subject: row.optionalText('subject'),
    }),
});

const minerva = benchmark({
  name: 'minerva_math',
  title: 'Minerva',
  description: 'undergraduate problems of science and mathematics (MIT OpenCourseWare)',
  reward: 'math',
  repo: 'math-ai/minervamath',
  files: {test: {local: local('test'), hub: ['test.jsonl']}},
  read: (row, place) =>
    reading(row, place, {
      id: row.get('idx'),
      text: row.text('problem', 'question'),
      answer: row.scalar('answer'),
      subject: row.optionalText('type'),
    }),
});

const olympiadbench = benchmark({
  name: 'olympiadbench',
  title: 'OlympiadBench',
  description: 'olympiad problems in English, text only, mathematics, with final answers',
  reward: 'math',
  repo: 'Hothan/OlympiadBench',
  files: {
    test: {local: local('test'), hub: ['OlympiadBench/OE_TO_maths_en_COMP/OE_TO_maths_en_COMP.parquet']},
  },
  read: (row, place) => {
    const context = row.optionalText('context');
    const unit = row.optionalText('unit');
    const parts = [context, row.text('question'), unit && `Give the answer in ${inMath(unit)}, without the unit.`];
    return reading(row, place, {
      id: row.get('id'),
      text: parts.filter((part) => part !== undefined).join('\n\n'),
      answer: finalAnswer(row),
      ...toleranceOf(row),
      subject: row.optionalText('subfield'),
    });
  },
});

/** The answers are a list of one text, in which several stand behind commas, each in dollars or all together. */
function finalAnswer(row: Row): string {
  const value = row.get('final_answer');
  const list = typeof value === 'string' ? [value] : row.texts('final_answer');
  return list.join(', ').replaceAll('$', '');
}

/** One row has an `error`, absolute. */
function toleranceOf(row: Row) {
  const absolute = Number(row.optionalText('error'));
  return absolute > 0 && {tolerance: {absolute}};
}

/** As LaTeX, where it is LaTeX without its dollars. */
function inMath(unit: string): string {
  const text = unit.trim();
  return /[\\^]/.test(text) && !text.includes('$') ? `$${text}$` : text;
}

const amc23 = benchmark({
  name: 'amc23',
  title: 'AMC23',
  description: 'AMC 12 of 2023, whole numbers as answers',
  reward: 'math',
  repo: 'math-ai/amc23',
  files: {test: {local: local('test'), hub: ['test-00000-of-00001.parquet']}},
  read: (row, place) =>
    reading(row, place, {id: row.get('id'), text: row.text('question', 'problem'), answer: row.scalar('answer')}),
});

const aime = (year: '24' | '25', repo: string, hub: readonly string[]): Benchmark =>
  benchmark({
    name: `aime${year}`,
    title: `AIME${year}`,
    description: `AIME I and II of 20${year}, whole numbers from 0 to 999 as answers`,
    reward: 'math',
    repo,
    files: {test: {local: local('test'), hub}},
    read: (row, place) =>
      reading(row, place, {id: row.get('id'), text: row.text('problem', 'question'), answer: row.scalar('answer')}),
  });

export const mathsBenchmarks: readonly Benchmark[] = [
  gsm8k,
  math,
  math500,
  minerva,
  olympiadbench,
  amc23,
  // The hub calls its only split `train`; for us it is what is tested on.
  aime('24', 'HuggingFaceH4/aime_2024', ['data/train-00000-of-00001.parquet']),
  aime('25', 'math-ai/aime25', ['test.jsonl']),
];
