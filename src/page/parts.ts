import type {Interval} from '../statistics.js';
import {seriesClass} from './charts.js';
import {type Html, html} from './html.js';
import {cutText} from './visible.js';

/** Text of a question or a model, cut to `length` characters. */
export function quote(whole: string, length: number): Html {
  const {text, left} = cutText(whole, length);
  return html`<pre>${text}</pre>${left === 0 ? undefined : html`<p class="soft">… and ${left.toLocaleString('en')} characters more.</p>`}`;
}

/** What stands before the name of a series, in its colour. */
export function dot(look: number): Html {
  return html`<svg class="dot" aria-hidden="true"><circle class="${seriesClass(look)}" cx="50%" cy="50%" r="4.5"/></svg>`;
}

/** `1 question`, `1,319 questions`. */
export function count(number: number, noun: string): string {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`;
}

/** A share in percent. */
export function points(share: number): string {
  return Number.isFinite(share) ? (100 * share).toFixed(1) : '–';
}

/** A difference of shares in percentage points. */
export function signed(share: number, digits = 1): string {
  const text = Math.abs(100 * share).toFixed(digits);
  return Number(text) === 0 ? text : `${share < 0 ? '\u2212' : '+'}${text}`;
}

export function intervalText({mean, low, high}: Interval): string {
  return `${points(mean)} %, from ${points(low)} to ${points(high)} %`;
}
