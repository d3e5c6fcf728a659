import type {RunConfigInput} from '../../src/config.js';
import {train} from '../../src/train.js';
import type {
  Agent,
  Group,
  Recorder,
  StepMetrics,
  TrainEvent,
  TrainerState,
  TrainOptions,
  TrainResult,
} from '../../src/types.js';
import type {ScriptedPolicy, ScriptedState} from './scripted-policy.js';
import {sums, sumsAgents, sumsConfig} from './sums.js';

/** Runs of agents without weights, recorded in memory. */

export type ScriptedAgent = Agent & {readonly policy: ScriptedPolicy};

export interface Checkpoint {
  readonly state: TrainerState;
  readonly policies: readonly ScriptedState[];
  readonly references: readonly (ScriptedState | undefined)[];
  readonly bestScore?: number;
}

/** Keeps in memory what a run folder keeps on disk. */
export class Memory implements Recorder {
  readonly steps: StepMetrics[] = [];
  readonly groups: (readonly Group[])[] = [];
  readonly checkpoints: Checkpoint[] = [];

  async step(metrics: StepMetrics): Promise<void> {
    const {seconds: _, tokensPerSecond: __, ...rest} = metrics;
    this.steps.push(rest as StepMetrics);
  }

  async dialogues(_step: number, groups: readonly Group[]): Promise<void> {
    this.groups.push(groups);
  }

  async checkpoint(state: TrainerState, agents: readonly Agent[], bestScore?: number): Promise<void> {
    // as JSON, because that is what a resumed run reads
    const policies = (agents as readonly ScriptedAgent[]).map((agent) => agent.policy.state);
    const references = agents.map((agent) => (agent.reference as ScriptedPolicy | undefined)?.state);
    this.checkpoints.push({state: JSON.parse(JSON.stringify(state)), policies, references, bestScore});
  }
}

export interface Setting {
  readonly config?: Partial<RunConfigInput>;
  readonly agents?: readonly ScriptedAgent[];
  readonly options?: Partial<TrainOptions>;
}

export async function run({config, agents = sumsAgents(), options}: Setting = {}) {
  const recorder = new Memory();
  const events: TrainEvent[] = [];
  const questions = {train: sums, test: sums.slice(0, 4)};
  const outcome: {result?: TrainResult; error?: unknown} = {};
  try {
    outcome.result = await train({
      config: sumsConfig(config),
      agents,
      questions,
      recorder,
      onEvent: (event) => events.push(event),
      ...options,
    });
  } catch (error) {
    outcome.error = error;
  }
  return {...outcome, recorder, events, agents};
}

/** @param agents - As new. */
export function resumedAgents(checkpoint: Checkpoint | undefined, agents = sumsAgents()): ScriptedAgent[] {
  return agents.map((agent, i) => {
    agent.policy.state = checkpoint?.policies[i] as ScriptedState;
    const reference = checkpoint?.references[i];
    if (reference !== undefined) (agent.reference as ScriptedPolicy).state = reference;
    return agent;
  });
}
