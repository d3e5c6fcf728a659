import {lossOf, optimizerOptionsOf} from '../config.js';
import type {TrainingBatch, UpdateResult} from '../policy.js';
import {Random} from '../random.js';
import {isTrained, phaseOf, type Run} from '../run.js';
import type {Agent} from '../types.js';
import type {BaselineStep} from './baseline.js';
import {buildBatches, type TrainableGroup} from './batch.js';
import {learn, lossOptions, scoreBatches} from './update.js';

/** An agent's groups, dealt to minibatches, with what their log-probs are compared with; none where the agent is not trained. */
export async function prepareBatches(
  run: Run,
  step: number,
  agent: Agent,
  index: number,
  groups: readonly TrainableGroup[],
  baselines: BaselineStep | undefined,
): Promise<readonly TrainingBatch[]> {
  if (!isTrained(agent)) return [];
  const {config, signal} = run;
  const {seed, minibatches, reference} = config;
  const loss = lossOf(config, agent.name);
  const random = new Random({seed, purpose: 'minibatch', agent: index, step});
  const batches = buildBatches(groups, {...loss, minibatches, random, baselines: baselines?.used});
  if (batches.length === 0) {
    const what = config.dynamicSampling.rounds > 0 ? 'unequal rewards' : 'two graded rollouts';
    run.onWarning(`Step ${step}: ${agent.name} has no group with ${what}, so it is not updated.`);
  }
  const ownReference = reference.kind === 'base' ? 'base' : agent.reference;
  return scoreBatches(batches, {
    policy: agent.policy,
    temperature: agent.temperature,
    shouldScoreOld: loss.oldLogprobs === 'scorer',
    reference: loss.beta > 0 ? ownReference : undefined,
    signal,
  });
}

/** The GRPO update of one agent. Advantages, loss and optimiser step are the policy's. */
export async function updateAgent(
  run: Run,
  step: number,
  agent: Agent,
  batches: readonly TrainingBatch[],
): Promise<UpdateResult[]> {
  const {config, options} = run;
  const loss = lossOf(config, agent.name);
  const {share, fuse} = config.dialogue.maxNewTokens;
  const results = await learn(agent.policy, batches, {
    iterations: config.iterations,
    update: {
      ...optimizerOptionsOf(config, agent.name),
      gradientCheckpointing: config.gradientCheckpointing,
      ...lossOptions(loss, config.advantage),
      temperature: agent.temperature,
      ...(loss.type === 'dr_grpo' && {maxCompletionTokens: config.method === 'ilr' ? Math.max(share, fuse) : share}),
      // Half of the agents updated could not be saved.
      signal: options.recorder === undefined ? run.signal : undefined,
    },
    onProgress: phaseOf(run, step, 'update')(agent),
  });
  const {kind, every = 1, mix = 1} = config.reference;
  if (kind === 'synchronised' && loss.beta > 0 && step % every === 0) {
    await agent.reference?.copyFrom(agent.policy, mix);
  }
  return results;
}
