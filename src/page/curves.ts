import type {StepMetrics} from '../types.js';
import {type LineChart, lineChart, type Series} from './charts.js';
import type {Html} from './html.js';

/** Points of a curve at most: what a screen can show. */
const most = 400;
/** From so many points on, a running mean is drawn over them. */
const smoothFrom = 30;

export interface Curve extends Pick<LineChart, 'title' | 'within' | 'atLeast' | 'text'> {
  /** Of the metrics, by series name. */
  readonly paths: readonly (readonly [name: string, path: string])[];
}

/** Figures over the steps of a run, long curves faint behind a running mean; undefined where no step has any. */
export function curveChart(metrics: readonly StepMetrics[], {paths, ...chart}: Curve): Html | undefined {
  const series = paths.map(([name, path], look) => ({name, look, points: pointsOf(metrics, path)}));
  const longest = Math.max(0, ...series.map(({points}) => points.length));
  if (longest === 0) return undefined;
  if (longest < smoothFrom) return lineChart({...chart, x: 'step', series});
  const width = Math.ceil(longest / 20);
  const faint = series.map((one): Series => ({...one, points: thin(one.points), isFaint: true}));
  const mean = series.map((one): Series => ({...one, points: thin(runningMean(one.points, width))}));
  return lineChart({...chart, x: 'step', series: [...faint, ...mean]});
}

function pointsOf(metrics: readonly StepMetrics[], path: string): [number, number][] {
  return metrics.flatMap((line): [number, number][] => {
    const value = line[path];
    return value === undefined ? [] : [[line.step, value]];
  });
}

/** Of the last `width` points. */
function runningMean(points: readonly (readonly [number, number])[], width: number): [number, number][] {
  let sum = 0;
  return points.map(([step, value], i) => {
    sum += value - (i >= width ? (points[i - width]?.[1] as number) : 0);
    return [step, sum / Math.min(i + 1, width)];
  });
}

/** Means of neighbours, each at its last step. */
function thin(points: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  if (points.length <= most) return [...points];
  return Array.from({length: most}, (_, bucket) => {
    const own = points.slice(
      Math.floor((bucket * points.length) / most),
      Math.floor(((bucket + 1) * points.length) / most),
    );
    const mean = own.reduce((sum, [, value]) => sum + value, 0) / own.length;
    return [own.at(-1)?.[0] as number, mean] as const;
  });
}
