import test from 'ava';
import {lossOf, optimizerOf, type RunConfig, type RunConfigInput, runSchema} from '../src/config.js';

const agents = [
  {name: 'ann', model: 'm'},
  {name: 'bob', model: 'm'},
];

function parse(changes: Partial<RunConfigInput>): RunConfig {
  return runSchema.parse({agents, data: {train: 'questions.jsonl'}, ...changes});
}

/** `path: message` of every problem. */
function problems(changes: Partial<RunConfigInput>): string[] {
  const {error} = runSchema.safeParse({agents, data: {train: 'questions.jsonl'}, ...changes});
  return (error?.issues ?? []).map((issue) => `${issue.path.join('.')}: ${issue.message}`);
}

test('left out, the loss is dapo’s with its epsilons; nothing else is filled in that would be ignored', (t) => {
  t.deepEqual(parse({}).loss, {
    type: 'dapo',
    ratio: 'token',
    epsilonLow: 0.2,
    epsilonHigh: 0.28,
    beta: 0,
    entropyBonus: 0,
    topEntropyFraction: 1,
    importanceCorrection: 'none',
    oldLogprobs: 'sampler',
    tokenCount: 'minibatch',
    maskTruncated: false,
    soloWeight: 1,
    fusionWeight: 1,
  });
  t.deepEqual(parse({}).advantage, {baseline: 'group', scale: 'group', std: 'population', epsilon: 1e-6});
});

test('gspo is grpo with a sequence ratio and small epsilons, which may be changed', (t) => {
  t.like(parse({loss: {preset: 'gspo'}}).loss, {type: 'grpo', ratio: 'sequence', epsilonLow: 3e-4, epsilonHigh: 4e-4});
  t.like(parse({loss: {preset: 'gspo', epsilonHigh: 5e-4}}).loss, {epsilonLow: 3e-4, epsilonHigh: 5e-4});
  t.deepEqual(problems({loss: {preset: 'gspo', type: 'dapo', ratio: 'token'}}), [
    'loss.type: expected grpo with loss.preset: gspo',
    'loss.ratio: expected sequence with loss.preset: gspo',
  ]);
});

test('a resolved configuration is a configuration, and comes to the same', (t) => {
  const changes: readonly Partial<RunConfigInput>[] = [
    {},
    {loss: {preset: 'gspo', beta: 0.1}, reference: {kind: 'synchronised', every: 4}},
    {loss: {type: 'vespo', importanceCorrection: 'token_mask'}},
    {
      agents: [
        {name: 'ann', model: 'm', adapter: {rank: 4, targetModules: ['q_proj']}},
        {name: 'bob', model: 'm', trainable: false},
      ],
    },
    {loss: {type: 'sapo', entropyBonus: 0.01}, advantage: {baseline: 'ema'}},
    {agents: [agents[0] as never, {name: 'bob', model: 'm', loss: {type: 'cispo'}, optimizer: {learningRate: 1}}]},
  ];
  for (const change of changes) t.deepEqual(runSchema.parse(parse(change)), parse(change));
});

