import {join, resolve} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {readConfigFile} from '../src/config-file.js';
import {folderWith} from './helpers/folder.js';

const minimal = 'agents: [{name: a, model: ./m}]\ndata: {train: q.jsonl}\n';

async function configWith(t: ExecutionContext, text: string): Promise<string> {
  return join(await folderWith(t, {'run.yaml': text}), 'run.yaml');
}

/** The message of the refusal, without the file's folder. */
async function refusal(t: ExecutionContext, text: string, overrides: readonly string[] = []): Promise<string> {
  const file = await configWith(t, text);
  const error = await t.throwsAsync(readConfigFile(file, overrides), {code: 'ILR_INVALID_CONFIG'});
  return (error?.message ?? '').replaceAll(file, 'run.yaml');
}

test('defaults are filled in and relative paths are meant from the file', async (t) => {
  const file = await configWith(
    t,
    'agents: [{name: a, model: ./m, tokenizer: ../t}, {name: b, model: /abs}]\n' +
      'data: {train: q.jsonl, validation: v.jsonl, test: t.jsonl}\neval: {data: e.jsonl}\nreward: {function: r.mjs}\noutput: out\n',
  );
  const {config, folder, text} = await readConfigFile(file);
  t.is(config.agents[0]?.model, join(folder, 'm'));
  t.is(config.agents[0]?.tokenizer, resolve(folder, '../t'));
  t.is(config.agents[1]?.model, '/abs');
  t.false('tokenizer' in (config.agents[1] ?? {}));
  t.deepEqual(
    [config.data.train, config.data.validation, config.data.test, config.eval.data],
    ['q.jsonl', 'v.jsonl', 't.jsonl', 'e.jsonl'].map((name) => join(folder, name)),
  );
  t.is(config.reward.function, join(folder, 'r.mjs'));
  t.is(config.output, 'out');
  t.is(config.groupSize, 8);
  t.regex(text, /^agents: /);
  t.is((await readConfigFile(await configWith(t, minimal))).config.reward.function, 'numeric');
});

test('overrides are YAML, reach into lists and make what is missing', async (t) => {
  const overrides = [
    'agents.0.model=m2',
    'agents.0.chat.enable_thinking=false',
    'optimizer.learningRate=1e-4',
    'data.fields={question: problem}',
    'steps=3',
    'steps=4',
    'agents.0.system=',
  ];
  const {config} = await readConfigFile(await configWith(t, minimal), overrides);
  t.is(config.agents[0]?.model, resolve('m2'));
  t.deepEqual(config.agents[0]?.chat, {enable_thinking: false});
  t.is(config.agents[0]?.system, '');
  t.is(config.optimizer.learningRate, 1e-4);
  t.like(config.data.fields, {id: 'id', question: 'problem', answer: 'answer', level: 'level'});
  t.is(config.steps, 4);
});

test('every mistake is told with its place, what was expected and what came', async (t) => {
  const text = `agents:
  - name: a
    modle: x
    temperature: hot
  - name: b
    model: m
data:
  train: q.jsonl
groupSize: 1
calibration: fathful
device: gpu
seed: 1.5
eval: {every: -1}
learningRate: 1
steps: 0
`;
  t.deepEqual((await refusal(t, text)).split('\n'), [
    'run.yaml:2:5: agents[0].model: expected text, got nothing',
    'run.yaml:3:5: expected a known key, got agents[0].modle; did you mean agents[0].model?',
    'run.yaml:4:5: agents[0].temperature: expected a number, got "hot"',
    'run.yaml:9:1: groupSize: a group of one has no advantage: expected at least 2, got 1',
    'run.yaml:10:1: calibration: expected one of faithful, none, got "fathful"',
    'run.yaml:11:1: device: expected auto, cpu, cuda or cuda:N, got "gpu"',
    'run.yaml:12:1: seed: expected a whole number, got 1.5',
    'run.yaml:13:8: eval.every: expected at least 0, got -1',
    'run.yaml:14:1: expected a known key, got learningRate; did you mean optimizer.learningRate?',
    'run.yaml:15:1: steps: expected more than 0, got 0',
  ]);
});

