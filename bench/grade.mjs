// How long the mathematics grader takes for an answer: every MATH test solution against its gold answer, the same with wrong gold answers (the
// next question's: the full comparison), and inputs made to run long.
//   node bench/grade.mjs [--shared ../shared] [--out bench/results/grade.json]
import {readFileSync} from 'node:fs';
import {parseArgs} from 'node:util';
import {gradeMath} from '../dist/src/reward/math/grade.js';
import {report} from './report.mjs';

const {values} = parseArgs({options: {shared: {type: 'string', default: '../shared'}, out: {type: 'string'}}});
const rows = readFileSync(`${values.shared}/data/math/test.jsonl`, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line));
const hostile = [
  '9^{9^{9^{9}}}',
  '(10^6)!',
  '('.repeat(20_000),
  '1/'.repeat(1400),
  '\\pm1'.repeat(500),
  '\\boxed{'.repeat(30_000),
  '1 '.repeat(90_000),
  '2500!\\cdot '.repeat(100),
  '\\binom{10000}{5000}'.repeat(60),
  '\\['.repeat(60_000),
  '(x+1)^{1000}',
  `1.${'3'.repeat(2990)}`,
];

/** Processor time, so that what else the machine does is not counted; and by the clock. */
function time(pairs) {
  const clock = [];
  const processor = pairs.map(([gold, answer]) => {
    const start = performance.now();
    const usage = process.cpuUsage();
    gradeMath(gold, answer);
    const {user, system} = process.cpuUsage(usage);
    clock.push(performance.now() - start);
    return (user + system) / 1000;
  });
  return {answers: pairs.length, processor: percentiles(processor), clock: percentiles(clock)};
}

function percentiles(milliseconds) {
  milliseconds.sort((a, b) => a - b);
  const at = (share) =>
    Number(milliseconds[Math.min(milliseconds.length - 1, Math.floor(share * milliseconds.length))].toFixed(4));
  return {p50: at(0.5), p99: at(0.99), 'p99.9': at(0.999), max: at(1)};
}

const right = rows.map((row) => [row.answer, row.solution]);
const wrong = rows.map((row, i) => [rows[(i + 1) % rows.length].answer, row.solution]);
// Warm: a run grades thousands of answers.
time(right);
time(wrong);
for (let round = 0; round < 3; round++) time(hostile.map((text) => ['17', `\\boxed{${text}}`]));
report('grade.mjs', {
  unit: 'milliseconds for one answer',
  right: time(right),
  wrong: time(wrong),
  hostile: time(
    hostile.flatMap((text) => [
      ['17', text],
      ['17', `\\boxed{${text}}`],
    ]),
  ),
});
