import type {Interval} from '../statistics.js';
import {type Html, html} from './html.js';
import {extentOf, placeOn, type Scale, scaleOf, tickText} from './scale.js';

/** Static charts. Places are percentages, so that they fill any width without their text growing or shrinking. */

/** How many series look different. */
export const looks = 6;

export function seriesClass(index: number): string {
  return `s${index % looks}${index >= looks ? ` d${Math.floor(index / looks) % 3}` : ''}`;
}

const percent = (share: number): string => `${Number((100 * share).toFixed(3))}%`;

/** One row of an interval chart: a point with its interval, on the marks of the whole chart. */
export function intervalPlot(interval: Interval, scale: Scale, series: number, label: string): Html {
  const at = (value: number) => percent(placeOn(scale, value));
  const look = seriesClass(series);
  const whisker = [interval.low, interval.high].every(Number.isFinite)
    ? html`<line class="whisker ${look}" x1="${at(interval.low)}" x2="${at(interval.high)}" y1="50%" y2="50%"/>`
    : undefined;
  return html`<svg role="img" aria-label="${label}">${gridLines(scale)}${whisker}${
    Number.isFinite(interval.mean)
      ? html`<circle class="${look}" cx="${at(interval.mean)}" cy="50%" r="5"/>`
      : undefined
  }</svg>`;
}

/** The marks above such rows. @param text - what stands at a mark. */
export function intervalAxis(scale: Scale, text: (value: number) => string): Html {
  const last = scale.ticks.length - 1;
  return html`<svg aria-hidden="true">${scale.ticks.map((tick, i) => {
    const anchor = i === 0 ? 'start' : i === last ? 'end' : 'middle';
    return html`<text class="${i > 0 && i < last ? 'between' : ''}" x="${percent(placeOn(scale, tick))}" y="85%" text-anchor="${anchor}">${text(tick)}</text>`;
  })}</svg>`;
}

/** A thin bar from 0 to 1. */
export function shareBar(share: number, series: number): Html {
  return html`<svg aria-hidden="true"><rect class="track" width="100%" height="100%" rx="2"/><rect class="${seriesClass(series)}" stroke="none" width="${percent(Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0)))}" height="100%" rx="2"/></svg>`;
}

function gridLines(scale: Scale): Html[] {
  return scale.ticks.map((tick) => {
    const x = percent(placeOn(scale, tick));
    return html`<line class="${tick === 0 && scale.low < 0 ? 'axis' : 'grid'}" x1="${x}" x2="${x}" y1="0" y2="100%"/>`;
  });
}

export interface Series {
  readonly name: string;
  /** [x, y]; those that are not finite are gaps. */
  readonly points: readonly (readonly [number, number])[];
  /** Which look it has; its place when left out. */
  readonly look?: number;
  readonly isDashed?: boolean;
  /** Drawn behind another of the same name. */
  readonly isFaint?: boolean;
}

export interface LineChart {
  readonly title: string;
  readonly series: readonly Series[];
  readonly x: string;
  readonly within?: readonly [number, number];
  /** How far the scale of y reaches where its values are close. */
  readonly atLeast?: number;
  /** What stands at a mark of y; the number when left out. */
  readonly text?: (value: number, scale: Scale) => string;
}

/** Curves over one x. */
export function lineChart({title, series, x, within, atLeast, text = tickText}: LineChart): Html {
  const points = series.flatMap((one) => one.points).filter(([, y]) => Number.isFinite(y));
  const across = scaleOf(points.map(([place]) => place));
  const along: Scale = {...across, ...rangeOf(points.map(([place]) => place))};
  const up = scaleOf(
    points.map(([, value]) => value),
    {within, atLeast},
  );
  const named = series.filter(({isFaint}) => !isFaint);
  const summary = named.map((one) => `${one.name}: ${endsOf(one, up, text)}`).join('; ');
  return html`<figure>
<figcaption><strong>${title}</strong></figcaption>
${legendOf(named)}
<div class="chart">
<svg aria-hidden="true">${up.ticks.map((tick) => html`<text x="100%" y="${percent(1 - placeOn(up, tick))}" dy="0.33em" text-anchor="end">${text(tick, up)}</text>`)}</svg>
<svg role="img" aria-label="${title}. ${summary}" viewBox="0 0 1000 1000" preserveAspectRatio="none">
${up.ticks.map((tick) => {
  const y = inThousand(1 - placeOn(up, tick));
  return html`<line class="grid" vector-effect="non-scaling-stroke" x1="0" x2="1000" y1="${y}" y2="${y}"/>`;
})}
${series.map((one, i) => curve(one, one.look ?? i, along, up))}
</svg>
<svg class="along" aria-hidden="true">${marksAlong(along, x)}</svg>
</div>
</figure>`;
}

const inThousand = (share: number): string => (1000 * share).toFixed(1);

function curve({points, name, isDashed, isFaint}: Series, look: number, along: Scale, up: Scale): Html {
  let isDrawing = false;
  let path = '';
  for (const [x, y] of points) {
    if (!Number.isFinite(y)) {
      isDrawing = false;
      continue;
    }
    const at = `${inThousand(placeOn(along, x))} ${inThousand(1 - placeOn(up, y))}`;
    // A point without neighbours is drawn by its round ends.
    path += isDrawing ? `L${at}` : `M${at}L${at}`;
    isDrawing = true;
  }
  return html`<path class="curve ${seriesClass(look)}${isDashed ? ' d1' : ''}${isFaint ? ' faint' : ''}" vector-effect="non-scaling-stroke" d="${path}"><title>${name}</title></path>`;
}

function marksAlong(along: Scale, name: string): Html[] {
  const inside = along.ticks.filter((tick) => tick >= along.low && tick <= along.high && Number.isInteger(tick));
  return inside.map((tick, i) => {
    const place = placeOn(along, tick);
    const anchor = place < 0.05 ? 'start' : place > 0.9 ? 'end' : 'middle';
    return html`<text x="${percent(place)}" y="80%" text-anchor="${anchor}">${i === 0 ? `${name} ${tick}` : `${tick}`}</text>`;
  });
}

export function legendOf(series: readonly Pick<Series, 'name' | 'look' | 'isDashed'>[]): Html | undefined {
  if (series.length < 2) return undefined;
  return html`<ul class="legend">${series.map(
    ({name, look, isDashed}, i) =>
      html`<li><svg aria-hidden="true"><line class="curve ${seriesClass(look ?? i)}${isDashed ? ' d1' : ''}" x1="1" x2="26" y1="50%" y2="50%"/></svg><bdi>${name}</bdi></li>`,
  )}</ul>`;
}

function rangeOf(values: readonly number[]): {low: number; high: number} {
  const [low, high] = extentOf(values) ?? [0, 1];
  return low === high ? {low: low - 0.5, high: high + 0.5} : {low, high};
}

function endsOf({points}: Series, scale: Scale, text: NonNullable<LineChart['text']>): string {
  const finite = points.filter(([, y]) => Number.isFinite(y));
  const [first, last] = [finite[0], finite.at(-1)];
  return first === undefined || last === undefined
    ? 'no values'
    : `from ${text(first[1], scale)} to ${text(last[1], scale)}`;
}
