import type {Group, Stage} from '../../src/types.js';

/** A group with given rewards; `undefined` is a rollout that could not be graded. Completion k has the ids k, k+1, … of length k+1. */
export function rewardedGroup(
  agent: number,
  question: string,
  rewards: readonly (number | undefined)[],
  stage: Stage = 'solo',
): Group {
  return {
    question: {id: question, text: question, answer: '1'},
    agent,
    stage,
    promptIds: Int32Array.from(Buffer.from(question)),
    rollouts: rewards.map((reward, k) => ({
      completion: {
        index: k,
        ids: Int32Array.from({length: k + 1}, (_, i) => k + i),
        logprobs: new Float32Array(k + 1).fill(-(k + 1)),
        finishReason: 'stop',
      },
      text: `${k}`,
      reward: reward ?? 0,
      isCorrect: reward === 1,
      isWellFormed: true,
      ...(reward === undefined ? {failure: 'failed'} : {}),
    })),
  };
}
