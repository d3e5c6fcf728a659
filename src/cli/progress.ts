import type {StepMetrics, TrainEvent, TrainPhase} from '../types.js';
import {type Output, Screen} from './terminal.js';

export interface ProgressOptions {
  /** [N] names. */
  readonly agents: readonly string[];
  readonly steps: number;
  /** How difficulties are found; only rankings can fail to parse. */
  readonly estimator?: 'self-ranking' | 'pass-rate' | 'field';
  /** Milliseconds; the clock when left out. */
  readonly now?: () => number;
}

type PhaseEvent = Extract<TrainEvent, {type: 'phase'}>;

interface PhaseState {
  readonly step: number;
  readonly phase: TrainPhase;
  readonly startedAt: number;
  /** By agent, or '' for all. */
  readonly parts: Map<string, PhaseEvent>;
}

/** Without a terminal, a phase of training is worth a line only when it is long; those before it always are. */
const longPhaseMs = 30_000;

/** Shows a run as it goes: a few live lines on a terminal, plain lines elsewhere. */
export class Progress {
  private readonly screen: Screen;
  private readonly options: ProgressOptions;
  private readonly now: () => number;
  private phase: PhaseState | undefined;
  private latest: StepMetrics | undefined;
  private firstStep: {readonly step: number; readonly at: number} | undefined;

  constructor(output: Output, options: ProgressOptions) {
    this.now = options.now ?? Date.now;
    this.screen = new Screen(output, this.now);
    this.options = options;
  }

  /** A line that stays. */
  line(text: string): void {
    this.screen.line(text);
  }

  /** To be given to `train` as `onEvent`. */
  readonly onEvent = (event: TrainEvent): void => {
    switch (event.type) {
      case 'phase':
        this.onPhase(event);
        break;
      case 'step':
        this.onStep(event.metrics);
        break;
      case 'difficulty':
        this.line(difficultyLine(event, this.options.estimator ?? 'self-ranking'));
        break;
      case 'eval':
        for (const {agent, greedy, sampled, wellFormed} of event.results)
          this.line(
            `step ${event.step} evaluation: ${agent} greedy ${percent(mean(greedy))}${sampled.length > 0 ? `, sampled ${percent(mean(sampled))}` : ''}, well-formed ${percent(wellFormed)}`,
          );
        break;
      case 'warning':
        this.line(`warning: ${event.message}`);
        break;
      case 'saved':
        this.line(`step ${event.step} saved`);
        break;
    }
  };

  /** Takes the live lines away. */
  finish(): void {
    this.screen.clear();
  }

  private onPhase(event: PhaseEvent): void {
    if (this.phase?.phase !== event.phase || this.phase.step !== event.step) {
      this.endPhase();
      this.phase = {step: event.step, phase: event.phase, startedAt: this.now(), parts: new Map()};
    }
    this.firstStep ??= event.step > 0 ? {step: event.step, at: this.now()} : undefined;
    this.phase.parts.set(event.agent ?? '', event);
    this.draw();
  }

  private onStep(metrics: StepMetrics): void {
    this.endPhase();
    this.latest = metrics;
    if (metrics.step > 0) this.screen.line(this.stepLine(metrics));
    this.draw();
  }

  private endPhase(): void {
    const {phase} = this;
    this.phase = undefined;
    if (!phase || this.screen.isLive) return;
    const milliseconds = this.now() - phase.startedAt;
    if (phase.step > 0 && milliseconds < longPhaseMs) return;
    const {tokens} = totals(phase);
    this.line(
      `step ${phase.step} ${phase.phase} done in ${duration(milliseconds)}${tokens > 0 ? `, ${tokens} tokens` : ''}`,
    );
  }

  private draw(): void {
    if (this.screen.isLive) this.screen.draw(this.liveLines());
  }

