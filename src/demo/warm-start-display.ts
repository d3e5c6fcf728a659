import {duration} from '../cli/progress.js';
import {type Output, Screen} from '../cli/terminal.js';
import type {WarmStartProgress} from './warm-start.js';

/** Shows the warm starts of both agents: a live line on a terminal, elsewhere a line per tenth. */
export class WarmStartDisplay {
  private readonly screen: Screen;
  private readonly now: () => number;
  private readonly latest = new Map<string, WarmStartProgress>();
  private startedAt: number | undefined;
  private tenths = 0;

  constructor(output: Output, now: () => number = Date.now) {
    this.screen = new Screen(output, now);
    this.now = now;
  }

  readonly onProgress = (agent: string, progress: WarmStartProgress): void => {
    this.startedAt ??= this.now();
    this.latest.set(agent, progress);
    const line = this.line(this.startedAt);
    if (this.screen.isLive) this.screen.draw([line]);
    const tenth = Math.floor(10 * this.share());
    if (tenth === this.tenths) return;
    this.tenths = tenth;
    if (!this.screen.isLive || tenth === 10) this.screen.line(line);
  };

  finish(): void {
    this.screen.clear();
  }

  private line(startedAt: number): string {
    const milliseconds = this.now() - startedAt;
    const share = this.share();
    const tokens = this.sum(({tokens}) => tokens);
    const losses = [...this.latest].map(([agent, {loss}]) => `${agent} loss ${loss.toFixed(3)}`);
    const parts = [`warm start ${Math.floor(100 * share)} %`, ...losses];
    if (milliseconds > 0) parts.push(`${Math.round((1000 * tokens) / milliseconds)} tokens/s`);
    if (share < 1) parts.push(`${duration((milliseconds * (1 - share)) / share)} left`);
    return parts.join('  ');
  }

  private share(): number {
    return this.sum(({tokens}) => tokens) / this.sum(({total}) => total);
  }

  private sum(of: (progress: WarmStartProgress) => number): number {
    return [...this.latest.values()].reduce((sum, progress) => sum + of(progress), 0);
  }
}
