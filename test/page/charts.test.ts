import test from 'ava';
import {intervalPlot, lineChart, shareBar} from '../../src/page/charts.js';
import {toDocument} from '../../src/page/document.js';
import type {Html} from '../../src/page/html.js';
import {scaleOf} from '../../src/page/scale.js';
import {elementsOf, readMarkup} from '../helpers/markup.js';

const read = (body: Html) => elementsOf(readMarkup(toDocument({title: 't', body})));

test('a point and its interval lie where the scale says', (t) => {
  const plot = read(intervalPlot({mean: 0.5, low: 0.4, high: 0.75}, scaleOf([0, 1]), 0, 'ann'));
  const whisker = plot.find(({attributes}) => attributes.get('class')?.startsWith('whisker'));
  t.deepEqual([whisker?.attributes.get('x1'), whisker?.attributes.get('x2')], ['40%', '75%']);
  t.is(plot.find(({name}) => name === 'circle')?.attributes.get('cx'), '50%');
});

test('an interval that is not there leaves the point out', (t) => {
  const none = {mean: Number.NaN, low: Number.NaN, high: Number.NaN};
  t.false(read(intervalPlot(none, scaleOf([0, 1]), 0, 'ann')).some(({name}) => name === 'circle'));
});

test('curves: a gap where a value is missing, ends in words', (t) => {
  const chart = read(
    lineChart({
      title: 'Reward',
      x: 'step',
      series: [
        {
          name: '<ann>',
          points: [
            [0, 0],
            [1, 0.5],
            [2, Number.NaN],
            [3, 1],
          ],
        },
        {name: 'bob', points: []},
      ],
      within: [0, 1],
    }),
  );
  const [ann, bob] = chart.filter(({name}) => name === 'path');
  t.is(ann?.attributes.get('d'), 'M0.0 1000.0L0.0 1000.0L333.3 500.0M1000.0 0.0L1000.0 0.0');
  t.is(bob?.attributes.get('d'), '');
  const image = chart.find(({attributes}) => attributes.get('role') === 'img');
  t.is(image?.attributes.get('aria-label'), 'Reward. <ann>: from 0.0 to 1.0; bob: no values');
});

test('long curves and curves of one point are drawn', (t) => {
  const long = Array.from({length: 200_000}, (_, i) => [i, i % 7] as const);
  t.true(read(lineChart({title: 'x', x: 'step', series: [{name: 'a', points: long}]})).length > 5);
  const [path] = read(lineChart({title: 'x', x: 'step', series: [{name: 'a', points: [[3, 2]]}]})).filter(
    ({name}) => name === 'path',
  );
  t.regex(path?.attributes.get('d') ?? '', /^M500\.0 \d+\.0L500\.0 \d+\.0$/);
});

test('a bar is a share of its cell', (t) => {
  const widths = [0.25, 7, Number.NaN].map((share) => read(shareBar(share, 0)).at(-1)?.attributes.get('width'));
  t.deepEqual(widths, ['25%', '100%', '0%']);
});
