import {z} from 'zod';
import {type LossSettings, lossKeys, lossProblems, resolveLoss} from './config-loss.js';
import {rewardKeys} from './config-reward.js';
import {problemsOf} from './config-rules.js';
import {samplingKeys} from './config-sampling.js';
import type {OptimizerOptions} from './policy.js';

/**
The configuration of a run: the one schema, with every default. `docs/config.md` is generated from it.
`src/config-file.ts` reads it from YAML and reports errors by file, line and column.
*/

/** The same keys, none filled in: what an agent changes of the run's settings. */
function withoutDefaults<T extends z.ZodRawShape>(schema: z.ZodObject<T>) {
  const keys = Object.entries(schema.shape).map(([key, value]) => {
    const inner = value instanceof z.ZodDefault ? value.unwrap() : value;
    return [key, z.optional(inner)];
  });
  return z.strictObject(Object.fromEntries(keys)) as unknown as z.ZodType<Partial<z.output<z.ZodObject<T>>>>;
}

const positiveInt = z.int().positive();
const fraction = z.number().min(0).max(1);

const optimizer = z.strictObject({
  kind: z
    .enum(['adamw', 'lean'])
    .default('adamw')
    .describe(
      '`adamw`: AdamW with float32 master weights. `lean`: bfloat16 weights and the 16 bits that they lack, together the same master; needs `dtype: bfloat16`.',
    ),
  moments: z
    .enum(['float32', 'bfloat16', 'int8'])
    .optional()
    .describe('AdamW’s averages, 4, 2 or 1 bytes each. Left out: `float32` for `adamw`, `bfloat16` for `lean`.'),
  learningRate: z.number().positive().default(1e-6),
  warmupSteps: z.int().nonnegative().default(0),
  schedule: z
    .enum(['constant', 'linear', 'cosine'])
    .default('constant')
    .describe('From the warm-up’s end to the run’s: steps × minibatches × iterations.'),
  minLearningRateFraction: fraction.default(0).describe('What `linear` and `cosine` leave of the learning rate.'),
  beta1: fraction.default(0.9),
  beta2: fraction.default(0.999),
  epsilon: z.number().positive().default(1e-8),
  weightDecay: z.number().nonnegative().default(0).describe('Of all but norms and biases.'),
  maxGradNorm: z.number().nonnegative().default(1),
});

const loss = lossKeys
  .superRefine((own, context) => {
    // Not to be continued: what is checked across sections reads the resolved loss.
    for (const {path, ...problem} of lossProblems(own)) {
      context.addIssue({code: 'custom', ...problem, path: [...path], continue: false});
    }
  })
  .transform((own) => resolveLoss(own));

const adaptable = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;

const adapter = z.strictObject({
  rank: z.int().positive().max(4096).optional().describe('r; 8 when left out.'),
  alpha: z.number().positive().optional().describe('The adapter’s term is scaled by alpha / rank; 16 when left out.'),
  rankStabilized: z.boolean().optional().describe('alpha / √rank in its place (rsLoRA); false when left out.'),
  targetModules: z
    .array(z.enum([...adaptable, 'all-linear']))
    .min(1)
    .optional()
    .describe(`\`all-linear\` (when left out), or some of ${adaptable.join(', ')}.`),
  folder: z
    .string()
    .min(1)
    .optional()
    .describe('An adapter in PEFT’s format to go on from, in place of a new one; the keys above are its own then.'),
});

const agent = z.strictObject({
  name: z
    .string()
    .regex(
      /^(?!user$|manifest\.json$|trainer\.json$)[A-Za-z0-9][\w.-]{0,63}$/,
      'expected up to 64 letters, digits, ., _ or -, not user',
    )
    .describe('How metrics, dialogues and checkpoints call this agent; also a folder name.'),
  model: z
    .string()
    .min(1)
    .describe(
      'Hugging Face model folder (config.json, safetensors, tokenizer.json), or the id of a model that `ilr-native pull` got.',
    ),
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
  dtype: z
    .enum(['float32', 'bfloat16'])
    .default('float32')
    .describe('Of the weights and of the arithmetic; sums, norms, softmax and losses are float32 in both.'),
  adapter: adapter
    .optional()
    .describe(
      'Trains a LoRA adapter in place of the model. Agents with an adapter, and those that are not trained, share one copy of the weights of one `model`.',
    ),
  trainable: z.boolean().default(true).describe('false: takes part, and stays as it is.'),
  sampling: samplingKeys
    .optional()
    .describe('How answers are drawn besides. What is drawn from another distribution than is trained is warned of.'),
  loss: lossKeys
    .optional()
    .meta({sameAs: 'loss', description: 'What this agent has of its own; the rest is the run’s.'}),
  optimizer: withoutDefaults(optimizer)
    .optional()
    .meta({sameAs: 'optimizer', description: 'What this agent has of its own; the rest is the run’s.'}),
});