for (const [what, changes, expected] of [
  ['a cap without cispo', {loss: {cispoCap: 2}}, /^loss\.cispoCap: .*only with loss\.type: cispo.*loss\.type is dapo/],
  ['epsilons with cispo', {loss: {type: 'cispo', epsilonLow: 0.1}}, /^loss\.epsilonLow: .*loss\.type is cispo/],
  ['a ratio with vespo', {loss: {type: 'vespo', ratio: 'token'}}, /^loss\.ratio: .*loss\.type is vespo/],
  ['temperatures without sapo', {loss: {sapo: {}}}, /^loss\.sapo: .*only with loss\.type: sapo/],
  ['a token count with bnpo', {loss: {type: 'bnpo', tokenCount: 'batch'}}, /^loss\.tokenCount: .*dapo, cispo, vespo/],
  ['luspo by token', {loss: {type: 'luspo'}}, /^loss\.ratio: expected sequence with loss\.type: luspo$/],
  ['a delta below the clip', {loss: {delta: 1.2}}, /^loss\.delta: expected more than 1 \+ loss\.epsilonHigh \(1\.28\)/],
  ['an estimator without beta', {loss: {kl: 'k1'}}, /^loss\.kl: .*only with loss\.beta above 0/],
  ['a bound without correction', {loss: {importanceMax: 2}}, /^loss\.importanceMax: .*importanceCorrection/],
  [
    'bounds that cross',
    {loss: {importanceCorrection: 'token_mask', importanceMin: 3}},
    /^loss\.importanceMin: expected less than loss\.importanceMax \(3\)/,
  ],
  [
    'a correction of nothing',
    {loss: {importanceCorrection: 'token_mask', oldLogprobs: 'sampler'}},
    /^loss\.oldLogprobs: expected scorer with loss\.importanceCorrection: token_mask/,
  ],
  [
    'a correction by sequence with vespo',
    {loss: {type: 'vespo', importanceCorrection: 'sequence_mask'}},
    /^loss\.importanceCorrection: expected token_truncate or token_mask with loss\.type: vespo/,
  ],
  ['beta without a reference', {loss: {beta: 0.1}}, /^loss\.beta: expected 0 with reference\.kind: none/],
  ['a reference without beta', {reference: {kind: 'frozen'}}, /^reference\.kind: expected none with loss\.beta: 0/],
  [
    'a synchronised one without a rhythm',
    {loss: {beta: 0.1}, reference: {kind: 'synchronised'}},
    /^reference\.every: expected a number of steps with reference\.kind: synchronised/,
  ],
  [
    'a rhythm of a frozen one',
    {loss: {beta: 0.1}, reference: {kind: 'frozen', every: 3}},
    /^reference\.every: .*only with reference\.kind: synchronised \(here frozen\)/,
  ],
  [
    'a mix of adapters',
    {
      loss: {beta: 0.1},
      reference: {kind: 'synchronised', every: 2},
      agents: [agents[0], {name: 'bob', model: 'm', adapter: {rank: 2}}],
    },
    /^reference\.mix: expected 1 with agents\[1\]\.adapter/,
  ],
  [
    'a least rate of a constant schedule',
    {optimizer: {minLearningRateFraction: 0.1}},
    /^optimizer\.minLearningRateFraction: expected 0 with optimizer\.schedule: constant/,
  ],
  [
    'a warm-up longer than the run',
    {
      agents: [agents[0], {name: 'bob', model: 'm', optimizer: {schedule: 'cosine', warmupSteps: 8}}],
      steps: 4,
      iterations: 2,
    },
    /^agents\.1\.optimizer\.warmupSteps: expected fewer than steps × minibatches × iterations \(8\)/,
  ],
  ['a decay of a group’s mean', {advantage: {decay: 0.9}}, /^advantage\.decay: .*only with advantage\.baseline: ema/],
  [
    'ema over a group’s spread',
    {advantage: {baseline: 'ema', scale: 'group'}},
    /^advantage\.scale: expected none or batch/,
  ],
  ['an epsilon of no scale', {advantage: {scale: 'none', epsilon: 1}}, /^advantage\.epsilon: .*\(here none\)/],
  [
    'dynamic sampling under ema',
    {advantage: {baseline: 'ema'}, dynamicSampling: {rounds: 1}},
    /^dynamicSampling\.rounds: expected 0 with advantage\.baseline: ema/,
  ],
  [
    'a cache longer than an answer',
    {reward: {overlongCache: 30}, dialogue: {maxNewTokens: {share: 40, fuse: 20}}},
    /^reward\.overlongCache: expected at most dialogue\.maxNewTokens\.fuse \(20\)/,
  ],
  [
    'a penalty without a cache',
    {reward: {overlongPenalty: 1}},
    /^reward\.overlongPenalty: .*only with reward\.overlongCache/,
  ],
  [
    'a prompt without the question',
    {dialogue: {prompts: {share: 'Solve.'}}},
    /^dialogue\.prompts\.share: .*\{question\}/,
  ],
  [
    'names that differ in case',
    {agents: [agents[0], {name: 'ANN', model: 'm'}]},
    /^agents: expected another name for each agent, in more than upper and lower case$/,
  ],
  [
    'an agent’s own option that its loss ignores',
    {agents: [agents[0], {name: 'bob', model: 'm', loss: {type: 'cispo', delta: 3}}]},
    /^agents\.1\.loss\.delta: .*loss\.type is cispo/,
  ],
  [
    'an adapter’s folder beside settings of a new one',
    {agents: [agents[0], {name: 'bob', model: 'm', adapter: {folder: 'a', rank: 4}}]},
    /^agents\.1\.adapter\.rank: .*only without adapter\.folder/,
  ],
  [
    'a new adapter that is not trained',
    {agents: [agents[0], {name: 'bob', model: 'm', adapter: {rank: 4}, trainable: false}]},
    /^agents\.1\.adapter: expected a folder with trainable: false/,
  ],
  [
    'nobody who is trained',
    {agents: agents.map((agent) => ({...agent, trainable: false}))},
    /^agents\.0\.trainable: expected at least one/,
  ],
  [
    'a lean optimiser of an adapter',
    {agents: [{...agents[0], adapter: {}, dtype: 'bfloat16', optimizer: {kind: 'lean'}}, agents[1]]},
    /^agents\.0\.optimizer\.kind: expected adamw with an adapter/,
  ],
  [
    'an agent’s own beta without a reference',
    {agents: [agents[0], {name: 'bob', model: 'm', loss: {beta: 1}}]},
    /^agents\.1\.loss\.beta: expected 0 with reference\.kind: none/,
  ],
] as const) {
  test(`${what}: refused, with both keys`, (t) => {
    const found = problems(changes as Partial<RunConfigInput>);
    t.is(found.length, 1, found.join('\n'));
    t.regex(found[0] as string, expected);
  });
}

test('an agent has a loss and an optimiser of its own where it says so; what its loss would ignore is not taken from the run', (t) => {
  const config = parse({
    loss: {epsilonHigh: 0.3, soloWeight: 2, maskTruncated: true},
    optimizer: {learningRate: 1e-5, warmupSteps: 3},
    agents: [
      agents[0] as never,
      {name: 'bob', model: 'm', loss: {type: 'cispo', cispoCap: 4}, optimizer: {learningRate: 2e-5}},
    ],
  });
  t.is(lossOf(config, 'ann'), config.loss);
  t.is(optimizerOf(config, 'ann').learningRate, 1e-5);
  const own = lossOf(config, 'bob');
  t.like(own, {type: 'cispo', cispoCap: 4, soloWeight: 2, maskTruncated: true});
  t.false('epsilonHigh' in own);
  t.like(optimizerOf(config, 'bob'), {learningRate: 2e-5, warmupSteps: 3, beta1: 0.9});
});

test('an agent’s own correction scores π_old anew, though the run takes the sampler’s', (t) => {
  const config = parse({
    agents: [agents[0] as never, {name: 'bob', model: 'm', loss: {importanceCorrection: 'token_truncate'}}],
  });
  t.is(lossOf(config, 'ann').oldLogprobs, 'sampler');
  t.like(lossOf(config, 'bob'), {oldLogprobs: 'scorer', importanceMax: 3});
});
