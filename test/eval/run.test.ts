import {appendFile, readFile, truncate} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {toMarkdown} from '../../src/eval/markdown.js';
import type {EvalEvent, EvalPlan} from '../../src/eval/plan.js';
import type {EvalReport, EvalResult} from '../../src/eval/report.js';
import {runEvaluation} from '../../src/eval/run.js';
import {AnswerStore} from '../../src/eval/store.js';
import {StrategyStore} from '../../src/eval/strategies.js';
import type {RewardFunction} from '../../src/types.js';
import {benchmarkOf, planOf, scriptedModel, sumsDifficulty} from '../helpers/eval-plan.js';
import {folderWith} from '../helpers/folder.js';
import type {Script} from '../helpers/scripted-policy.js';
import {sums, sumsScript} from '../helpers/sums.js';

interface RunOptions {
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: EvalEvent) => void;
}

async function run(folder: string, plan: EvalPlan, options: RunOptions = {}): Promise<EvalReport> {
  const answers = await AnswerStore.open(path.join(folder, 'samples.jsonl'));
  const strategies = await StrategyStore.open(path.join(folder, 'strategies.jsonl'));
  try {
    return await runEvaluation(plan, {answers, strategies, ...options});
  } finally {
    await answers.close();
    await strategies.close();
  }
}

const lines = async (folder: string) =>
  (await readFile(path.join(folder, 'samples.jsonl'), 'utf8'))
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));

const meanOf = (result: EvalResult | undefined, name: string) =>
  result?.scores.find((score) => score.name === name)?.interval.mean;

/** As `numeric`, by text; it says what was answered. */
const letters: RewardFunction = Object.assign(
  ({question, text}: Parameters<RewardFunction>[0]) => {
    const answer = /\\boxed\{(.*?)\}/.exec(text)?.[1];
    const isCorrect = answer === question.answer;
    return {isCorrect, isWellFormed: answer !== undefined, ...(answer !== undefined && {answer})};
  },
  {sameAnswer: (a: string, b: string) => Number(a) === Number(b)},
);

const ann = () => scriptedModel('ann', sumsScript(0.3));
const bob = () => scriptedModel('bob', sumsScript(0.7));
const eve = () => scriptedModel('eve', sumsScript(0.5));

test('two models on two benchmarks: scores of each, from what each has written', async (t) => {
  const folder = await folderWith(t);
  const benchmarks = [benchmarkOf('sums', sums, letters), benchmarkOf('few', sums.slice(0, 7), letters)];
  const report = await run(folder, planOf([ann(), bob()], benchmarks));
  t.deepEqual(
    report.results.map(({benchmark, mode, model, questions}) => [benchmark, mode, model, questions]),
    [
      ['sums', 'solo', 'ann', 30],
      ['sums', 'solo', 'bob', 30],
      ['few', 'solo', 'ann', 7],
      ['few', 'solo', 'bob', 7],
    ],
  );
  const written = (await lines(folder)).filter(({model, benchmark}) => model === 'bob' && benchmark === 'sums');
  t.is(written.length, 150);
  const [, result] = report.results;
  t.is(meanOf(result, 'greedy'), 1);
  const correct = sums.map(({id}) =>
    written.filter((line) => line.question === id && line.sample !== null && line.isCorrect),
  );
  const mean = correct.reduce((sum, own) => sum + own.length / 4, 0) / 30;
  t.true(Math.abs((meanOf(result, 'mean@4') as number) - mean) < 1e-12);
  t.true(Math.abs((meanOf(result, 'pass@1') as number) - mean) < 1e-12);
  t.is(meanOf(result, 'pass@4'), correct.filter((own) => own.length > 0).length / 30);
  t.true(mean > 0.1 && mean < 0.5);
  const figures = result?.sampled;
  t.is(figures?.answers, 120);
  t.is(
    figures?.tokens,
    written.filter(({sample}) => sample !== null).reduce((sum, {tokens}) => sum + tokens, 0),
  );
  t.is(figures?.wellFormed, written.filter(({sample, isWellFormed}) => sample !== null && isWellFormed).length / 120);
  t.deepEqual(
    result?.levels.map(({value, questions}) => [value, questions]),
    [
      ['1', 10],
      ['2', 10],
      ['3', 10],
    ],
  );
});

