import {z} from 'zod';

/**
The configuration of a run: the one schema, with every default. `docs/config.md` is generated from it.
`src/config-file.ts` reads it from YAML and reports errors by file, line and column.
*/

const positiveInt = z.int().positive();
const fraction = z.number().min(0).max(1);

const agent = z.strictObject({
  name: z
    .string()
    .regex(
      /^(?!user$|manifest\.json$|trainer\.json$)[A-Za-z0-9][\w.-]{0,63}$/,
      'expected up to 64 letters, digits, ., _ or -, not user',
    )
    .describe('How metrics, dialogues and checkpoints call this agent; also a folder name.'),
  model: z.string().min(1).describe('Hugging Face model folder: config.json, safetensors, tokenizer.json.'),
  tokenizer: z.string().optional().describe('Folder of the tokenizer, where it is not the model folder.'),
  system: z.string().optional().describe('System prompt.'),
  chat: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('Arguments of the chat template, such as `enable_thinking: false`.'),
  template: z
    .enum(['auto', 'plain'])
    .default('auto')
    .describe('`auto`: the tokenizer’s chat template, `plain` where it has none.'),
  temperature: z.number().positive().default(1).describe('Of sampling and of training: the same distribution.'),
});

const data = z.strictObject({
  train: z.string().describe('JSON lines, one question a line.'),
  validation: z.string().optional().describe('Questions that measure ability γ; held out of `train` when left out.'),
  test: z
    .string()
    .optional()
    .describe('Questions of the periodic and the final evaluation; in the same fields as `train`.'),
  fields: z
    .strictObject({
      id: z.string().default('id'),
      question: z.string().default('question'),
      answer: z.string().default('answer'),
      level: z.string().default('level'),
    })
    .prefault({})
    .describe('Names of the fields.'),
  answer: z
    .enum(['field', 'gsm8k', 'boxed'])
    .default('field')
    .describe('Where the gold answer stands in the answer field: all of it, after `####`, or in the last `\\boxed{}`.'),
  limit: positiveInt.optional().describe('Use only the first questions of `train`.'),
});

const difficulty = z.strictObject({
  estimator: z
    .enum(['self-ranking', 'pass-rate', 'field'])
    .default('self-ranking')
    .describe(
      'How D_q is found: the agents rank shuffled lists of questions, or a sampled pass rate, or the `level` field.',
    ),
  listSize: z.int().min(2).default(8).describe('Self-ranking: questions in one list (B).'),
  rounds: positiveInt.default(10).describe('Self-ranking: shuffles of the whole set (T).'),
  samples: positiveInt.default(4).describe('Pass-rate: samples per question and agent.'),
  maxNewTokens: positiveInt.default(64).describe('Self-ranking: length of an answer.'),
});

const ability = z.strictObject({
  questions: positiveInt.default(1000).describe('Validation questions used.'),
  refresh: z
    .enum(['fixed', 'ema'])
    .default('fixed')
    .describe('`fixed`: greedy accuracy before training. `ema`: a sampled pass rate, refreshed from training.'),
  decay: fraction.default(0.95).describe('ema: γ ← decay·γ + (1 − decay)·pass rate of the step.'),
});

const strategy = z.strictObject({
  choose: z
    .enum(['agent', 'question', 'fixed', 'shuffled'])
    .default('agent')
    .describe('Per (question, agent); one mode for all agents; a fixed share; the adaptive share at random places.'),
  cooperativeShare: fraction.default(0.5).describe('fixed: the share of cooperative dialogues.'),
});

const dialogue = z.strictObject({
  maxNewTokens: z
    .strictObject({
      share: positiveInt.default(1024),
      analyse: positiveInt.default(1024),
      fuse: positiveInt.default(1024),
    })
    .prefault({}),
  prompts: z
    .strictObject({
      share: z.string().default('{question}\n\nReason step by step and put your final answer within \\boxed{}.'),
      cooperative: z
        .string()
        .default(
          '{peers}\n\nThese are solutions of others to the same question. Find what is right and useful in each and what your own solution lacks. Do not give a final answer yet.',
        ),
      competitive: z
        .string()
        .default(
          '{peers}\n\nThese are solutions of others to the same question. Look for the mistakes in each, and defend or better your own solution. Do not give a final answer yet.',
        ),
      peer: z.string().default('Solution of another student:\n{idea}').describe('One peer; {number} is its place.'),
      fuse: z
        .string()
        .default(
          'Now solve the question again with all you have learned. Reason step by step and put your final answer within \\boxed{}.',
        ),
      rank: z
        .string()
        .default(
          'Rank these questions from easiest to hardest. Answer only with their numbers, separated by spaces.\n\n{questions}',
        ),
      rankItem: z.string().default('{number}. {question}').describe('One question of the list.'),
    })
    .prefault({})
    .describe('What the protocol says. {question}, {peers}, {idea}, {number}, {questions} are filled in.'),
});

