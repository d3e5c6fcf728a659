import {z} from 'zod';
import type {Problem} from './config-loss.js';

/** The `reward` section: one function, or parts that are weighted and summed. */

const positiveInt = z.int().positive();
/** A day; a timer cannot wait for more than 24. */
const seconds = z.number().positive().max(86_400);

const math = z.strictObject({
  percent: z
    .enum(['ignore', 'strict'])
    .optional()
    .describe('`ignore`: 28% is 28 as well as 0.28; `strict`: 0.28 alone. `ignore` when left out.'),
  extract: z
    .array(z.enum(['boxed', 'final-answer', 'hashes', 'answer', 'math', 'number']))
    .min(1)
    .optional()
    .describe(
      'Where an answer may stand: the last `\\boxed{}`, “final answer is”, `####`, “answer:”, the last formula, the last number. `[boxed]` when left out.',
    ),
  decimals: z
    .int()
    .nonnegative()
    .max(100)
    .optional()
    .describe('Decimals are compared at so many places; at the gold answer’s own when left out.'),
});

const remote = z.strictObject({
  timeoutSeconds: seconds.optional().describe('Of one attempt; 30 when left out.'),
  retries: z
    .int()
    .nonnegative()
    .max(20)
    .optional()
    .describe(
      'Further attempts after 408, 429, 5xx, a failed connection or a late answer, each after a longer wait; 3 when left out.',
    ),
  concurrency: positiveInt.max(1000).optional().describe('Requests at once; 8 when left out.'),
  secretEnv: z
    .string()
    .regex(/^[A-Za-z_]\w*$/, 'expected the name of an environment variable')
    .optional()
    .describe('Environment variable whose value goes along as `Authorization: Bearer …`.'),
  secretHeader: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9-]*$/, 'expected the name of a header')
    .optional()
    .describe('Another header for it, which then holds the value alone.'),
});

const options = z.record(z.string(), z.unknown());

const part = z.strictObject({
  name: z
    .string()
    .regex(/^(?!(?:solo|fusion)$)[A-Za-z][\w-]{0,31}$/, 'expected up to 32 letters, digits, _ or -, not solo or fusion')
    .describe('Of its metric, `<agent>/reward/<name>/<stage>`.'),
  function: z
    .string()
    .min(1)
    .describe('As `reward.function`, or `format`, `length`, `repetition`; a module may give a number.'),
  weight: z.number().default(1).describe('The reward is the sum of weight × what the part gives.'),
  math: math.optional().meta({sameAs: 'reward.math', description: 'With `math`.'}),
  format: z
    .strictObject({
      box: z.literal(true).optional().describe('A filled `\\boxed{}`; so when all three are left out.'),
      tags: z
        .array(z.string().regex(/^[A-Za-z][\w-]*$/, 'expected a tag without brackets'))
        .min(1)
        .refine((tags) => new Set(tags).size === tags.length, 'expected each tag once')
        .optional()
        .describe('`[think, answer]`: `<think>…</think><answer>…</answer>` and nothing else, each once.'),
      pattern: z
        .string()
        .min(1)
        .refine(isPattern, 'expected a regular expression of JavaScript (flags s and u)')
        .optional()
        .describe('A regular expression that matches the text; how long it may run is its author’s matter.'),
    })
    .optional()
    .describe('With `format`: one of them. 1 where an answer has the form and ended by itself, else 0.'),
  length: z
    .strictObject({
      cache: positiveInt.describe('The last tokens, over which it falls.'),
      maxTokens: positiveInt.optional().describe('The longest; the stage’s `dialogue.maxNewTokens` when left out.'),
    })
    .optional()
    .describe('With `length`: 0 up to maxTokens − cache, falling linearly to −1 at maxTokens (DAPO).'),
  repetition: z
    .strictObject({
      ngram: positiveInt.max(100).optional().describe('Units in a row; 3 when left out.'),
      unit: z.enum(['words', 'tokens']).optional().describe('`words` when left out.'),
    })
    .optional()
    .describe('With `repetition`: − the share of n-grams that stood in the answer before.'),
  remote: remote.optional().meta({sameAs: 'reward.remote', description: 'With an address.'}),
  options: options.optional().describe('For a module: `context.options`.'),
});

export const rewardKeys = z
  .strictObject({
    function: z
      .string()
      .min(1)
      .optional()
      .describe(
        '`numeric` (when left out), `math` (expressions, sets, intervals, matrices, units, …), `exact`, `code` (Python, the share of the question’s tests that it passes; in a sandbox), the http(s) address of a server, or a module whose default export is a RewardFunction. docs/rewards.md.',
      ),
    parts: z
      .array(part)
      .min(1)
      .refine(
        (parts) => new Set(parts.map(({name}) => name)).size === parts.length,
        'expected another name for each part',
      )
      .optional()
      .describe('In place of `function`: parts whose weighted sum is the reward.'),
    correct: z.number().default(1),
    wellFormed: z.number().default(0.1).describe('Answered in the asked form, but wrong.'),
    none: z.number().default(0).describe('No answer, or cut off.'),
    math: math.optional().describe('With `math`.'),
    remote: remote.optional().describe('With an address.'),
    options: options.optional().describe('For a module: `context.options`.'),
    timeoutSeconds: seconds
      .optional()
      .describe('A module that has not answered by then has failed its rollout; 60 when left out.'),
    overlongCache: positiveInt
      .optional()
      .describe(
        'DAPO’s overlong penalty: over the last so many tokens before `dialogue.maxNewTokens` the reward falls linearly, to overlongPenalty below; off when left out.',
      ),
    overlongPenalty: z.number().positive().optional().describe('With overlongCache; 1 when left out.'),
  })
  .superRefine((own, context) => {
    for (const {path, ...problem} of rewardProblems(own)) {
      context.addIssue({code: 'custom', ...problem, path: [...path], continue: false});
    }
  })
  .transform((own) => (own.parts === undefined ? {...own, function: own.function ?? 'numeric'} : own));

