// How the mathematics grader does on test cases of other graders. They are not kept here: each set is read from a file that is given by its path, a
// JSON array of {"set", "gold", "answer", "expected": true | false, "precision"?} (a precision other than 6 is the count of decimals compared). Verdicts of
// another grader on the same cases may be given beside it, as {"<set>": [cases, right, false accepts, false rejections]}.
//   node bench/graders.mjs --cases cases.json [--cases more.json] [--other name=verdicts.json] [--show] [--out bench/results/graders.json]
import {readFileSync} from 'node:fs';
import {parseArgs} from 'node:util';
import {gradeMath} from '../dist/src/reward/math/grade.js';
import {report} from './report.mjs';

const {values} = parseArgs({
  options: {
    cases: {type: 'string', multiple: true},
    other: {type: 'string', multiple: true, default: []},
    show: {type: 'boolean', default: false},
    out: {type: 'string'},
  },
});
const read = (file) => JSON.parse(readFileSync(file, 'utf8'));
const cases = (values.cases ?? []).flatMap(read);

function count(verdicts) {
  const sets = {};
  for (const {set, expected, correct} of verdicts) {
    sets[set] ??= {cases: 0, right: 0, falseAccepts: 0, falseRejections: 0};
    sets[set].cases++;
    if (correct === expected) sets[set].right++;
    else if (correct) sets[set].falseAccepts++;
    else sets[set].falseRejections++;
  }
  return sets;
}

function total(sets) {
  const sum = (name) => Object.values(sets).reduce((all, set) => all + set[name], 0);
  return {
    cases: sum('cases'),
    right: sum('right'),
    falseAccepts: sum('falseAccepts'),
    falseRejections: sum('falseRejections'),
  };
}

const verdicts = cases.map(({set, gold, answer, expected, precision}) => {
  const {correct, extracted} = gradeMath(
    gold,
    answer,
    precision === undefined || precision === 6 ? {} : {decimals: precision},
  );
  if (values.show && (correct === true) !== expected)
    process.stderr.write(`${expected ? 'rejected' : 'accepted'} ${set}: ${gold} | ${answer} | ${extracted}\n`);
  return {set, expected, correct: correct === true};
});
const graders = {'ilr-native': count(verdicts)};
for (const entry of values.other) {
  const [name, file] = entry.split('=');
  graders[name] = Object.fromEntries(
    Object.entries(read(file)).map(([set, [cases, right, falseAccepts, falseRejections]]) => [
      set,
      {cases, right, falseAccepts, falseRejections},
    ]),
  );
}
report('graders.mjs', {
  unit: 'cases',
  total: Object.fromEntries(Object.entries(graders).map(([name, sets]) => [name, total(sets)])),
  graders,
});