test('maj@k is the vote of the first k samples, and pass@k of any k', async (t) => {
  // by question and sample: 7 right, others wrong; q0: 7 8 8 9, q1: 7 7 8 8, q2: nothing four times, q3: 7.0 8 7 9
  const said: Readonly<Record<string, readonly string[]>> = {
    q0: ['7', '8', '8', '9'],
    q1: ['7', '7', '8', '8'],
    q2: ['', '', '', ''],
    q3: ['7.0', '8', '7', '9'],
  };
  const questions = Object.keys(said).map((id) => ({id, text: id, answer: '7'}));
  const counts = new Map<string, number>();
  const script: Script = ({prompt, isGreedy}) => {
    const id = /q\d/.exec(prompt)?.[0] as string;
    if (isGreedy) return '\\boxed{7}';
    const sample = 3 - (counts.get(id) ?? 0); // the scripted policy gives the last sample first
    counts.set(id, 4 - sample);
    const answer = said[id]?.[sample];
    return answer === '' ? 'Nothing.' : `\\boxed{${answer}}`;
  };
  const isSame = (a: string, b: string) => Number(a) === Number(b);
  const reward: RewardFunction = Object.assign(
    ({question, text}: Parameters<RewardFunction>[0]) => {
      const answer = /\\boxed\{(.*?)\}/.exec(text)?.[1];
      const isCorrect = answer !== undefined && isSame(answer, question.answer);
      return {isCorrect, isWellFormed: true, ...(answer !== undefined && {answer})};
    },
    {sameAnswer: isSame},
  );
  const plan = planOf([scriptedModel('ann', script)], [benchmarkOf('votes', questions, reward)], {
    settings: {k: [1, 2, 3, 4]},
  });
  const [result] = (await run(await folderWith(t), plan)).results;
  const scores = Object.fromEntries(result?.scores.map(({name, interval}) => [name, interval.mean]) ?? []);
  // maj: k=1 7 7 – 7; k=2 7(tie, first) 7 – 7(tie, first); k=3 8 7 – 7; k=4 8 7(tie, first) – 7
  t.deepEqual(
    [1, 2, 3, 4].map((k) => scores[`maj@${k}`]),
    [0.75, 0.75, 0.5, 0.5],
  );
  // right of four: 1 2 0 2; pass@2 = 1 − C(4−c, 2)/6: 1/2 5/6 0 5/6
  t.deepEqual(scores['mean@4'], 5 / 16);
  t.true(Math.abs((scores['pass@2'] as number) - (0.5 + 5 / 6 + 5 / 6) / 4) < 1e-12);
  t.is(scores['pass@4'], 0.75);
});

test('a reward that says right without an answer has no votes', async (t) => {
  const silent: RewardFunction = () => ({isCorrect: true, isWellFormed: true});
  const plan = planOf([ann(), bob(), eve()], [benchmarkOf('sums', sums.slice(0, 4), silent)], {
    settings: {modes: ['solo', 'debate'], rounds: 1, samples: 1, k: [1]},
  });
  const {results} = await run(await folderWith(t), plan);
  t.deepEqual(
    results[0]?.scores.map(({name}) => name),
    ['greedy', 'mean@1', 'pass@1'],
  );
  t.false(results.some(({isVote}) => isVote));
});

test('interrupted anywhere and gone on with, an evaluation gives the same bytes', async (t) => {
  const plan = () =>
    planOf([ann(), bob()], [benchmarkOf('sums', sums, letters), benchmarkOf('few', sums.slice(0, 7), letters)], {
      settings: {modes: ['solo', 'debate', 'idea3'], strategy: 'fixed', rounds: 1, samples: 2, k: [1, 2]},
    });
  const whole = JSON.stringify(await run(await folderWith(t), plan()));
  const folder = await folderWith(t);
  let stops = 0;
  for (let stopped = true; stopped; ) {
    const controller = new AbortController();
    let saved = 0;
    const onEvent = (event: EvalEvent) => {
      if (event.type === 'progress' && event.done > event.known && ++saved === 3) controller.abort();
    };
    stopped = await run(folder, plan(), {signal: controller.signal, onEvent}).then(
      (report) => {
        t.is(JSON.stringify(report), whole);
        return false;
      },
      (error) => {
        t.is(error.code, 'ILR_ABORTED');
        return true;
      },
    );
    if (stopped) stops++;
  }
  t.true(stops >= 3, `${stops}`);
  const models = [ann(), bob()];
  const again = await run(folder, {...plan(), models});
  t.is(JSON.stringify(again), whole);
  t.deepEqual(
    models.map(({opened}) => opened.count),
    [0, 0],
  );
});

