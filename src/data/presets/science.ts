import {type Benchmark, benchmark, reading} from '../benchmark.js';
import {choicesOf, letterOfAnswer, renderChoices} from '../choices.js';
import type {Row} from '../row.js';

/** A question with its options under letters; the gold answer is a letter. */
function choiceParts(row: Row, answerField: string) {
  const choices = choicesOf(row, 'choices');
  return {
    text: `${row.text('question')}\n\n${renderChoices(choices)}\n\nAnswer with the letter of the right option.`,
    answer: letterOfAnswer(row, choices, row.get(answerField)),
  };
}

const arcChallenge = benchmark({
  name: 'arc_challenge',
  title: 'ARC-Challenge',
  description: 'hard multiple-choice questions of science at school (AI2)',
  reward: 'math',
  repo: 'allenai/ai2_arc',
  files: {
    train: {local: ['train.jsonl'], hub: ['ARC-Challenge/train-00000-of-00001.parquet']},
    validation: {hub: ['ARC-Challenge/validation-00000-of-00001.parquet']},
    test: {local: ['test.jsonl'], hub: ['ARC-Challenge/test-00000-of-00001.parquet']},
  },
  read: (row, place) => reading(row, place, {id: row.get('id'), ...choiceParts(row, 'answerKey')}),
});

const stemSubjects = [
  'abstract_algebra',
  'astronomy',
  'college_biology',
  'college_chemistry',
  'college_computer_science',
  'college_mathematics',
  'college_physics',
  'computer_security',
  'conceptual_physics',
  'electrical_engineering',
  'elementary_mathematics',
  'high_school_biology',
  'high_school_chemistry',
  'high_school_computer_science',
  'high_school_mathematics',
  'high_school_physics',
  'high_school_statistics',
  'machine_learning',
];

const mmluStem = benchmark({
  name: 'mmlu_stem',
  title: 'MMLU-STEM',
  description: 'multiple-choice questions of the 18 STEM subjects of MMLU',
  reward: 'math',
  repo: 'cais/mmlu',
  files: {
    test: {local: ['test.jsonl'], hub: stemSubjects.map((subject) => `${subject}/test-00000-of-00001.parquet`)},
  },
  read: (row, place) =>
    reading(row, place, {...choiceParts(row, 'answer'), subject: row.optionalText('type', 'subject')}),
});

const theoremqa = benchmark({
  name: 'theoremqa',
  title: 'TheoremQA',
  description:
    'university questions on theorems of mathematics, physics, finance and electrical engineering, without pictures',
  reward: 'math',
  repo: 'TIGER-Lab/TheoremQA',
  files: {test: {local: ['test.jsonl'], hub: ['data/test-00000-of-00001.parquet']}},
  read: (row, place) => {
    if (row.first('Picture', 'picture') !== undefined) return 'whose question needs a picture';
    return reading(row, place, {
      id: row.get('id'),
      text: row.text('Question'),
      answer: theoremAnswer(row),
      // As TheoremQA's own evaluation compares what is not whole.
      ...(/float/.test(row.optionalText('Answer_type') ?? '') && {tolerance: {relative: 0.04}}),
      subject: row.optionalText('field'),
    });
  },
});

/** Truth values, numbers, lists and options: as JSON, or (on the hub) as Python writes them, which is the same but for truth values. */
function theoremAnswer(row: Row): string {
  const value = row.get('Answer');
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (!Array.isArray(value)) return row.scalar('Answer');
  for (const item of value)
    if (typeof item !== 'number') row.fail('numbers in the list of the field "Answer"', row.describe(item));
  return `[${value.join(', ')}]`;
}

const books = ['atkins', 'calculus', 'chemmc', 'class', 'diff', 'fund', 'matter', 'quan', 'stat', 'thermo'];

const scibench = benchmark({
  name: 'scibench',
  title: 'SciBench',
  description: 'problems of college textbooks of physics, chemistry and mathematics, numbers with units as answers',
  reward: 'math',
  repo: 'xw27/scibench',
  files: {test: {local: ['test.jsonl'], hub: books.flatMap((book) => [`${book}.json`, `${book}_sol.json`])}},
  // As SciBench asks and compares: the unit is told, the answer is the number that stands before it, within 5 %.
  read: (row, place) => {
    const unit = row.optionalText('unit')?.trim();
    const hint =
      unit && unit !== '$'
        ? `\n\nThe unit of the answer is ${unit.replace(/\s+/g, ' ')}. Give the number without it.`
        : '';
    return reading(row, place, {
      text: `${row.text('problem_text').trim()}${hint}`,
      answer: row.scalar('answer_number').trim().replace(/^\+/, '').replaceAll('−', '-'),
      subject: row.optionalText('source'),
      tolerance: {relative: 0.05},
    });
  },
});

export const scienceBenchmarks: readonly Benchmark[] = [arcChallenge, mmluStem, theoremqa, scibench];
