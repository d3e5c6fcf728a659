import type {Command} from 'commander';
import {runSchema} from '../config.js';
import {readConfigFile} from '../config-file.js';
import {type Benchmark, benchmarks, isThere} from '../data/benchmarks.js';
import {type DataDescription, describeQuestions} from '../data/describe.js';
import {describeNear, describeSame, findOverlap, nearestFirst} from '../data/overlap.js';
import type {QuestionFormat} from '../data/questions.js';
import {benchmarkOf, readSource} from '../data/source.js';
import {IlrError} from '../errors.js';
import {loadRewardFunction} from '../reward/reward.js';
import type {Question} from '../types.js';
import {collect, count} from './options.js';
import {jsonText, print} from './terminal.js';

interface DataArguments {
  readonly against?: readonly string[];
  readonly config?: string;
  readonly field?: readonly string[];
  readonly answer?: string;
  readonly template?: string;
  readonly folder?: string;
  readonly reward?: string;
  readonly show: number;
  readonly json?: boolean;
}

const help = `
A source is a file (JSON lines, JSON, CSV, Parquet; also .gz) or a data set by name, with its split where it is not test: gsm8k, math:train.
  $ ilr-native data                                     the data sets that are known by name, and which are here
  $ ilr-native data math:train --against math500        is the test among what is trained on?
  $ ilr-native data q.csv --field question=problem --answer boxed
docs/data.md says how files are read.`;

export function register(program: Command): void {
  program
    .command('data')
    .description(
      'Say what data sets and question files hold: counts, first questions, answers that cannot be graded, what they share.',
    )
    .argument('[sources...]', 'files, or data sets by name; the list of those that are known when left out')
    .option('--against <source>', 'report questions that stand in this one too, or nearly so; may be repeated', collect)
    .option('--config <file>', "take fields, template and folder from a run's configuration")
    .option(
      '--field <name=field>',
      'a key of data.fields and the name of the field, such as question=problem; may be repeated',
      collect,
    )
    .option('--answer <where>', 'where the gold answer stands: field, gsm8k, boxed or choice (default: field)')
    .option('--template <text>', 'the text of a question, such as "{question}\\n\\n{choices}"')
    .option('--folder <folder>', 'where data sets lie (default: ILR_DATA, then where pull puts them)')
    .option(
      '--reward <name>',
      'who says which answers can be graded (default: math; the tests of programs are read with code alone)',
    )
    .option('--show <count>', 'questions to print', count, 1)
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action(dataCommand);
}

async function dataCommand(sources: readonly string[], options: DataArguments): Promise<void> {
  if (sources.length === 0) {
    print(process.stdout, await listText(options));
    return;
  }
  const described = await describeSources(sources, options);
  print(process.stdout, options.json ? `${jsonText(described, 2)}\n` : described.map(textOf).join('\n'));
}

/** Each source by itself, and against each of the others that are named. */
export async function describeSources(
  sources: readonly string[],
  options: Partial<DataArguments> = {},
): Promise<DataDescription[]> {
  const data = await settingsOf(options);
  const read = (source: string) =>
    readSource(source, {format: data, split: 'test', folder: data.folder, env: process.env});
  const others = new Map<string, readonly Question[]>();
  for (const source of options.against ?? []) others.set(source, (await read(source)).questions);
  const described: DataDescription[] = [];
  for (const source of sources) {
    const {questions, warnings, numRows} = await read(source);
    described.push({
      source,
      rows: numRows,
      warnings,
      ...describeQuestions(questions, options.show ?? 1),
      ungradable: await ungradableOf(source, questions, options.reward),
      overlaps: [...others].map(([against, theirs]) => ({
        against,
        questions: theirs.length,
        ...findOverlap(questions, theirs),
      })),
    });
  }
  return described;
}

async function settingsOf({config, field = [], answer, template, folder}: Partial<DataArguments>) {
  const base =
    config === undefined ? runSchema.shape.data.parse({train: ''}) : (await readConfigFile(config)).config.data;
  const parsed = runSchema.shape.data.safeParse({
    ...base,
    fields: {...base.fields, ...fieldsOf(field)},
    ...(answer !== undefined && {answer}),
    // What a shell hands over has no line breaks of its own.
    ...(template !== undefined && {template: template.replaceAll('\\n', '\n')}),
    ...(folder !== undefined && {folder}),
  });
  if (parsed.success) return parsed.data satisfies QuestionFormat;
  const [issue] = parsed.error.issues;
  throw new IlrError(
    'ILR_INVALID_ARGUMENT',
    `--${issue?.path[0] === 'fields' ? 'field' : String(issue?.path[0])}: ${issue?.message}`,
  );
}

function fieldsOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const match = /^(\w+)=(.+)$/.exec(pair);
      if (match) return [match[1], match[2]];
      throw new IlrError(
        'ILR_INVALID_ARGUMENT',
        `--field: expected name=field, such as question=problem, got ${JSON.stringify(pair)}`,
      );
    }),
  );
}

async function ungradableOf(
  source: string,
  questions: readonly Question[],
  wanted: string | undefined,
): Promise<DataDescription['ungradable']> {
  const name =
    wanted ?? (questions.some(({tests}) => tests !== undefined) ? 'code' : (benchmarkOf(source)?.reward ?? 'math'));
  // A sandbox has to run them.
  if (name === 'code' && wanted === undefined) return undefined;
  const reward = await loadRewardFunction(name, process.cwd());
  try {
    await reward.prepare?.(questions);
    const found = questions.filter((question) => reward.accepts?.(question) === false);
    return {reward: name, questions: found.map(({id, answer}) => ({id, answer}))};
  } finally {
    await reward.close?.();
  }
}

function textOf(described: DataDescription): string {
  const {source, rows, questions, warnings, levels, subjects, length, first, repeated, ungradable, overlaps} =
    described;
  const lines = [
    `${source}: ${questions} questions${rows === questions ? '' : ` of ${rows} rows`}, of ${length.median} characters (median), at most ${length.longest}`,
    ...warnings.map((warning) => `  warning: ${warning}`),
    ...countsLine('levels', levels),
    ...countsLine('subjects', subjects),
    ...(repeated.length > 0
      ? [`  repeated: ${repeated.length} have the words of an earlier one: ${examples(repeated.map(describeSame))}`]
      : []),
    ungradable === undefined
      ? '  gold answers: programs are graded by their tests; --reward code reads them'
      : `  gold answers: ${ungradable.questions.length === 0 ? 'all' : `all but ${ungradable.questions.length}`} can be graded by ${ungradable.reward}` +
        ungradable.questions
          .slice(0, 5)
          .map(({id, answer}) => `\n    ${id}: ${JSON.stringify(answer.slice(0, 80))}`)
          .join(''),
    ...overlaps.flatMap(({against, questions: total, same, near}) => [
      `  against ${against} (${total} questions): ${same.length} the same, ${near.length} nearly so${same.length + near.length > 0 ? `: ${examples([...same.map(describeSame), ...nearestFirst(near).map(describeNear)])}` : ''}`,
    ]),
    ...first.map(
      ({id, text, answer, tests}) =>
        `\n--- ${id}\n${text}\n--- ${tests === undefined ? `gold answer: ${answer}` : `${tests.asserts.length} tests of ${tests.entryPoint ?? 'a program'}`}`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function countsLine(name: string, counts: Readonly<Record<string, number>>): string[] {
  const entries = Object.entries(counts);
  if (entries.length === 0) return [];
  const shown = entries.slice(0, 30).map(([value, number]) => `${value}: ${number}`);
  return [`  ${name}: ${shown.join(', ')}${entries.length > 30 ? `, … (${entries.length})` : ''}`];
}

function examples(texts: readonly string[]): string {
  return `${texts.slice(0, 5).join('; ')}${texts.length > 5 ? '; …' : ''}`;
}

async function listText({folder, json}: DataArguments): Promise<string> {
  const rows = await Promise.all(
    benchmarks.map(async (benchmark) => ({benchmark, here: await splitsHere(benchmark, folder)})),
  );
  if (json)
    return `${JSON.stringify(
      rows.map(({benchmark: {name, title, description, splits, reward, hub}, here}) => ({
        name,
        title,
        description,
        splits,
        reward,
        hub,
        here,
      })),
      undefined,
      2,
    )}\n`;
  return rows
    .map(({benchmark: {name, title, description, splits}, here}) => {
      const state = here.length === 0 ? `not here: ilr-native pull ${name}` : `here: ${here.join(', ')}`;
      return `${name.padEnd(16)}${title}: ${description}\n${' '.repeat(16)}${splits.join(', ')}; ${state}\n`;
    })
    .join('');
}

async function splitsHere(benchmark: Benchmark, folder: string | undefined): Promise<string[]> {
  const there = await Promise.all(
    benchmark.splits.map((split) => isThere(benchmark.name, {split, folder, env: process.env})),
  );
  return benchmark.splits.filter((_, i) => there[i]);
}