test('what is there is not asked again: more samples, models, benchmarks', async (t) => {
  const folder = await folderWith(t);
  const small = planOf([ann()], [benchmarkOf('few', sums.slice(0, 8), letters)], {settings: {samples: 2, k: [2]}});
  const before = await run(folder, small);
  const models = [ann(), bob()];
  const larger = planOf(models, [benchmarkOf('sums', sums, letters)], {settings: {samples: 2, k: [2]}});
  const known: number[] = [];
  await run(folder, larger, {
    onEvent: (event) => event.type === 'progress' && known.push(event.known),
  });
  t.is(known[0], 8);
  const written = await lines(folder);
  t.is(new Set(written.map(({key}) => key)).size, written.length);
  t.is(written.length, 2 * 30 * 3);
  t.deepEqual(await run(folder, small), before);
  t.deepEqual(
    models.map(({opened}) => [opened.count, opened.closed]),
    [
      [1, 1],
      [1, 1],
    ],
  );
});

test('another seed, prompt, temperature, model or grader is asked anew', async (t) => {
  const folder = await folderWith(t);
  const benchmark = benchmarkOf('few', sums.slice(0, 2), letters);
  const plan = planOf([ann()], [benchmark], {settings: {samples: 1, k: [1]}});
  await run(folder, plan);
  const changed: EvalPlan[] = [
    planOf([ann()], [benchmark], {settings: {samples: 1, k: [1], seed: 6}}),
    {...plan, models: [{...ann(), temperature: 0.5}]},
    {...plan, models: [{...ann(), identity: 'other'}]},
    {...plan, models: [{...ann(), system: 'Be careful.'}]},
    {...plan, models: [{...ann(), details: {topP: 0.9}}]},
    {...plan, benchmarks: [{...benchmark, rewardName: 'math'}]},
    {...plan, benchmarks: [{...benchmark, questions: [{...sums[0], answer: '2'}, sums[1]] as typeof sums}]},
    {...plan, versions: {'ilr-native': '1'}},
  ];
  let asked = 4;
  for (const other of changed) {
    await run(folder, other);
    asked += other.benchmarks[0]?.questions[0]?.answer === '2' ? 2 : 4;
    t.is((await lines(folder)).length, asked);
  }
});

test('a line that was left half written is written again; a line of something else is named', async (t) => {
  const folder = await folderWith(t);
  const plan = planOf([ann()], [benchmarkOf('sums', sums, letters)]);
  const report = await run(folder, plan);
  const file = path.join(folder, 'samples.jsonl');
  const whole = await readFile(file);
  await truncate(file, whole.length - 30);
  t.deepEqual(await run(folder, plan), report);
  t.is((await lines(folder)).length, 150);
  await appendFile(file, '{"key": 1}\n');
  await t.throwsAsync(run(folder, plan), {code: 'ILR_CHECKPOINT', message: /samples\.jsonl:151: expected an answer/});
});

/** Alone it is wrong; with a peer's box before it, it repeats that. */
const copier: Script = ({prompt}) => {
  if (/Peer: /.test(prompt)) return /Peer: .*?(\\boxed\{-?\d+\})/.exec(prompt)?.[1] ?? 'none';
  return '\\boxed{-1}';
};

async function together(t: ExecutionContext, settings: Partial<EvalPlan['settings']>) {
  const plan = planOf(
    [scriptedModel('ann', copier), scriptedModel('bob', sumsScript(0))],
    [benchmarkOf('sums', sums, letters)],
    {
      settings: {
        modes: ['solo', 'debate', 'idea3'],
        rounds: 1,
        strategy: 'cooperative',
        samples: 2,
        k: [1, 2],
        ...settings,
      },
    },
  );
  const folder = await folderWith(t);
  return {report: await run(folder, plan), folder, plan};
}

test('solo, debate and idea3: what a peer brings, and tests between modes', async (t) => {
  const {report, folder} = await together(t, {});
  const greedy = report.results.map((result) => [result.mode, result.model, meanOf(result, 'greedy')]);
  t.deepEqual(greedy, [
    ['solo', 'ann', 0],
    ['solo', 'bob', 1],
    ['debate', 'ann', 1],
    ['debate', 'bob', 1],
    ['idea3', 'ann', 1],
    ['idea3', 'bob', 1],
  ]);
  const annSoloDebate = report.comparisons.find(
    ({family, first, second}) => family === 'modes, greedy' && first.model === 'ann' && second.mode === 'debate',
  );
  t.like(annSoloDebate, {firstHigher: 0, secondHigher: 30, test: 'mcnemar'});
  const near = (p: number | undefined, expected: number) => Math.abs((p as number) / expected - 1) < 1e-12;
  t.true(near(annSoloDebate?.p, 2 ** -29));
  const family = report.comparisons.filter((comparison) => comparison.family === 'modes, greedy');
  t.is(family.length, 6); // three pairs of modes of ann and of bob
  t.true(near(annSoloDebate?.adjustedP, 6 * 2 ** -29));
  const written = await lines(folder);
  t.true(written.filter(({mode}) => mode === 'idea3').every(({strategy}) => strategy === 'cooperative'));
  const solo = written.find(({mode, model, sample}) => mode === 'solo' && model === 'bob' && sample === null);
  const fused = written.find(
    (line) => line.mode === 'idea3' && line.model === 'bob' && line.question === solo.question && line.sample === null,
  );
  t.true(fused.tokens > 2 * solo.tokens);
});

