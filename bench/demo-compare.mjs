// The demo with single-agent GRPO at equal generated tokens, over several seeds, as it comes out.
//   node bench/demo-compare.mjs [--seeds 0,1,2] [--out bench/results/demo-compare.json]
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {compare, meanDifferences} from '../dist/src/demo/compare.js';
import {runDemo} from '../dist/src/demo/run-demo.js';
import {mean, meanInterval, pairedInterval} from '../dist/src/statistics.js';
import {report} from './report.mjs';

const kinds = ['greedy', 'sampled'];

function seedsWanted() {
  const at = process.argv.indexOf('--seeds');
  return (at < 0 ? '0,1,2' : process.argv[at + 1]).split(',').map(Number);
}

async function run(seed) {
  const output = mkdtempSync(path.join(tmpdir(), 'ilr-native-demo-'));
  try {
    return await runDemo({
      seed,
      output,
      compare: true,
      onStage: (stage) => process.stderr.write(`seed ${seed}: ${stage}\n`),
    });
  } finally {
    rmSync(output, {recursive: true});
  }
}

function effect({agent, solo, fusion, copied}, seed) {
  return {
    agent,
    ownIdea: mean(solo),
    fusion: mean(fusion),
    control: mean(copied),
    peersPart: pairedInterval(copied, fusion, {seed}),
  };
}

function summary(result) {
  const {seed, before, after, dialoguesBefore, dialoguesAfter, cooperative, ranking, seconds} = result;
  return {
    seed,
    gains: before.map((first, i) => ({
      agent: first.agent,
      wellFormedBefore: first.wellFormed,
      ...Object.fromEntries(kinds.map((kind) => [kind, pairedInterval(first[kind], after[i][kind], {seed})])),
    })),
    comparison: compare(result),
    dialoguesBefore: dialoguesBefore.map((each) => effect(each, seed)),
    dialoguesAfter: dialoguesAfter.map((each) => effect(each, seed)),
    cooperative,
    ranking,
    seconds,
  };
}

/** Interval, over questions, of the mean over the seeds of values by question: every seed is tested on the same questions. */
function overSeeds(values) {
  return meanInterval(
    values[0].map((_, q) => mean(values.map((each) => each[q]))),
    {seed: 0},
  );
}

const results = [];
for (const seed of seedsWanted()) results.push(await run(seed));
const peersPart = ({dialoguesBefore}) =>
  dialoguesBefore[0].fusion.map((_, q) => mean(dialoguesBefore.map(({fusion, copied}) => fusion[q] - copied[q])));
report('demo-compare.mjs', {
  questions: results[0].questionIds.length,
  bothAgentsAllSeeds: {
    ilrMinusGrpo: Object.fromEntries(
      kinds.map((kind) => [kind, overSeeds(results.map(({after, grpo}) => meanDifferences(after, grpo.after, kind)))]),
    ),
    peersPartBeforeTraining: overSeeds(results.map(peersPart)),
  },
  seeds: results.map(summary),
});
