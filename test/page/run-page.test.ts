import test from 'ava';
import {toRunPage} from '../../src/page/run-page.js';
import type {RunRecord} from '../../src/record/read-run.js';
import {type Element, elementsOf, hostileTexts, readMarkup, textOf} from '../helpers/markup.js';

function runOf(say: (word: string) => string = String): RunRecord {
  const [ann, bob] = [say('ann'), say('bob')];
  const evaluation = (agent: string, greedy: readonly number[]) => ({
    agent,
    questionIds: greedy.map((_, i) => `${i}`),
    greedy: [...greedy],
    sampled: [],
  });
  return {
    name: say('demo'),
    method: 'ilr',
    steps: 2,
    agents: [ann, bob],
    config: say('method: ilr'),
    metrics: [
      {step: 0, [`${ann}/eval/greedy`]: 0.25, [`${bob}/eval/greedy`]: 0.5},
      {step: 1, [`${ann}/accuracy/solo`]: 0.5, [`${bob}/accuracy/solo`]: 0.75, seconds: 3, [`${ann}/${say('own')}`]: 1},
    ],
    dialogues: [
      {
        step: 1,
        question: say('q1'),
        agent: ann,
        stage: 'fusion',
        strategy: say('cooperative'),
        turns: [{author: bob, role: say('peers'), text: say('peer')}],
        rollouts: [
          {text: say('four'), reward: 0.1, isCorrect: false, isWellFormed: true, finishReason: say('stop')},
          {
            text: say('none'),
            reward: 0,
            isCorrect: false,
            isWellFormed: false,
            finishReason: 'stop',
            failure: say('late'),
          },
        ],
      },
    ],
    before: [evaluation(ann, [0, 0, 0, 1]), evaluation(bob, [0, 1, 0, 1])],
    latest: [evaluation(ann, [0, 1, 1, 1]), evaluation(bob, [0, 1, 0, 1])],
    versions: {[say('node')]: say('22')},
    isFinished: true,
  };
}

const titles = (page: Element) =>
  elementsOf(page)
    .filter(({name}) => name === 'figcaption')
    .map(textOf);

test('what the run gave, in pairs, and a chart for every figure', (t) => {
  const page = readMarkup(toRunPage(runOf()));
  const rows = elementsOf(page)
    .filter(({name}) => name === 'tr')
    .map((row) => row.children.map((cell) => (typeof cell === 'string' ? cell : textOf(cell))));
  t.deepEqual(rows[1]?.slice(0, 2), ['ann', 'before']);
  t.is(rows[1]?.[3], '25.0');
  t.is(rows[2]?.[2], '75.0');
  t.regex(rows[2]?.[4] ?? '', /^\+50\.0 (?:0\.0|\+\d+\.\d) to \+\d+\.\d$/);
  t.regex(rows[4]?.[4] ?? '', /^0\.0 0\.0 to 0\.0$/);
  t.deepEqual(titles(page), [
    'Accuracy alone, in training',
    'Accuracy alone on the test questions',
    'seconds',
    '…/own',
  ]);
});

test('hostile names and texts add no element and no attribute', (t) => {
  const shape = (page: Element) =>
    elementsOf(page)
      .map(({name, attributes}) => [name, ...attributes.keys()].join(' '))
      .filter((one) => !/^p\b/.test(one)) // a text that is cut says so in a paragraph
      .sort();
  const plain = shape(readMarkup(toRunPage(runOf())));
  for (const hostile of hostileTexts) {
    const page = readMarkup(toRunPage(runOf((word) => `${hostile.slice(0, 3000)} ${word}`)));
    t.deepEqual(shape(page), plain);
    t.notRegex(textOf(page), /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/u);
  }
});

test('a run that has only begun, and one of thousands of steps', (t) => {
  const {before: _, latest: __, versions: ___, ...rest} = runOf();
  const begun = readMarkup(toRunPage({...rest, metrics: [], dialogues: [], isFinished: false}));
  t.true(textOf(begun).includes('0 of 2 steps done'));
  t.true(textOf(begun).includes('No step is done yet'));
  const metrics = Array.from({length: 20_000}, (_, step) => ({step, 'ann/accuracy/solo': step / 20_000}));
  const page = toRunPage({...rest, metrics});
  t.true(page.length < 200_000);
  const curves = elementsOf(readMarkup(page)).filter(({attributes}) => attributes.get('class')?.includes('curve s0'));
  const [faint, mean] = [true, false].map((isFaint) =>
    curves.find(({attributes}) => attributes.get('d') && attributes.get('class')?.includes('faint') === isFaint),
  );
  t.regex(faint?.attributes.get('d') ?? '', /L1000\.0 1\.[23]$/); // buckets of 50 steps: the last is at 19974.5 / 20000
  t.regex(mean?.attributes.get('d') ?? '', /L1000\.0 26\.[23]$/); // and the mean of a thousand is 499.5 behind
});