test('the adaptive strategy is measured once and kept', async (t) => {
  const reward = letters;
  const adaptive = {
    difficulty: {...sumsDifficulty, estimator: 'field' as const},
    choose: 'agent' as const,
    validation: sums.slice(0, 10),
    reward,
    rewardName: 'letters',
  };
  const plan = planOf([ann(), bob()], [benchmarkOf('sums', sums, reward)], {
    settings: {modes: ['idea3'], strategy: 'adaptive', samples: 0, k: []},
    adaptive,
  });
  const folder = await folderWith(t);
  const report = await run(folder, plan);
  const [line] = (await readFile(path.join(folder, 'strategies.jsonl'), 'utf8'))
    .split('\n')
    .filter(Boolean)
    .map((text) => JSON.parse(text));
  t.deepEqual(line.abilities, [1, 1]);
  // ability 1 is above every difficulty: P > 0.5
  t.true(line.strategies.flat().every((strategy: string) => strategy === 'competitive'));
  const models = [ann(), bob()];
  t.deepEqual(await run(folder, {...plan, models}), report);
  t.is(models[0]?.opened.count, 0);
});

test('a model that stands in a group twice is loaded once and answers twice', async (t) => {
  const model = ann();
  const plan = planOf([model], [benchmarkOf('few', sums.slice(0, 5), letters)], {
    group: [0, 0],
    settings: {modes: ['debate'], rounds: 2, samples: 1, k: [1]},
  });
  const {results} = await run(await folderWith(t), plan);
  t.deepEqual(
    results.map(({model: name}) => name),
    ['ann', 'ann (2)'],
  );
  t.deepEqual(model.opened, {count: 1, closed: 1});
});

test('what has no room in the context, or cannot be graded, is a failure and counts as wrong', async (t) => {
  const questions = [...sums.slice(0, 3), {id: 'long', text: `${'9'.repeat(300)} 1+1=?`, answer: '2'}];
  const strict: RewardFunction = ({question}) => {
    if (question.id === 'q1') throw new Error('out of order');
    return {isCorrect: true, isWellFormed: true, answer: question.answer};
  };
  const folder = await folderWith(t);
  const model = scriptedModel('ann', sumsScript(0), {contextLength: 200});
  const plan = planOf([model], [benchmarkOf('few', questions, strict)], {settings: {samples: 0, k: []}});
  const warnings: string[] = [];
  const onEvent = (event: EvalEvent) => event.type === 'warning' && warnings.push(event.message);
  const [result] = (await run(folder, plan, {onEvent})).results;
  t.deepEqual(warnings, [
    'ann on few, solo: 2 of 4 answers could not be given or graded and count as wrong; the first, of ann to question q1: out of order',
  ]);
  t.is(meanOf(result, 'greedy'), 0.5);
  t.is(result?.greedy?.failed, 0.5);
  const failures = (await lines(folder))
    .filter(({failure}) => failure)
    .map(({question, failure}) => [question, failure]);
  t.deepEqual(failures, [
    ['q1', 'out of order'],
    ['long', 'the question has no room in the context'],
  ]);
});

