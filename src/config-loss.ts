import {z} from 'zod';

/**
Settings of the policy loss: the schema, which option serves which loss, and what a run's and an agent's own settings come to.
An option that the chosen loss would ignore is refused by name.
*/

export const lossTypes = ['grpo', 'bnpo', 'dr_grpo', 'dapo', 'cispo', 'sapo', 'luspo', 'vespo'] as const;
const positive = z.number().positive();

export const lossKeys = z.strictObject({
  preset: z
    .enum(['gspo'])
    .optional()
    .describe('`gspo` (arXiv 2507.18071): `type: grpo`, `ratio: sequence`, epsilons 3e-4 and 4e-4.'),
  type: z.enum(lossTypes).optional().describe('`dapo` when left out.'),
  ratio: z
    .enum(['token', 'sequence'])
    .optional()
    .describe(
      'Of each token, or of the whole completion (the mean log-ratio), whose epsilons must be far smaller. `token` when left out; luspo requires `sequence`; not of vespo.',
    ),
  epsilonLow: positive.max(1).optional().describe('0.2 when left out. Not of cispo, sapo, vespo.'),
  epsilonHigh: positive.optional().describe('0.28 when left out. Not of cispo, sapo, vespo.'),
  delta: positive
    .optional()
    .describe('Two-sided clipping: the largest ratio, also where the advantage is negative; above 1 + epsilonHigh.'),
  cispoCap: positive.optional().describe('cispo: the largest weight, not 1 + ε; 5 when left out.'),
  sapo: z
    .strictObject({
      temperaturePositive: z.number().min(1e-3).max(1e3).default(1).describe('Where the advantage is positive.'),
      temperatureNegative: z.number().min(1e-3).max(1e3).default(1.05),
    })
    .optional()
    .describe('sapo: temperatures of the soft gate.'),
  vespo: z
    .strictObject({
      kPositive: z.number().min(0).max(100).default(2).describe('Where the advantage is not negative.'),
      lambdaPositive: z.number().min(1e-3).max(100).default(3),
      kNegative: z.number().min(0).max(100).default(3),
      lambdaNegative: z.number().min(1e-3).max(100).default(2),
    })
    .optional()
    .describe('vespo: shape of the weight exp(λ + k ln w − λw).'),
  beta: z
    .number()
    .nonnegative()
    .optional()
    .describe(
      'Weight of the KL divergence from the reference policy; 0 when left out. Above 0 needs `reference.kind`.',
    ),
  kl: z.enum(['k1', 'k2', 'k3']).optional().describe('Estimator of that divergence, with beta; `k3` when left out.'),
  klUnbiased: z
    .boolean()
    .optional()
    .describe('Weights the estimate by the ratio, for an unbiased gradient, with beta; false when left out.'),
  entropyBonus: z.number().nonnegative().optional().describe('Weight of the mean token entropy; 0 when left out.'),
  topEntropyFraction: z
    .number()
    .positive()
    .max(1)
    .optional()
    .describe('Take the policy loss over this share of the tokens, those of the highest entropy; 1 when left out.'),
  importanceCorrection: z
    .enum(['none', 'token_truncate', 'token_mask', 'sequence_truncate', 'sequence_mask'])
    .optional()
    .describe('Of the sampler’s distribution towards the scorer’s, by exp(old − sampler); `none` when left out.'),
  importanceMax: positive.optional().describe('With importanceCorrection; 3 when left out.'),
  importanceMin: positive.optional().describe('With importanceCorrection; no lower bound when left out.'),
  offPolicyThreshold: positive
    .optional()
    .describe('Leaves out completions of a negative advantage whose mean of sampler − present log-prob is above it.'),
  oldLogprobs: z
    .enum(['sampler', 'scorer'])
    .optional()
    .describe(
      'Whose log-probs are π_old: as sampled, or scored anew before the step’s updates. `scorer` where importanceCorrection is on, else `sampler`.',
    ),
  tokenCount: z
    .enum(['minibatch', 'batch'])
    .optional()
    .describe(
      'dapo, cispo, vespo divide by the tokens of the minibatch, or of the whole batch over its number of minibatches (DAPO’s own); `minibatch` when left out.',
    ),
  maskTruncated: z
    .boolean()
    .optional()
    .describe(
      'Completions that did not end by themselves count in the baseline but are not trained; false when left out.',
    ),
  soloWeight: z.number().nonnegative().optional().describe('w_s: weight of the solo answers; 1 when left out.'),
  fusionWeight: z.number().nonnegative().optional().describe('w_f: weight of the fused answers; 1 when left out.'),
});

export type LossInput = z.infer<typeof lossKeys>;
type LossType = (typeof lossTypes)[number];
type Key = Exclude<keyof LossInput, 'preset'>;
type Always = 'type' | 'beta' | 'entropyBonus' | 'topEntropyFraction' | 'importanceCorrection' | 'oldLogprobs';
type AlsoAlways = 'maskTruncated' | 'soloWeight' | 'fusionWeight';
/** With the defaults of all that serves the loss; what does not is left out. */
export type LossSettings = LossInput & Required<Pick<LossInput, Always | AlsoAlways>>;

const presets: Readonly<Record<NonNullable<LossInput['preset']>, LossInput>> = {
  gspo: {type: 'grpo', ratio: 'sequence', epsilonLow: 3e-4, epsilonHigh: 4e-4},
};

interface Option {
  /** Whether the loss, as chosen so far, uses it. */
  readonly serves?: (loss: LossInput) => boolean;
  /** Where it is of use, for the message. */
  readonly where?: string;
  readonly fallback?: (loss: LossInput) => unknown;
  /** Whether an agent takes the run's value; true when left out. */
  readonly isInherited?: (own: LossInput) => boolean;
}

