import type {Question} from '../../../src/types.js';
import {sandboxTest} from '../../helpers/sandbox.js';
import {scriptedAgent} from '../../helpers/scripted-policy.js';
import {run, type ScriptedAgent} from '../../helpers/scripted-run.js';
import {sums, sumsConfig} from '../../helpers/sums.js';

/** A function that adds to a number what the question says; the last question's test compares the program with itself. */
const questions: readonly Question[] = sums.slice(0, 8).map((question, i) => ({
  id: question.id,
  text: question.text,
  answer: '',
  tests: {asserts: i === 7 ? ['assert f(0) == f(0)'] : [`assert f(0) == ${2 * i + 1}`, `assert f(-1) == ${2 * i}`]},
}));

const programs = {
  right: (sum: number) => `def f(x): return x + ${sum}`,
  half: (sum: number) => `def f(x): return ${sum}`,
  wrong: () => 'def f(x): return -99',
  cheat: () => 'import os\nos._exit(0)',
} as const;

const worth = {right: 1, half: 0.5, wrong: 0, cheat: 0} as const;

function agent(name: string): ScriptedAgent {
  return scriptedAgent(name, ({prompt, draw}) => {
    const [, a, b] = /(\d+)\+(\d+)/.exec(prompt) as RegExpExecArray;
    const kinds = Object.keys(programs) as (keyof typeof programs)[];
    const kind = kinds[Math.floor(draw * kinds.length)] ?? 'right';
    return `# ${kind}\n\`\`\`python\n${programs[kind](Number(a) + Number(b))}\n\`\`\``;
  });
}

sandboxTest(
  'a run that is rewarded by code trains on the share of tests, and leaves out what its tests cannot grade',
  async (t) => {
    const config = sumsConfig({
      method: 'grpo',
      steps: 2,
      reward: {function: 'code'},
      dialogue: {maxNewTokens: {share: 200, analyse: 200, fuse: 200}},
    });
    const {result, error, recorder, events} = await run({
      config,
      agents: [agent('ann'), agent('bob')],
      options: {questions: {train: questions, validation: questions.slice(0, 2), test: questions.slice(0, 2)}},
    });
    t.is(error, undefined);
    t.is(result?.stopped, false);
    const rollouts = recorder.groups.flat().flatMap((group) => group.rollouts);
    t.true(rollouts.length > 0);
    for (const {text, reward, isCorrect, isWellFormed, failure} of rollouts) {
      const kind = /# (\w+)/.exec(text)?.[1] as keyof typeof worth;
      t.deepEqual(
        {reward, isCorrect, isWellFormed, failure},
        {reward: worth[kind], isCorrect: kind === 'right', isWellFormed: true, failure: undefined},
      );
    }
    t.is(new Set(rollouts.map(({reward}) => reward)).size, 3);
    t.false(recorder.groups.flat().some(({question}) => question.id === 'q7'));
    t.true(events.some((event) => event.type === 'warning' && /q7|cannot be graded/.test(event.message)));
  },
);