test('a key without a near one gets the list of those known there', async (t) => {
  t.is(
    await refusal(t, `${minimal}save: {zzz: 1}\n`),
    'run.yaml:3:8: expected a known key, got save.zzz; known here: every, keep, best',
  );
});

test('YAML that is broken, repeated, foreign or not a mapping is told by line', async (t) => {
  t.regex(await refusal(t, `${minimal}steps: 1\nsteps: 2\n`), /^run\.yaml:4:1: .*unique/);
  t.regex(await refusal(t, 'a: [1\nb: 2'), /^run\.yaml:2:1: expected YAML/);
  t.regex(await refusal(t, '- 1'), /^run\.yaml:1:1: expected keys and values, got a list of 1/);
  t.regex(await refusal(t, ''), /agents: expected a list, got nothing/);
  t.regex(await refusal(t, `${minimal}reward: !!js/function x\n`), /^run\.yaml:3:9: .*tag/);
  t.regex(await refusal(t, `${minimal}---\na: 1\n`), /^run\.yaml:3:1: .*multiple documents/);
  t.regex(await refusal(t, `${minimal}1: 2\n`), /^run\.yaml:3:1: expected text as a key, got 1/);
});

test('keys of JavaScript’s own are refused everywhere', async (t) => {
  t.regex(await refusal(t, `${minimal}__proto__: {x: 1}\n`), /^run\.yaml:3:1: .*got __proto__/);
  t.regex(await refusal(t, 'agents: [{name: a, model: m, chat: {constructor: 1}}]\ndata: {train: q}\n'), /constructor/);
  for (const override of [
    '__proto__.x=1',
    'agents.0.constructor.x=1',
    'agents.0.chat={a: {__proto__: 1}}',
    'a.prototype=1',
  ])
    t.true((await refusal(t, minimal, [override])).startsWith(`--set ${override}: expected`));
  t.is(({} as Record<string, unknown>).x, undefined);
});

test('an override that cannot be applied names itself', async (t) => {
  const cases: Readonly<Record<string, RegExp>> = {
    a: /expected key=value, such as/,
    '=1': /expected key=value/,
    'a..b=1': /a name between the dots/,
    'steps=abc': /steps: expected a number, got "abc"/,
    'steps.x=1': /steps: expected a number, got keys \(x\)/,
    'optimizer.learningrate=3': /did you mean optimizer\.learningRate\?/,
    'agents.a.model=1': /expected a place from 0 to 0 in agents, got a/,
    'agents.3.model=1': /got 3/,
    'method.x=1': /method: expected one of ilr, grpo, got keys \(x\)/,
    'seed=[': /expected a YAML value/,
    'seed=!!js/function x': /expected a YAML value, got Unresolved tag/,
    'seed=.inf': /seed: expected a (whole )?number, got Infinity/,
    'agents.0.model.x=1': /expected agents\[0\]\.model to hold keys, got "\.\/m"/,
  };
  for (const [override, message] of Object.entries(cases)) {
    const text = await refusal(t, minimal, [override]);
    t.true(text.startsWith(`--set ${override}: `), text);
    t.regex(text, message);
  }
});

test('aliases are few, and an override changes only its own place', async (t) => {
  const shared = 'agents: [&a {name: a, model: m, chat: &c {x: 1}}, {name: b, model: m, chat: *c}]\ndata: {train: q}\n';
  const {config} = await readConfigFile(await configWith(t, shared), ['agents.0.chat.x=2']);
  t.deepEqual(
    config.agents.map((agent) => agent.chat),
    [{x: 2}, {x: 1}],
  );
  const bomb =
    'a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c]\n';
  t.regex(await refusal(t, bomb), /expected a few aliases/);
  t.regex(await refusal(t, `a: &a 1\nb: [${'*a,'.repeat(101)}]\n`), /at most 100 aliases/);
});

test('a file that is missing or huge is refused', async (t) => {
  await t.throwsAsync(readConfigFile('/nowhere/run.yaml'), {code: 'ILR_IO', message: /nowhere\/run\.yaml/});
  t.regex(await refusal(t, `#${' '.repeat(2 ** 20)}`), /at most 1048576 bytes/);
});