  private liveLines(): string[] {
    const {phase} = this;
    const step = phase?.step ?? this.latest?.step ?? 0;
    const parts = [`step ${step}/${this.options.steps}`];
    if (phase) {
      const {done, total, tokens} = totals(phase);
      parts.push(`${phase.phase} ${done}/${total}`);
      const seconds = (this.now() - phase.startedAt) / 1000;
      if (tokens > 0 && seconds > 0) parts.push(`${Math.round(tokens / seconds)} tokens/s`);
    }
    const left = this.timeLeft(step);
    if (left !== undefined) parts.push(`${duration(left)} left`);
    const {latest} = this;
    return [
      parts.join('  '),
      ...(latest ? this.options.agents.map((agent) => `  ${agentFigures(latest, agent)}`) : []),
    ];
  }

  private stepLine(metrics: StepMetrics): string {
    const parts = [`step ${metrics.step}/${this.options.steps}`];
    // Rewards are in the live lines; without them a line fits most terminals.
    const figures = this.screen.isLive ? agentAccuracies : agentFigures;
    for (const agent of this.options.agents) parts.push(figures(metrics, agent));
    if (metrics.tokensPerSecond) parts.push(`${Math.round(metrics.tokensPerSecond)} tokens/s`);
    const left = this.timeLeft(metrics.step + 1);
    if (left !== undefined && left > 0) parts.push(`${duration(left)} left`);
    return parts.join(' | ');
  }

  /** From the mean time of the steps seen; `step` is the one under way. */
  private timeLeft(step: number): number | undefined {
    const {firstStep} = this;
    if (!firstStep || step <= firstStep.step) return undefined;
    const perStep = (this.now() - firstStep.at) / (step - firstStep.step);
    return perStep * Math.max(0, this.options.steps - step + 1);
  }
}

function agentFigures(metrics: StepMetrics, agent: string): string {
  const parts: string[] = [agent];
  for (const stage of ['solo', 'fusion'] as const) {
    const accuracy = metrics[`${agent}/accuracy/${stage}`];
    const reward = metrics[`${agent}/reward/${stage}`];
    if (accuracy === undefined || reward === undefined) continue;
    parts.push(`${stage} ${whole(accuracy)} (reward ${reward.toFixed(2)})`);
  }
  const cooperative = metrics[`${agent}/strategy/cooperative`];
  if (cooperative !== undefined) parts.push(`cooperative ${whole(cooperative)}`);
  return parts.join(' ');
}

function agentAccuracies(metrics: StepMetrics, agent: string): string {
  const {
    [`${agent}/accuracy/solo`]: solo,
    [`${agent}/accuracy/fusion`]: fusion,
    [`${agent}/strategy/cooperative`]: cooperative,
  } = metrics;
  const parts = [agent];
  if (solo !== undefined) parts.push(`solo ${whole(solo)}`);
  if (fusion !== undefined) parts.push(`fusion ${whole(fusion)}`);
  if (cooperative !== undefined) parts.push(`coop ${whole(cooperative)}`);
  return parts.join(' ');
}

function difficultyLine(
  {parseRate, levelCorrelation}: Extract<TrainEvent, {type: 'difficulty'}>,
  estimator: NonNullable<ProgressOptions['estimator']>,
): string {
  const parts = [`difficulty by ${estimator}`];
  if (estimator === 'self-ranking') parts.push(`${percent(parseRate)} of the rankings parsed`);
  if (levelCorrelation !== undefined) parts.push(`rank correlation with the true level ${levelCorrelation.toFixed(2)}`);
  return parts.join(', ');
}

function totals({parts}: PhaseState): {done: number; total: number; tokens: number} {
  const sum = {done: 0, total: 0, tokens: 0};
  for (const {done, total, tokens} of parts.values()) {
    sum.done += done;
    sum.total += total;
    sum.tokens += tokens;
  }
  return sum;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
/** For the lines of a step, which are to fit a terminal. */
const whole = (share: number): string => `${Math.round(100 * share)} %`;

/** `1h 05m`, `4m 10s`, `12s`. */
export function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)}h ${two(Math.floor(seconds / 60) % 60)}m`;
  return seconds >= 60 ? `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s` : `${seconds}s`;
}

const two = (value: number): string => String(value).padStart(2, '0');
