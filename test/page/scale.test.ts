import test from 'ava';
import {placeOn, scaleOf, tickText} from '../../src/page/scale.js';

test('a scale ends on round numbers around its values', (t) => {
  t.deepEqual(scaleOf([0.31, 0.58]), {low: 0.3, high: 0.6, ticks: [0.3, 0.4, 0.5, 0.6]});
  t.deepEqual(scaleOf([-3, 17]).ticks, [-5, 0, 5, 10, 15, 20]);
  t.deepEqual(scaleOf([0, 100]).ticks, [0, 50, 100]);
});

test('values that are close, equal, or not there still have a scale', (t) => {
  const equal = scaleOf([0.5, 0.5], {atLeast: 0.2});
  t.true(equal.low <= 0.4 && equal.high >= 0.6);
  for (const values of [[], [Number.NaN], [0], [1e-30], [7], [1e30]]) {
    const scale = scaleOf(values);
    t.true(scale.high > scale.low && scale.ticks.length >= 2 && scale.ticks.length < 30, `${values}`);
  }
});

test('a scale of shares stays within 0 and 1', (t) => {
  const near = scaleOf([0.99, 1], {atLeast: 0.2, within: [0, 1]});
  t.is(near.high, 1);
  t.true(near.low <= 0.8);
  t.is(scaleOf([0, 0.01], {atLeast: 0.2, within: [0, 1]}).low, 0);
});

test('places are shares of the scale, and marks have the digits they need', (t) => {
  const scale = scaleOf([0, 1]);
  t.is(placeOn(scale, 0.25), 0.25);
  t.is(tickText(0.5, scaleOf([0, 1])), '0.5');
  t.is(tickText(-2, scaleOf([-2, 6])), '\u22122');
  t.is(tickText(2e-7, scaleOf([0, 1e-6])), '2.0e-7');
});
