import {readFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {EvalFolder} from '../../src/eval/folder.js';
import {toPage} from '../../src/eval/page.js';
import type {ShownQuestion} from '../../src/eval/page-answers.js';
import type {EvalReport} from '../../src/eval/report.js';
import {runEvaluation} from '../../src/eval/run.js';
import type {Question} from '../../src/types.js';
import {benchmarkOf, planOf, scriptedModel} from '../helpers/eval-plan.js';
import {folderWith} from '../helpers/folder.js';
import {type Element, elementsOf, hostileTexts, readMarkup, textOf} from '../helpers/markup.js';
import {sums, sumsScript} from '../helpers/sums.js';

const names =
  'html head meta style title body header p h1 nav a main section h2 h3 div table thead tr th tbody td svg circle line rect text bdi span small ' +
  'code br em strong details summary pre dl dt dd ul li footer';

const interval = (mean: number, low: number, high: number) => ({mean, low, high});

/** Two models on one benchmark, with every part of a report; `say` gives each name and text. */
function reportOf(say: (word: string) => string): EvalReport {
  const scores = (mean: number) => [
    {name: 'greedy', interval: interval(mean, mean - 0.05, mean + 0.05)},
    {name: 'maj@4', interval: interval(mean + 0.1, mean, mean + 0.2)},
  ];
  const result = (model: string, mean: number) => ({
    benchmark: say('sums'),
    mode: 'solo' as const,
    model: say(model),
    isVote: false,
    questions: 30,
    scores: scores(mean),
    greedy: {answers: 30, wellFormed: 1, truncated: 0.1, failed: 0, tokens: 600, tokensPerAnswer: 20},
    levels: [{value: say('1'), questions: 10, scores: scores(mean)}],
    subjects: [{value: say('Adding'), questions: 30, scores: scores(mean)}],
  });
  const model = (name: string) => ({
    name: say(name),
    folder: say(`models/${name}`),
    identity: say('0123456789abcdef'),
    dtype: say('float32'),
    device: say('cpu'),
    prompt: say('{question}'),
    system: say('Be kind.'),
    temperature: 1,
    maxNewTokens: 40,
  });
  return {
    format: 1,
    versions: {[say('ilr-native')]: say('1')},
    settings: {seed: 0, modes: ['solo'], samples: 4, k: [4], level: 0.95, resamples: 1000},
    models: [model('ann'), model('bob')],
    benchmarks: [
      {
        name: say('sums'),
        description: say('Sums.'),
        reward: say('numeric'),
        questions: 30,
        identity: say('fedcba'),
        leftOut: [{id: say('q31'), answer: say('many')}],
      },
    ],
    results: [result('ann', 0.5), result('bob', 0.7)],
    comparisons: [
      {
        family: say('models, greedy'),
        benchmark: say('sums'),
        first: {model: say('ann'), mode: 'solo'},
        second: {model: say('bob'), mode: 'solo'},
        score: 'greedy',
        test: 'mcnemar',
        questions: 30,
        difference: interval(0.2, 0.05, 0.35),
        firstHigher: 2,
        secondHigher: 8,
        p: 0.02,
        adjustedP: 0.04,
      },
    ],
  };
}

function shownOf(say: (word: string) => string): ShownQuestion[] {
  const answer = {mode: 'solo' as const, sample: null, isWellFormed: true, tokens: 5, finishReason: 'stop' as const};
  return [
    {
      benchmark: say('sums'),
      id: say('q1'),
      text: say('1+2=?'),
      answer: say('3'),
      level: 1,
      subject: say('Adding'),
      answers: [
        {...answer, model: say('ann'), text: say('\\boxed{3}'), answer: say('3'), isCorrect: true},
        {...answer, model: say('bob'), text: say('oops'), failure: say('thrown'), isCorrect: false},
      ],
    },
  ];
}

const cellsOf = (row: Element) => row.children.map((cell) => (typeof cell === 'string' ? '' : textOf(cell).trim()));

test('figures stand in the tables: the leaderboard by score, comparisons with corrected p, levels and subjects', (t) => {
  const page = toPage(reportOf(String), shownOf(String));
  const rows = elementsOf(readMarkup(page))
    .filter(({name}) => name === 'tr')
    .map(cellsOf);
  const [, first, second] = rows;
  t.deepEqual(first?.slice(0, 1).concat(first.slice(2)), ['bob', '70.0', '65.0 – 75.0']);
  t.deepEqual(second?.slice(0, 1).concat(second.slice(2)), ['ann', '50.0', '45.0 – 55.0']);
  t.true(rows.some((row) => row.join('|') === 'bob|70.065.0 – 75.0|80.070.0 – 90.0|100.0|10.0|0.0|20'));
  t.true(rows.some((row) => row.join('|') === 'Model|110 questions'));
  t.true(rows.some((row) => row.join('|') === 'Model|Adding30 questions'));
  const comparison = rows.find((row) => row.at(-1) === 'told apart');
  t.deepEqual(comparison?.slice(2), ['+20.0+5.0 to +35.0', '2 : 8', '0.0200', '0.0400', 'told apart']);
});

test('many subjects stand below each other, the models beside each other', (t) => {
  const report = reportOf(String);
  const subjects = Array.from({length: 19}, (_, i) => ({
    value: `subject ${i}`,
    questions: 10 + i,
    scores: [{name: 'greedy', interval: interval(i / 20, 0, 1)}],
  }));
  const page = toPage({...report, results: report.results.map((result) => ({...result, subjects}))});
  const rows = elementsOf(readMarkup(page))
    .filter(({name}) => name === 'tr')
    .map(cellsOf);
  t.true(rows.some((row) => row.join('|') === '|bob|ann'));
  t.true(rows.some((row) => row.join('|') === 'subject 1828 questions|90.00.0 – 100.0|90.00.0 – 100.0'));
});

test('hostile names and texts, wherever they come from, add no element and no attribute', (t) => {
  const plain = elementsOf(readMarkup(toPage(reportOf(String), shownOf(String))));
  for (const hostile of hostileTexts) {
    // Short, so that names stay different and a long one does not repeat in every cell; the answer is whole.
    const say = (word: string) => `${hostile.slice(0, 60)} ${word}`;
    const shown = shownOf(say).map((question) => ({...question, text: hostile}));
    const page = readMarkup(toPage(reportOf(say), shown));
    const elements = elementsOf(page);
    t.deepEqual(
      elements
        .map(({name, attributes}) => [name, ...attributes.keys()].join(' '))
        .filter((one) => !/^p|^pre/.test(one)),
      plain.map(({name, attributes}) => [name, ...attributes.keys()].join(' ')).filter((one) => !/^p|^pre/.test(one)),
    );
    for (const {name, attributes} of elements) {
      t.true(names.split(' ').includes(name), name);
      for (const key of attributes.keys()) t.notRegex(key, /^on|^style$|^src|^action/);
      if (name === 'a') t.regex(attributes.get('href') ?? '', /^#[a-z0-9]+$/);
    }
    t.notRegex(textOf(page), /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/u);
  }
});

test('a long text is cut, and what is left is counted', (t) => {
  const shown = shownOf(String).map((question) => ({
    ...question,
    answers: question.answers.map((answer) => ({...answer, text: '😀'.repeat(1 << 19)})),
  }));
  const page = toPage(reportOf(String), shown);
  t.true(page.length < 60_000);
  t.regex(page, /and 1,045,576 characters more/);
  t.notRegex(page, /\[U\+D8/);
});

test('one model, no comparisons, no samples, no answers', (t) => {
  const {models, results, settings, ...rest} = reportOf(String);
  const page = toPage({
    ...rest,
    models: models.slice(0, 1),
    results: results.slice(0, 1).map((result) => ({...result, levels: [], subjects: []})),
    settings: {...settings, samples: 0, k: []},
    comparisons: [],
  });
  const headings = elementsOf(readMarkup(page)).filter(({name}) => name === 'h2');
  t.deepEqual(headings.map(textOf), ['sums', 'How it was measured']);
});

test('an evaluation’s folder gets the page, with questions of each outcome and their answers', async (t) => {
  const output = await folderWith(t);
  const questions: Question[] = sums.slice(0, 12).map((question) => ({...question, subject: 'sums'}));
  const evil = '<script>alert(1)</script>\u001b[31m';
  const models = [
    scriptedModel('ann', sumsScript(0)),
    scriptedModel('bob', ({prompt}) => (/\D[02468]\+/.test(prompt) ? '\\boxed{-1}' : evil)),
  ];
  const plan = planOf(models, [benchmarkOf('sums', questions)], {settings: {samples: 0, k: []}});
  const folder = await EvalFolder.open(output);
  const write = async () => {
    await folder.write(await runEvaluation(plan, folder), plan);
    return readFile(path.join(output, 'report.html'), 'utf8');
  };
  const page = await write();
  const cards = elementsOf(readMarkup(page)).filter(({attributes}) => attributes.get('class') === 'card');
  t.is(cards.length, 3); // ann is right, bob is not: all questions are of one outcome
  t.true(textOf(cards[1] as Element).includes('<script>alert(1)</script>[U+001B][31m'));
  t.true(textOf(cards[0] as Element).includes('1 of 2 right'));
  t.is(await write(), page, 'the same page again');
  await folder.close();
});
