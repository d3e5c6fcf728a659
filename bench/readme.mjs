// Writes the measured figures of bench/results into README.md, so that none is typed by hand.
//   node bench/readme.mjs
import {readFileSync, writeFileSync} from 'node:fs';

const read = (name) => JSON.parse(readFileSync(new URL(`results/${name}.json`, import.meta.url), 'utf8'));
const percent = (share) => (100 * share).toFixed(1);
const signed = (share) => {
  const text = percent(Math.abs(share));
  return text === '0.0' ? text : `${share > 0 ? '+' : '−'}${text}`;
};
const interval = ({mean, low, high}) => `${signed(mean)} [${signed(low)}, ${signed(high)}]`;
const from = ({machine, commit, command}) =>
  `${machine.cpu}, ${machine.cores ?? 2} cores, commit ${commit}, \`${command}\``;

function compareTable() {
  const result = read('demo-compare');
  const rows = result.seeds.flatMap(({seed, comparison}) =>
    comparison.agents.map(
      ({agent, greedy, sampled}) =>
        `| ${seed} ${agent} | ${percent(greedy.before)} | ${percent(greedy.ilr)} | ${percent(greedy.grpo)} | ${interval(greedy.difference)} | ${percent(sampled.before)} | ${percent(sampled.ilr)} | ${percent(sampled.grpo)} | ${interval(sampled.difference)} |`,
    ),
  );
  const {ilrMinusGrpo, peersPartBeforeTraining} = result.bothAgentsAllSeeds;
  return `| seed, agent | greedy before | ILR | GRPO | ILR − GRPO | sampled before | ILR | GRPO | ILR − GRPO |
|---|---|---|---|---|---|---|---|---|
${rows.join('\n')}

Percent of ${result.questions} held-out questions, differences in points with paired 95 % bootstrap intervals. Over all seeds and both agents, ILR − GRPO
is ${interval(ilrMinusGrpo.greedy)} points greedy and **${interval(ilrMinusGrpo.sampled)} points sampled**: on this task ILR does not beat GRPO. That the agents do
read each other is another matter: before training, fused answers with the peer's idea are ${interval(peersPartBeforeTraining)} points better than with a
copy of the agent's own in its place. (${from(result)})`;
}

function speedTable() {
  const [own, peer] = [read('speed'), read('speed-pytorch')];
  const rows = ['qwen2', 'llama'].flatMap((model) =>
    ['generate', 'logprobs', 'update'].map((call) => {
      const [ours, theirs] = [own, peer].map((side) => side[model][call].medianTokensPerSecond);
      const floor = peer[model].floor[call === 'update' ? 'trainingTokensPerSecond' : 'forwardTokensPerSecond'];
      const share = Math.round((100 * ours) / floor);
      return `| ${model}, ${call} | ${ours.toLocaleString('en')} | ${theirs.toLocaleString('en')} | ${(ours / theirs).toFixed(1)}× | ${share} % |`;
    }),
  );
  return `| the demo's models, tokens/s, one thread | ilr-native | PyTorch ${peer.torch.split('+')[0]}, transformers | ratio | of the floor |
|---|---|---|---|---|
${rows.join('\n')}

Medians of ${own.rounds} rounds; the floor is the time of the matrix products alone. (${from(own)}; \`${peer.command}\`)`;
}

function gradersTable() {
  const {total, ...result} = read('graders');
  const names = Object.keys(total);
  const row = (title, pick) => `  | ${title} | ${names.map((name) => pick(total[name])).join(' | ')} |`;
  return `
  | ${total[names[0]].cases} published test cases of other graders | ${names.join(' | ')} |
  |---|${names.map(() => '---').join('|')}|
${row('right', ({right, cases}) => `${percent(right / cases)} %`)}
${row('wrong answers accepted', ({falseAccepts}) => falseAccepts)}
${row('right answers rejected', ({falseRejections}) => falseRejections)}

  These cases were in view while ours was mended. On 2,344 others, tried once before anything was mended by them: 98.0 % right and 13 wrong answers
  accepted, Math-Verify 89.1 % and 51 ([docs/log.md](docs/log.md)). (commit ${result.commit}, \`bench/graders.mjs\`)`;
}

function fill(text, name, content) {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  if (!text.includes(open) || !text.includes(close)) throw new Error(`README.md has no place for ${name}`);
  return `${text.slice(0, text.indexOf(open) + open.length)}\n${content}\n${text.slice(text.indexOf(close))}`;
}

const file = new URL('../README.md', import.meta.url);
let text = readFileSync(file, 'utf8');
text = fill(text, 'compare', compareTable());
text = fill(text, 'speed', speedTable());
text = fill(text, 'graders', gradersTable());
writeFileSync(file, text);