const data = z.strictObject({
  train: z
    .string()
    .describe(
      'A file of JSON lines, JSON, CSV or Parquet, by its ending, also with `.gz`; or a data set by name, with its split where it is not the usual one: `gsm8k`, `math:test` ([data.md](data.md)).',
    ),
  validation: z.string().optional().describe('Questions that measure ability γ; held out of `train` when left out.'),
  test: z
    .string()
    .optional()
    .describe('Questions of the periodic and the final evaluation; a file has the same fields as `train`.'),
  folder: z
    .string()
    .optional()
    .describe(
      'Where data sets that are named lie, each in its folder; `$ILR_DATA`, then where `ilr-native pull` puts them, when left out.',
    ),
  fields: z
    .strictObject({
      id: z.string().default('id'),
      question: z.string().default('question'),
      answer: z.string().default('answer'),
      level: z.string().default('level'),
      subject: z.string().default('subject').describe('For tables by subject.'),
      choices: z.string().default('choices').describe('Options: a list of texts, or lists `text` and `label`.'),
      tests: z
        .string()
        .optional()
        .describe(
          'Python that tests a program: a list of `assert` statements, or a `check(candidate)`. No answer is needed then.',
        ),
      setup: z.string().optional().describe('Python that runs before the tests.'),
      entryPoint: z.string().optional().describe('The function that is asked for.'),
      prefix: z.string().optional().describe('The beginning of a program that is to be gone on with.'),
    })
    .prefault({})
    .describe(
      'Names of the fields of files, or paths into them such as `choices.text.0`. Data sets that are named know theirs.',
    ),
  template: z
    .string()
    .min(1)
    .optional()
    .describe(
      'The text of a question, with `{field}` for what is filled in, such as `{context}\\n\\n{question}\\n\\n{choices}`; `{{` and `}}` are braces. Left out: the field `question`, and the options with `choice`.',
    ),
  answer: z
    .enum(['field', 'gsm8k', 'boxed', 'choice'])
    .default('field')
    .describe(
      'Where the gold answer stands in the answer field: all of it, after `####`, or in the last `\\boxed{}`; `choice`: it names one of the options by label, place from 0 or letter, and the gold answer is the letter.',
    ),
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

export const dialogueKeys = z.strictObject({
  maxNewTokens: z
    .strictObject({
      share: positiveInt.default(1024),
      analyse: positiveInt.default(1024),
      fuse: positiveInt.default(1024),
    })
    .prefault({}),
  prompts: z
    .strictObject({
      share: z
        .string()
        .refine((text) => text.includes('{question}'), 'expected the placeholder {question}, or no agent would see one')
        .default('{question}\n\nReason step by step and put your final answer within \\boxed{}.'),
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
      debate: z
        .string()
        .default(
          '{peers}\n\nThese are solutions of others to the same question. Use them as additional information and solve the question again. Reason step by step and put your final answer within \\boxed{}.',
        )
        .describe('Each round of a debate (`ilr-native eval --modes debate`); training holds none.'),
      rank: z
        .string()
        .default(
          'Rank these questions from easiest to hardest. Answer only with their numbers, separated by spaces.\n\n{questions}',
        ),
      rankItem: z
        .string()
        .default('{number}. {question}')
        .describe('One question of the list; {number} or {letter} is its place.'),
    })
    .prefault({})
    .describe('What the protocol says. {question}, {peers}, {idea}, {number}, {letter}, {questions} are filled in.'),
});

const advantage = z
  .strictObject({
    baseline: z
      .enum(['group', 'leave-one-out', 'ema'])
      .default('group')
      .describe(
        'What is subtracted from a reward: the group’s mean, the mean of the others in it, or a moving average per agent and stage (SPIRAL’s role-conditioned baseline).',
      ),
    decay: fraction.optional().describe('ema: b ← decay·b + (1 − decay)·mean reward of the step; 0.95 when left out.'),
    scale: z
      .enum(['group', 'batch', 'none'])
      .optional()
      .describe('Whose standard deviation it is divided by. `group` when left out; with ema `none`.'),
    std: z
      .enum(['population', 'sample'])
      .optional()
      .describe('Divided by n or by n − 1, with a scale; `population` when left out.'),
    epsilon: z
      .number()
      .positive()
      .optional()
      .describe('Added to the standard deviation, with a scale; 1e-6 when left out.'),
  })
  .transform(({scale: given, ...own}) => {
    const scale = given ?? (own.baseline === 'ema' ? 'none' : 'group');
    return {
      scale,
      ...(own.baseline === 'ema' && {decay: 0.95}),
      ...(scale !== 'none' && {std: 'population' as const, epsilon: 1e-6}),
      ...own,
    };
  });

const reference = z
  .strictObject({
    kind: z
      .enum(['none', 'frozen', 'synchronised', 'base'])
      .default('none')
      .describe(
        'What beta’s divergence is from: the agents as they started; a copy that follows them; or the base under an adapter.',
      ),
    every: positiveInt.optional().describe('synchronised: steps between two copies. Required then.'),
    mix: fraction
      .refine((mix) => mix > 0, 'expected more than 0')
      .optional()
      .describe('synchronised: reference ← mix·agent + (1 − mix)·reference; 0.6 when left out.'),
  })
  .transform((own) => (own.kind === 'synchronised' ? {mix: 0.6, ...own} : own));

const keys = z.strictObject({
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
      (agents) => new Set(agents.map(({name}) => name.toLowerCase())).size === agents.length,
      'expected another name for each agent, in more than upper and lower case',
    ),
  data,
  difficulty: difficulty.prefault({}),
  ability: ability.prefault({}),
  strategy: strategy.prefault({}),
  dialogue: dialogueKeys.prefault({}),
  reward: rewardKeys.prefault({}),
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
  minibatches: positiveInt
    .default(1)
    .describe('Optimiser steps per pass over a step’s groups; each takes a share of them.'),
  iterations: positiveInt
    .default(1)
    .describe('Passes over a step’s groups (μ): minibatches × iterations optimiser steps per training step.'),
  dynamicSampling: z
    .strictObject({
      rounds: z
        .int()
        .nonnegative()
        .default(0)
        .describe(
          'At most so many times a step replaces the questions whose groups all have equal rewards by the next ones (DAPO); 0: never.',
        ),
    })
    .prefault({}),
  matchTokens: z
    .boolean()
    .default(false)
    .describe('grpo: draw as many questions per step as an ILR step’s generated tokens pay for.'),
  optimizer: optimizer.prefault({}),
  gradientCheckpointing: z
    .boolean()
    .default(false)
    .describe('Compute each layer again in the backward pass: less memory, about a third more time, the same bits.'),
  loss: loss.prefault({}),
  advantage: advantage.prefault({}),
  reference: reference.prefault({}),
  eval: z
    .strictObject({
      every: z.int().nonnegative().default(0).describe('Steps between evaluations; 0: only before and after.'),
      data: z.string().optional().describe('Questions of the evaluations, where they are not `data.test`.'),
      questions: positiveInt.default(500).describe('Of the evaluation’s, the first ones.'),
      samples: z.int().nonnegative().default(4).describe('Sampled answers per question beside the greedy one.'),
      temperature: z.number().positive().optional().describe('Of the sampled answers; the agent’s when left out.'),
      sampling: samplingKeys
        .optional()
        .meta({sameAs: 'agents.*.sampling', description: 'In place of the agents’ own, in evaluations.'}),
    })
    .prefault({}),
  record: z
    .strictObject({
      tensorboard: z.boolean().default(true).describe('TensorBoard event files in the output folder.'),
      wandb: z.boolean().default(true).describe('`wandb-history.jsonl`: the metrics as Weights & Biases reads them.'),
    })
    .prefault({})
    .describe('In which forms the metrics are written besides `metrics.jsonl`; docs/output.md says how they are read.'),
  save: z
    .strictObject({
      every: z.int().nonnegative().default(10).describe('Steps between checkpoints; 0: only at the end.'),
      keep: positiveInt.default(2).describe('Checkpoints kept.'),
      best: z.boolean().default(true).describe('Keep the one with the best mean solo accuracy as well.'),
    })
    .prefault({}),
});

export const runSchema = keys.superRefine((config, context) => {
  for (const {path, ...problem} of problemsOf(config)) context.addIssue({code: 'custom', ...problem, path: [...path]});
});

/** A checked configuration, defaults filled in. */
export type RunConfig = z.infer<typeof keys>;
/** What a user writes: defaults may be left out. */
export type RunConfigInput = z.input<typeof runSchema>;

/** The run's loss with what the agent has of its own. */
export function lossOf({loss, agents}: Pick<RunConfig, 'loss' | 'agents'>, name: string): LossSettings {
  const own = agents.find((agent) => agent.name === name)?.loss;
  return own === undefined ? loss : resolveLoss(own, loss);
}

/** The run's optimiser with what the agent has of its own. */
export function optimizerOf({optimizer, agents}: RunConfig, name: string): RunConfig['optimizer'] {
  const own = Object.entries(agents.find((agent) => agent.name === name)?.optimizer ?? {});
  return {...optimizer, ...Object.fromEntries(own.filter(([, value]) => value !== undefined))};
}

/** What an update takes of that; its schedule ends with the run. */
export function optimizerOptionsOf(config: RunConfig, name: string): OptimizerOptions {
  const {kind: _, moments: __, ...options} = optimizerOf(config, name);
  return {...options, totalSteps: config.steps * config.minibatches * config.iterations};
}
