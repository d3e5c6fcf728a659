import type {UpdateResult} from '../../src/policy.js';

/** The report of an update in which nothing happened, but for `changes`. */
export function updateResult(changes: Partial<UpdateResult>): UpdateResult {
  return {
    loss: 0,
    entropy: 0,
    gradNorm: 0,
    learningRate: 0,
    ratioMean: 1,
    ratioMax: 1,
    ratioClippedFraction: 0,
    ratioClippedLowFraction: 0,
    ratioClippedHighFraction: 0,
    kl: Number.NaN,
    importanceMean: Number.NaN,
    importanceMax: Number.NaN,
    offPolicyDroppedFraction: Number.NaN,
    entropyDroppedFraction: Number.NaN,
    samplerKl: 0,
    samplerMaxAbsDiff: 0,
    skipped: false,
    step: 1,
    skippedSteps: 0,
    trainedTokens: 1,
    learningTokens: 1,
    forwardTokens: 1,
    microBatches: 1,
    zeroSpreadGroups: 0,
    groups: 1,
    peakBytes: 0,
    seconds: 0,
    advantages: new Float64Array(0),
    ...changes,
  };
}