interface Functions {
  readonly function?: string;
  readonly math?: unknown;
  readonly format?: unknown;
  readonly length?: unknown;
  readonly repetition?: unknown;
  readonly remote?: unknown;
  readonly options?: unknown;
}

interface RewardSection extends Functions {
  readonly parts?: readonly (Functions & {
    readonly function: string;
    readonly format?: {readonly box?: boolean; readonly tags?: unknown; readonly pattern?: unknown};
    readonly remote?: {readonly secretEnv?: string; readonly secretHeader?: string};
  })[];
  readonly remote?: {readonly secretEnv?: string; readonly secretHeader?: string};
  readonly overlongCache?: number;
}

/** Neither a grader nor an address: a path. */
export function isModule(name: string): boolean {
  return ownKeyOf(name) === 'options';
}

const withoutJudgement = ['format', 'length', 'repetition'];

/** The key that holds a function's options; undefined where it has none. */
function ownKeyOf(name: string): keyof Functions | undefined {
  if (name === 'math' || name === 'format' || name === 'length' || name === 'repetition') return name;
  if (['numeric', 'exact', 'code'].includes(name)) return undefined;
  return /^https?:\/\//i.test(name) ? 'remote' : 'options';
}

function rewardProblems(own: RewardSection): Problem[] {
  const problems: Problem[] = [];
  const refuse = (path: Problem['path'], message: string, input: unknown) => problems.push({path, message, input});
  const {parts} = own;
  if (parts === undefined) {
    const name = own.function ?? 'numeric';
    if (withoutJudgement.includes(name)) {
      refuse(['function'], `expected a function that says what is correct; ${name} is for reward.parts`, name);
    }
    return [...problems, ...optionProblems(name, own, [])];
  }
  if (own.function !== undefined) {
    refuse(['function'], 'expected reward.function or reward.parts, not both', own.function);
  }
  for (const key of ['math', 'remote', 'options'] as const) {
    if (own[key] !== undefined) refuse([key], `expected reward.parts[].${key} with reward.parts`, own[key]);
  }
  if (parts.length > 0 && parts.every((each) => withoutJudgement.includes(each.function))) {
    const message =
      'expected one part at least that says what is correct: numeric, math, exact, code, a server or a module';
    refuse(['parts'], message, parts);
  }
  for (const [i, each] of parts.entries()) {
    problems.push(...optionProblems(each.function, each, ['parts', i]));
    const forms = Object.values(each.format ?? {}).filter((form) => form !== undefined);
    if (forms.length > 1) refuse(['parts', i, 'format'], 'expected one of box, tags and pattern', each.format);
    if (each.function !== 'length') continue;
    if (each.length === undefined)
      refuse(['parts', i, 'length'], 'expected length.cache with the function length', each.length);
    if (own.overlongCache !== undefined) {
      const message = 'expected no part length beside reward.overlongCache, which takes off the same once more';
      refuse(['parts', i, 'function'], message, each.function);
    }
  }
  return problems;
}

/** Options that the function does not read. */
function optionProblems(
  name: string,
  own: RewardSection | NonNullable<RewardSection['parts']>[number],
  path: Problem['path'],
): Problem[] {
  const own_ = ownKeyOf(name);
  const keys = ['math', 'format', 'length', 'repetition', 'remote', 'options'] as const;
  const problems: Problem[] = keys
    .filter((key) => key !== own_ && own[key] !== undefined)
    .map((key) => ({
      path: [...path, key],
      message: `expected ${key} only with ${readerOf[key]} (here ${name}), for it would be ignored`,
      input: own[key],
    }));
  if (own.remote?.secretHeader !== undefined && own.remote.secretEnv === undefined) {
    const message = 'expected remote.secretHeader only with remote.secretEnv, for it would be ignored';
    problems.push({path: [...path, 'remote', 'secretHeader'], message, input: own.remote.secretHeader});
  }
  return problems;
}

const readerOf = {
  math: 'the function math',
  format: 'the function format',
  length: 'the function length',
  repetition: 'the function repetition',
  remote: 'an http(s) address',
  options: 'a module',
};

function isPattern(source: string): boolean {
  try {
    return Boolean(new RegExp(source, 'su'));
  } catch {
    return false;
  }
}
