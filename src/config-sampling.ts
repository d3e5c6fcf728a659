import {z} from 'zod';

/** How an agent's answers are drawn, as a user writes it; `src/sampling.ts` turns it into the policy's SamplingOptions. */
export const samplingKeys = z.strictObject({
  topK: z.int().nonnegative().default(0).describe('Of the k most likely tokens; 0: of all.'),
  topP: z.number().positive().max(1).default(1).describe('Of the fewest most likely tokens that hold this mass.'),
  minP: z.number().min(0).max(1).default(0).describe('Of tokens at least this times as likely as the most likely one.'),
  repetitionPenalty: z
    .number()
    .min(0.01)
    .max(100)
    .default(1)
    .describe('Above 1: tokens of the prompt and the answer so far become less likely (CTRL).'),
  logitBias: z
    .record(z.string().regex(/^\d+$/, 'expected token ids'), z.number().min(-1e4).max(1e4))
    .default({})
    .describe('Added to the logit of a token, by its id.'),
  badWords: z
    .array(z.union([z.string().min(1), z.array(z.int().nonnegative()).min(1)]))
    .max(1024)
    .default([])
    .describe(
      'Texts, with and without a space before them, or lists of token ids, that are never written in these tokens.',
    ),
  stopStrings: z
    .array(z.string().min(1))
    .max(64)
    .default([])
    .describe('An answer ends with the first of them; the text before it is what is graded and passed on.'),
  stopIds: z
    .array(z.int().nonnegative())
    .max(1024)
    .default([])
    .describe('Beside those of the model and its chat template.'),
});

/** Defaults filled in. */
export type SamplingSettings = z.infer<typeof samplingKeys>;