const only = (...types: readonly LossType[]) => ({
  serves: (loss: LossInput) => types.includes(loss.type as LossType),
  where: `with loss.type: ${types.join(', ')}`,
});
const clipped = only('grpo', 'bnpo', 'dr_grpo', 'dapo', 'luspo');
const withReference = {serves: (loss: LossInput) => (loss.beta ?? 0) > 0, where: 'with loss.beta above 0'};
const withCorrection = {
  serves: (loss: LossInput) => loss.importanceCorrection !== 'none',
  where: 'with a loss.importanceCorrection',
};

/** In an order in which what an option depends on comes before it. */
const options: Readonly<Record<Key, Option>> = {
  type: {fallback: () => 'dapo'},
  ratio: {...only(...lossTypes.filter((type) => type !== 'vespo')), fallback: () => 'token'},
  epsilonLow: {...clipped, fallback: () => 0.2},
  epsilonHigh: {...clipped, fallback: () => 0.28},
  delta: clipped,
  cispoCap: {...only('cispo'), fallback: () => 5},
  sapo: {...only('sapo'), fallback: () => ({temperaturePositive: 1, temperatureNegative: 1.05})},
  vespo: {
    ...only('vespo'),
    fallback: () => ({kPositive: 2, lambdaPositive: 3, kNegative: 3, lambdaNegative: 2}),
  },
  beta: {fallback: () => 0},
  kl: {...withReference, fallback: () => 'k3'},
  klUnbiased: {...withReference, fallback: () => false},
  entropyBonus: {fallback: () => 0},
  topEntropyFraction: {fallback: () => 1},
  importanceCorrection: {fallback: () => 'none'},
  importanceMax: {...withCorrection, fallback: () => 3},
  importanceMin: withCorrection,
  offPolicyThreshold: {},
  oldLogprobs: {
    fallback: (loss) => (loss.importanceCorrection === 'none' ? 'sampler' : 'scorer'),
    isInherited: (own) => own.importanceCorrection === undefined,
  },
  tokenCount: {...only('dapo', 'cispo', 'vespo'), fallback: () => 'minibatch'},
  maskTruncated: {fallback: () => false},
  soloWeight: {fallback: () => 1},
  fusionWeight: {fallback: () => 1},
};

/**
What settings come to.

@param base - The run's, where `own` are an agent's: taken where they serve the agent's loss.
*/
export function resolveLoss(own: LossInput, base?: LossSettings): LossSettings {
  const preset: LossInput = own.preset === undefined ? {} : presets[own.preset];
  const loss: Record<string, unknown> = own.preset === undefined ? {} : {preset: own.preset};
  for (const [key, {serves, fallback, isInherited}] of Object.entries(options) as [Key, Option][]) {
    const isOfUse = serves?.(loss as LossInput) ?? true;
    const inherited = (isInherited?.(own) ?? true) ? base?.[key] : undefined;
    const given = own[key] ?? preset[key];
    const value = given ?? (isOfUse ? (inherited ?? fallback?.(loss as LossInput)) : undefined);
    if (value !== undefined) loss[key] = value;
  }
  return loss as unknown as LossSettings;
}

export interface Problem {
  readonly path: readonly (string | number)[];
  /** What was expected. */
  readonly message: string;
  readonly input: unknown;
}

/** What in `own` would be ignored or contradicts itself. */
export function lossProblems(own: LossInput, base?: LossSettings): Problem[] {
  const loss = resolveLoss(own, base);
  const problems: Problem[] = [];
  const refuse = (key: Key, message: string) => problems.push({path: [key], message, input: loss[key]});
  const preset = own.preset === undefined ? {} : presets[own.preset];
  for (const key of ['type', 'ratio'] as const) {
    if (own[key] === undefined || preset[key] === undefined || own[key] === preset[key]) continue;
    refuse(key, `expected ${preset[key]} with loss.preset: ${own.preset}`);
  }
  for (const [key, {serves, where}] of Object.entries(options) as [Key, Option][]) {
    if (own[key] === undefined || (serves?.(loss) ?? true)) continue;
    refuse(key, `expected loss.${key} only ${where} (here ${situationOf(key, loss)}), for it would be ignored`);
  }
  if (loss.type === 'luspo' && loss.ratio !== 'sequence') refuse('ratio', 'expected sequence with loss.type: luspo');
  if (loss.delta !== undefined && loss.delta <= 1 + (loss.epsilonHigh ?? 0))
    refuse(
      'delta',
      `expected more than 1 + loss.epsilonHigh (${1 + (loss.epsilonHigh ?? 0)}), which it would override`,
    );
  if (loss.importanceMin !== undefined && loss.importanceMin >= (loss.importanceMax ?? 0))
    refuse('importanceMin', `expected less than loss.importanceMax (${loss.importanceMax})`);
  if (loss.type === 'vespo' && loss.importanceCorrection.startsWith('sequence'))
    refuse(
      'importanceCorrection',
      'expected token_truncate or token_mask with loss.type: vespo, whose weight is a product over tokens',
    );
  if (loss.importanceCorrection !== 'none' && loss.oldLogprobs === 'sampler')
    refuse(
      'oldLogprobs',
      `expected scorer with loss.importanceCorrection: ${loss.importanceCorrection}, which compares the two`,
    );
  return problems;
}

function situationOf(key: Key, loss: LossSettings): string {
  if (options[key].where === withReference.where) return `loss.beta is ${loss.beta}`;
  if (options[key].where === withCorrection.where) return 'it is none';
  return `loss.type is ${loss.type}`;
}
