import type {CodeTests} from '../types.js';
import {behindHashes, boxedAnswer, toLevel} from './answer.js';
import {choicesOf, letterOfAnswer, renderChoices, toChoices} from './choices.js';
import type {Reading} from './collect.js';
import {quote, type Row} from './row.js';

/** How rows become questions; part of `RunConfig['data']`. */
export interface QuestionFormat {
  /** Names of the fields, or paths such as `choices.text.0`. */
  readonly fields: {
    readonly id: string;
    readonly question: string;
    readonly answer: string;
    readonly level: string;
    readonly subject?: string;
    readonly choices?: string;
    readonly tests?: string;
    readonly setup?: string;
    readonly entryPoint?: string;
    readonly prefix?: string;
  };
  /** The question's text, with `{field}` for what is filled in; `{{` and `}}` are braces. Left out: the field `question`, with the options below it for `choice`. */
  readonly template?: string;
  /**
  Where the gold answer stands in the answer field: all of it, after the last `####`, or in the last `\boxed{}`. `choice`: it names the right
  one of the options in `fields.choices` by label, place from 0 or letter, and the gold answer is its letter.
  */
  readonly answer: 'field' | 'gsm8k' | 'boxed' | 'choice';
}

const defaultChoiceTemplate = '{question}\n\n{choices}\n\nAnswer with the letter of the right option.';

/** A row as a question. What has no answer in the wanted form comes back without one. */
export function toQuestion(row: Row, format: QuestionFormat): Reading {
  const {fields} = format;
  const text = textOf(row, format);
  const tests = testsOf(row, format);
  // A program has no gold answer.
  const rawAnswer = tests === undefined ? row.scalar(fields.answer) : (row.optionalText(fields.answer) ?? '');
  const id = row.get(fields.id) ?? row.number;
  if (typeof id !== 'string' && typeof id !== 'number')
    return row.fail(`text or a number in the field ${JSON.stringify(fields.id)}`, row.describe(id));
  const levelField = row.get(fields.level);
  const level = toLevel(levelField);
  const subject = fields.subject === undefined ? undefined : row.optionalText(fields.subject);
  return {
    question: {
      id: String(id),
      text,
      answer: tests === undefined ? goldOf(row, format, rawAnswer) : '',
      ...(level !== undefined && {level}),
      ...(subject !== undefined && {subject}),
      ...(tests !== undefined && {tests}),
    },
    noAnswer: () => row.problem(answerWords[format.answer], quote(rawAnswer.slice(-60))),
    hasOddLevel: levelField != null && levelField !== '' && level === undefined,
  };
}

function goldOf(row: Row, format: QuestionFormat, raw: string): string {
  if (format.answer === 'choice')
    return letterOfAnswer(row, choicesOf(row, choicesField(format)), row.get(format.fields.answer));
  return extract(raw, format.answer)?.trim() ?? '';
}

function testsOf(row: Row, {fields}: QuestionFormat): CodeTests | undefined {
  if (fields.tests === undefined) return undefined;
  const given = row.get(fields.tests);
  const asserts = typeof given === 'string' && given.trim() !== '' ? [given] : row.texts(fields.tests);
  if (asserts.length === 0) row.fail(`tests in the field ${JSON.stringify(fields.tests)}`, 'none');
  const named = (['setup', 'entryPoint', 'prefix'] as const).flatMap((name) => {
    const field = fields[name];
    const value = field === undefined ? undefined : row.optionalText(field);
    return value === undefined ? [] : [[name, value] as const];
  });
  return {asserts, ...Object.fromEntries(named)};
}

const answerWords = {
  field: 'an answer',
  gsm8k: 'an answer after #### (data.answer: gsm8k)',
  boxed: 'an answer in \\boxed{} (data.answer: boxed)',
  choice: 'an answer',
};

function extract(raw: string, where: Exclude<QuestionFormat['answer'], 'choice'>): string | undefined {
  if (where === 'field') return raw;
  return where === 'boxed' ? boxedAnswer(raw) : behindHashes(raw);
}

function choicesField({fields}: QuestionFormat): string {
  return fields.choices ?? 'choices';
}

function textOf(row: Row, format: QuestionFormat): string {
  const {fields, template = format.answer === 'choice' ? defaultChoiceTemplate : undefined} = format;
  if (template === undefined) return row.text(fields.question);
  const text = template.replace(/\{\{|\}\}|\{([\w.-]+)\}/g, (whole, name: string | undefined) => {
    if (name === undefined) return whole.charAt(0);
    // `{question}` and the like mean what the configuration calls so.
    const path = Object.hasOwn(fields, name) ? (fields[name as keyof typeof fields] as string) : name;
    return name === 'choices' ? renderChoices(choicesOf(row, choicesField(format))) : render(row, path);
  });
  return text.trim() === '' ? row.fail('text from data.template', 'none') : text;
}

function render(row: Row, path: string): string {
  const value = row.get(path);
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const choices = toChoices(value);
  return choices === undefined
    ? row.fail(`text, a number or options in the field ${JSON.stringify(path)} of data.template`, row.describe(value))
    : renderChoices(choices);
}