const reward = z.strictObject({
  function: z
    .string()
    .default('numeric')
    .describe('`numeric`, `exact`, or a module whose default export is a RewardFunction.'),
  correct: z.number().default(1),
  wellFormed: z.number().default(0.1).describe('Answered in the asked form, but wrong.'),
  none: z.number().default(0).describe('No answer, or cut off.'),
});

const optimizer = z.strictObject({
  learningRate: z.number().positive().default(1e-6),
  warmupSteps: z.int().nonnegative().default(0),
  beta1: fraction.default(0.9),
  beta2: fraction.default(0.999),
  epsilon: z.number().positive().default(1e-8),
  weightDecay: z.number().nonnegative().default(0),
  maxGradNorm: z.number().nonnegative().default(1),
});

const loss = z.strictObject({
  epsilonLow: z.number().positive().default(0.2),
  epsilonHigh: z.number().positive().default(0.28),
  soloWeight: z.number().nonnegative().default(1).describe('w_s: weight of the solo answers.'),
  fusionWeight: z.number().nonnegative().default(1).describe('w_f: weight of the fused answers.'),
});

export const runSchema = z.strictObject({
  method: z.enum(['ilr', 'grpo']).default('ilr').describe('`grpo`: each agent alone, the baseline.'),
  seed: z.int().nonnegative().default(0).describe('Every draw of the run follows from it.'),
  output: z.string().default('runs/ilr').describe('Folder of metrics, dialogues and checkpoints.'),
  device: z
    .string()
    .regex(/^(auto|cpu|cuda(:\d+)?)$/, 'expected auto, cpu, cuda or cuda:N')
    .default('auto')
    .describe('`auto` (cuda where there is one), `cpu`, `cuda` or `cuda:N`.'),
  threads: z
    .int()
    .nonnegative()
    .default(0)
    .describe('CPU threads in all; 0: every core. Tiny models get one runtime with a share of them per agent.'),
  agents: z
    .array(agent)
    .min(1)
    .refine(
      (agents) => new Set(agents.map(({name}) => name)).size === agents.length,
      'expected another name for each agent',
    ),
  data,
  difficulty: difficulty.prefault({}),
  ability: ability.prefault({}),
  strategy: strategy.prefault({}),
  dialogue: dialogue.prefault({}),
  reward: reward.prefault({}),
  calibration: z
    .enum(['faithful', 'none'])
    .default('faithful')
    .describe('Perception Calibration of rewards by the peers’: as in the paper, or none.'),
  groupSize: z
    .int()
    .min(2, 'a group of one has no advantage: expected at least 2')
    .default(8)
    .describe('G: completions of one prompt by one agent.'),
  questionsPerStep: positiveInt.default(32).describe('Questions of one training step.'),
  steps: positiveInt.default(100).describe('Training steps.'),
  minibatches: positiveInt.default(1).describe('Optimiser steps per training step; each takes a share of the groups.'),
  matchTokens: z
    .boolean()
    .default(false)
    .describe('grpo: draw as many questions per step as an ILR step’s generated tokens pay for.'),
  optimizer: optimizer.prefault({}),
  loss: loss.prefault({}),
  eval: z
    .strictObject({
      every: z.int().nonnegative().default(0).describe('Steps between evaluations; 0: only before and after.'),
      data: z.string().optional().describe('Questions of the evaluations, where they are not `data.test`.'),
      questions: positiveInt.default(500).describe('Of the evaluation’s, the first ones.'),
      samples: z.int().nonnegative().default(4).describe('Sampled answers per question beside the greedy one.'),
    })
    .prefault({}),
  save: z
    .strictObject({
      every: z.int().nonnegative().default(10).describe('Steps between checkpoints; 0: only at the end.'),
      keep: positiveInt.default(2).describe('Checkpoints kept.'),
      best: z.boolean().default(true).describe('Keep the one with the best mean solo accuracy as well.'),
    })
    .prefault({}),
});

/** A checked configuration, defaults filled in. */
export type RunConfig = z.infer<typeof runSchema>;
/** What a user writes: defaults may be left out. */
export type RunConfigInput = z.input<typeof runSchema>;
