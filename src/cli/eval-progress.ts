import type {EvalEvent} from '../eval/plan.js';
import {memberNames} from '../eval/plan.js';
import {duration} from './progress.js';
import {type Output, Screen} from './terminal.js';

type UnitEvent = Extract<EvalEvent, {type: 'progress'}>;

/** Shows an evaluation as it goes: a live line on a terminal, one line for each finished benchmark of a model everywhere. */
export class EvalProgress {
  private readonly screen: Screen;
  private readonly now: () => number;
  private unit: UnitEvent['unit'] | undefined;
  private startedAt = 0;
  private isFinished = false;

  constructor(output: Output, now: () => number = Date.now) {
    this.now = now;
    this.screen = new Screen(output, now);
  }

  /** A line that stays. */
  line(text: string): void {
    this.screen.line(text);
  }

  readonly onEvent = (event: EvalEvent): void => {
    switch (event.type) {
      case 'progress':
        this.onProgress(event);
        break;
      case 'loading':
        this.screen.draw([`loading ${event.models.join(', ')}`]);
        break;
      case 'warning':
        this.line(`warning: ${event.message}`);
        break;
    }
  };

  /** Takes the live line away. */
  finish(): void {
    this.screen.clear();
  }

  private onProgress(event: UnitEvent): void {
    if (event.unit !== this.unit) {
      this.unit = event.unit;
      this.startedAt = this.now();
      this.isFinished = false;
    }
    if (event.done < event.total) this.screen.draw([this.liveLine(event)]);
    else if (!this.isFinished) {
      this.isFinished = true;
      this.line(this.endLine(event));
    }
  }

  private liveLine(event: UnitEvent): string {
    const {done, total, known, tokens} = event;
    const milliseconds = this.now() - this.startedAt;
    const parts = [`${nameOf(event)}  ${done}/${total} questions`];
    if (tokens > 0 && milliseconds > 0) parts.push(`${Math.round((1000 * tokens) / milliseconds)} tokens/s`);
    if (done > known) parts.push(`${duration((milliseconds / (done - known)) * (total - done))} left`);
    return parts.join('  ');
  }

  private endLine(event: UnitEvent): string {
    const {total, known, tokens} = event;
    if (known === total) return `${nameOf(event)}: all ${total} questions were answered before`;
    const before = known > 0 ? `, ${known} of them before` : '';
    return `${nameOf(event)}: ${total} questions${before}, ${tokens} tokens in ${duration(this.now() - this.startedAt)}`;
  }
}

function nameOf({unit}: UnitEvent): string {
  return `${unit.mode} ${memberNames(unit.members).join(' + ')} on ${unit.benchmark.name}`;
}
