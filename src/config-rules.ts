import type {RunConfig} from './config.js';
import {lossProblems, type Problem, resolveLoss} from './config-loss.js';

/** What contradicts itself between the keys of a configuration, each problem at the key to change. */
export function problemsOf(config: RunConfig): Problem[] {
  const problems = [
    ...agentLossProblems(config),
    ...adapterProblems(config),
    ...referenceProblems(config),
    ...advantageProblems(config),
    ...overlongProblems(config),
    ...optimizerProblems(config),
  ];
  // What the run says is looked at once per agent.
  const keys = problems.map(({path, message}) => `${path.join('.')} ${message}`);
  return problems.filter((_, i) => keys.indexOf(keys[i] as string) === i);
}

function agentLossProblems({agents, loss}: RunConfig): Problem[] {
  return agents.flatMap((agent, i) =>
    agent.loss === undefined
      ? []
      : lossProblems(agent.loss, loss).map((problem) => ({...problem, path: ['agents', i, 'loss', ...problem.path]})),
  );
}

function adapterProblems({agents}: RunConfig): Problem[] {
  const problems: Problem[] = [];
  for (const [i, {adapter: {folder, ...rest} = {}, adapter, trainable}] of agents.entries()) {
    for (const [key, input] of Object.entries(folder === undefined ? {} : rest)) {
      if (input === undefined) continue;
      const message = `expected adapter.${key} only without adapter.folder, whose adapter has its own`;
      problems.push({path: ['agents', i, 'adapter', key], message, input});
    }
    if (adapter !== undefined && !trainable && folder === undefined) {
      const message = 'expected a folder with trainable: false, for a new adapter changes nothing before it is trained';
      problems.push({path: ['agents', i, 'adapter'], message, input: adapter});
    }
  }
  if (agents.every(({trainable}) => !trainable)) {
    const message = 'expected at least one agent that is trained';
    problems.push({path: ['agents', 0, 'trainable'], message, input: false});
  }
  return problems;
}

function referenceProblems(config: RunConfig): Problem[] {
  const {agents, loss, reference} = config;
  const {kind, every, mix} = reference;
  const problems: Problem[] = [];
  const betas = agents.map((agent) => (agent.loss === undefined ? loss : resolveLoss(agent.loss, loss)).beta);
  const first = betas.findIndex((beta) => beta > 0);
  if (kind === 'none' && first >= 0) {
    problems.push({
      path: agents[first]?.loss?.beta === undefined ? ['loss', 'beta'] : ['agents', first, 'loss', 'beta'],
      message: 'expected 0 with reference.kind: none, for it weighs the divergence from a reference policy',
      input: betas[first],
    });
  }
  if (kind !== 'none' && first < 0) {
    problems.push({
      path: ['reference', 'kind'],
      message: 'expected none with loss.beta: 0, for no loss would use a reference policy',
      input: kind,
    });
  }
  if (kind === 'synchronised' && every === undefined) {
    problems.push({
      path: ['reference', 'every'],
      message: 'expected a number of steps with reference.kind: synchronised',
      input: every,
    });
  }
  if (kind === 'synchronised') return [...problems, ...mixProblems(config, betas)];
  for (const [key, value] of Object.entries({every, mix})) {
    if (value === undefined) continue;
    problems.push({
      path: ['reference', key],
      message: `expected reference.${key} only with reference.kind: synchronised (here ${kind}), for it would be ignored`,
      input: value,
    });
  }
  return problems;
}

function mixProblems({agents, reference}: RunConfig, betas: readonly number[]): Problem[] {
  const index = agents.findIndex(({adapter, trainable}, i) => adapter && trainable && (betas[i] as number) > 0);
  if (index < 0 || reference.mix === 1) return [];
  const message = `expected 1 with agents[${index}].adapter, for a mix of two adapters' factors is no mix of their weights`;
  return [{path: ['reference', 'mix'], message, input: reference.mix}];
}

function advantageProblems({advantage, dynamicSampling}: RunConfig): Problem[] {
  const {baseline, decay, scale, std, epsilon} = advantage;
  const problems: Problem[] = [];
  const refuse = (key: string, message: string, input: unknown) =>
    problems.push({path: ['advantage', key], message, input});
  if (baseline !== 'ema' && decay !== undefined) {
    refuse(
      'decay',
      `expected advantage.decay only with advantage.baseline: ema (here ${baseline}), for it would be ignored`,
      decay,
    );
  }
  if (baseline === 'ema' && scale === 'group') {
    // Far from the baseline and of equal rewards, a group would be divided by next to nothing.
    refuse('scale', 'expected none or batch with advantage.baseline: ema', scale);
  }
  if (baseline === 'ema' && dynamicSampling.rounds > 0) {
    problems.push({
      path: ['dynamicSampling', 'rounds'],
      message: 'expected 0 with advantage.baseline: ema, under which groups of equal rewards are trained too',
      input: dynamicSampling.rounds,
    });
  }
  for (const [key, value] of Object.entries(scale === 'none' ? {std, epsilon} : {})) {
    if (value === undefined) continue;
    refuse(key, `expected advantage.${key} only with an advantage.scale (here none), for it would be ignored`, value);
  }
  return problems;
}

function overlongProblems({reward, dialogue, method}: RunConfig): Problem[] {
  const {overlongCache: cache, overlongPenalty} = reward;
  if (cache === undefined) {
    if (overlongPenalty === undefined) return [];
    return [
      {
        path: ['reward', 'overlongPenalty'],
        message: 'expected reward.overlongPenalty only with reward.overlongCache, for it would be ignored',
        input: overlongPenalty,
      },
    ];
  }
  const {share, fuse} = dialogue.maxNewTokens;
  const stages = {share, ...(method === 'ilr' && {fuse})};
  return Object.entries(stages)
    .filter(([, tokens]) => cache > tokens)
    .map(([stage, tokens]) => ({
      path: ['reward', 'overlongCache'],
      message: `expected at most dialogue.maxNewTokens.${stage} (${tokens})`,
      input: cache,
    }));
}

function optimizerProblems(config: RunConfig): Problem[] {
  const {agents, optimizer} = config;
  const total = config.steps * config.minibatches * config.iterations;
  return agents.flatMap((agent, i) => {
    if (!agent.trainable) return [];
    const own = {...optimizer, ...agent.optimizer};
    const problems: Problem[] = [];
    const refuse = (key: keyof typeof own, message: string) => {
      const path = agent.optimizer?.[key] === undefined ? ['optimizer', key] : ['agents', i, 'optimizer', key];
      problems.push({path, message, input: own[key]});
    };
    if (own.kind === 'lean' && agent.adapter !== undefined) {
      refuse('kind', 'expected adamw with an adapter, whose weights are float32 over a base of any dtype');
    } else if (own.kind === 'lean' && agent.dtype !== 'bfloat16') {
      const message =
        'expected bfloat16 with optimizer.kind: lean, which keeps bfloat16 weights and the bits that they lack';
      problems.push({path: ['agents', i, 'dtype'], message, input: agent.dtype});
    }
    if (own.schedule === 'constant' && own.minLearningRateFraction > 0) {
      refuse('minLearningRateFraction', 'expected 0 with optimizer.schedule: constant, for it would be ignored');
    }
    if (own.schedule !== 'constant' && own.warmupSteps >= total) {
      refuse(
        'warmupSteps',
        `expected fewer than steps × minibatches × iterations (${total}) with a schedule that ends there`,
      );
    }
    return problems;
  });
}