test('the Markdown has a table for each benchmark and mode, and nothing of a name in it is markup', async (t) => {
  const model = {...ann(), name: '<b>ann</b> | [x](http://a.b) @team `c`'};
  const plan = planOf([model, bob()], [benchmarkOf('sums_1', sums.slice(0, 6), letters)]);
  const text = toMarkdown(await run(await folderWith(t), plan));
  t.regex(text, /^# Evaluation\n/);
  t.true(text.includes('### sums\\_1, solo\n'));
  t.regex(text, /\| model \| questions \| greedy % \[95 %\] \| mean@4 % \[95 %\] \| pass@1 %/);
  t.regex(text, /\| bob \| 6 \| 100\.0 \[100\.0, 100\.0\] \|/);
  t.true(text.includes('\\<b\\>ann\\</b\\> \\| [x\\](http:\\//a.b) \\@team \\`c\\`'));
  t.regex(text, /models, greedy: 1 test, McNemar’s exact test/);
});

test('a failing model leaves what was answered before it', async (t) => {
  const folder = await folderWith(t);
  const broken = {...bob(), open: () => Promise.reject(new Error('no weights'))};
  const plan = planOf([ann(), broken], [benchmarkOf('few', sums.slice(0, 4), letters)]);
  await t.throwsAsync(run(folder, plan), {message: 'no weights'});
  t.is((await lines(folder)).length, 20);
});

test('a form that nobody keeps to is said loudly, and warnings of one kind are counted', async (t) => {
  const warnings: string[] = [];
  const onEvent = (event: EvalEvent) => event.type === 'warning' && warnings.push(event.message);
  const mute = scriptedModel('ann', () => 'I do not know.');
  await run(await folderWith(t), planOf([mute], [benchmarkOf('sums')], {settings: {samples: 1, k: [1]}}), {onEvent});
  t.is(warnings.length, 1);
  t.regex(warnings[0] as string, /^ann on sums, solo: NOT ONE of 60 answers is well-formed for the reward numeric/);
  warnings.length = 0;
  const short = [scriptedModel('ann', sumsScript(0), {contextLength: 70}), scriptedModel('bob', sumsScript(0))];
  const settings = {modes: ['debate'] as const, rounds: 1, samples: 0, k: []};
  await run(await folderWith(t), planOf(short, [benchmarkOf('sums')], {settings}), {onEvent});
  t.is(warnings.length, 4);
  t.is(warnings[3], '… and 27 more warnings of this kind');
});

test('a benchmark with a prompt of its own is asked with it, in every mode', async (t) => {
  const seen = new Set<string>();
  const script: Script = ({prompt}) => {
    seen.add(prompt);
    return '\\boxed{1}';
  };
  const benchmark = {...benchmarkOf('code', sums.slice(0, 1), letters), prompt: 'Write a program: {question}'};
  const plan = planOf(
    [scriptedModel('ann', script), scriptedModel('bob', script)],
    [benchmark, benchmarkOf('sums', sums.slice(0, 1), letters)],
    {
      settings: {modes: ['solo', 'debate', 'idea3'], rounds: 1, strategy: 'fixed', samples: 0, k: []},
    },
  );
  const {benchmarks} = await run(await folderWith(t), plan);
  t.is(benchmarks[0]?.prompt, 'Write a program: {question}');
  const own = [...seen].filter((prompt) => prompt.startsWith('<|user|>Write a program: 0+1=?'));
  t.true(own.some((prompt) => /solve it again\.\n\nWrite a program: 0\+1=\?<\|end\|><\|assistant\|>$/.test(prompt)));
  t.true(own.some((prompt) => /have learned\.\n\nWrite a program: 0\+1=\?<\|end\|><\|assistant\|>$/.test(prompt)));
  t.true([...seen].some((prompt) => prompt.startsWith('<|user|>0+1=?')));
});

test('three models vote over their answers, alone and together', async (t) => {
  const wrong: Script = ({prompt}) => (prompt.includes('Peer: ') ? '\\boxed{-2}' : '\\boxed{-1}');
  const models = [scriptedModel('ann', wrong), scriptedModel('bob', copier), scriptedModel('eve', sumsScript(0))];
  const plan = planOf(models, [benchmarkOf('sums', sums.slice(0, 6), letters)], {
    settings: {modes: ['solo', 'debate'], rounds: 1, samples: 1, k: [1]},
  });
  const {results, comparisons} = await run(await folderWith(t), plan);
  const votes = results.filter(({isVote}) => isVote);
  // alone: −1, −1 and the sum; together: −2, one of its peers' (−1 or the sum, by the drawn order), and the sum
  t.is(meanOf(votes[0], 'greedy'), 0);
  t.deepEqual(
    votes.map(({mode, greedy}) => [mode, greedy]),
    [
      ['solo', undefined],
      ['debate', undefined],
    ],
  );
  const bob = meanOf(
    results.find(({mode, model}) => mode === 'debate' && model === 'bob'),
    'greedy',
  );
  t.true((bob as number) > 0);
  t.is(meanOf(votes[1], 'greedy'), bob);
  t.true(
    comparisons.some(
      ({family, first, second}) => family === 'modes, greedy' && first.model === 'vote' && second.mode === 'debate',
    ),
  );
  t.false(
    comparisons.some(
      ({family, first, second}) => family.startsWith('models') && [first.model, second.model].includes('vote'),
    ),
  );
});
