import type {ReadDialogue, RunRecord} from '../record/read-run.js';
import {type Interval, meanInterval, pairedInterval} from '../statistics.js';
import {intervalAxis, intervalPlot} from './charts.js';
import {type Curve, curveChart} from './curves.js';
import {toDocument} from './document.js';
import {type Html, html} from './html.js';
import {count, dot, intervalText, points, quote, signed} from './parts.js';
import {scaleOf} from './scale.js';

/** A training run in one file: what it gave, its curves, its last dialogues, its settings. */
export function toRunPage(run: RunRecord): string {
  const done = run.metrics.at(-1)?.step ?? 0;
  const dialogues = dialoguesSection(run);
  const body = html`<header>
<p class="eyebrow">ilr-native · training run</p>
<h1><bdi>${run.name}</bdi></h1>
<p class="lead">${run.method === 'ilr' ? 'Interactive learning' : 'Learning alone (GRPO)'} of ${count(run.agents.length, 'agent')}: ${run.agents.map((name, i) => html`${i === 0 ? '' : ', '}<bdi>${name}</bdi>`)}. ${run.isFinished ? `Finished after ${count(done, 'step')}.` : `${done} of ${count(run.steps, 'step')} done.`}</p>
<nav><a href="#curves">Curves</a>${dialogues === undefined ? undefined : html`<a href="#dialogues">Last dialogues</a>`}<a href="#figures">All figures</a><a href="#settings">Settings</a></nav>
</header>
<main>
${resultsSection(run)}
${curvesSection(run)}
${dialogues}
${figuresSection(run)}
<section>
<h2 id="settings">Settings</h2>
<p class="soft">config.yaml, with every default.${
    run.versions === undefined
      ? undefined
      : ` Written by ${Object.entries(run.versions)
          .map(([name, version]) => `${name} ${version}`)
          .join(', ')}.`
  }</p>
<details><summary>config.yaml</summary>${quote(run.config, 40_000)}</details>
</section>
</main>
<footer>From metrics.jsonl, dialogues.jsonl and the latest checkpoint of the run’s folder, as they were when this page was written; <code>ilr-native report</code> writes it again.</footer>`;
  return toDocument({title: `${run.name}: training run`, body});
}

interface Outcome {
  readonly agent: string;
  readonly before: Interval;
  readonly after: Interval;
  readonly difference: Interval;
  readonly questions: number;
}

/** Seed of the bootstrap: the same figures give the same page. */
const bootstrap = {seed: 0};

function outcomesOf({agents, before, latest}: RunRecord): Outcome[] {
  return agents.flatMap((agent) => {
    const [first, last] = [before, latest].map((all) => all?.find((one) => one.agent === agent)?.greedy);
    if (first === undefined || last === undefined || first.length !== last.length || first.length === 0) return [];
    return [
      {
        agent,
        before: meanInterval(first, bootstrap),
        after: meanInterval(last, bootstrap),
        difference: pairedInterval(first, last, bootstrap),
        questions: first.length,
      },
    ];
  });
}

function resultsSection(run: RunRecord): Html | undefined {
  const outcomes = outcomesOf(run);
  const [first] = outcomes;
  if (first === undefined) return undefined;
  const scale = scaleOf(
    outcomes.flatMap(({before, after}) => [before.low, before.high, after.low, after.high]),
    {within: [0, 1], atLeast: 0.2},
  );
  const row = (name: string, look: number, when: string, interval: Interval) =>
    html`<td class="word">${when}</td><td class="plot">${intervalPlot(interval, scale, look, `${name} ${when}: ${intervalText(interval)}`)}</td><td class="best">${points(interval.mean)}</td><td>${points(interval.low)} – ${points(interval.high)}</td>`;
  return html`<section>
<h2>Alone, before and after</h2>
<p class="soft">Greedy accuracy of each agent alone on ${count(first.questions, 'test question')}, in %, with 95 % bootstrap intervals over questions; the change is over the same questions.</p>
<div class="scroll"><table>
<thead><tr><th class="text">Agent</th><th class="word"></th><th class="plot">${intervalAxis(scale, (tick) => `${Math.round(100 * tick)} %`)}</th><th>%</th><th>interval</th><th>change</th></tr></thead>
<tbody>${outcomes.map(({agent, before, after, difference}) => {
    const look = run.agents.indexOf(agent);
    return html`<tr><th scope="rowgroup" rowspan="2" class="text">${dot(look)}<bdi>${agent}</bdi></th>${row(agent, look, 'before', before)}<td></td></tr>
<tr>${row(agent, look, 'after', after)}<td><strong>${signed(difference.mean)}</strong> <small>${signed(difference.low)} to ${signed(difference.high)}</small></td></tr>`;
  })}</tbody>
</table></div>
</section>`;
}

const share = (value: number): string => `${Math.round(100 * value)} %`;
const shares = {within: [0, 1] as const, atLeast: 0.2, text: share};

/** What a reader looks at first, by the end of the metrics' paths. */
const mainCurves: readonly (Omit<Curve, 'paths'> & {readonly path: string})[] = [
  {title: 'Accuracy alone, in training', path: 'accuracy/solo', ...shares},
  {title: 'Accuracy after the dialogue, in training', path: 'accuracy/fusion', ...shares},
  {title: 'Accuracy alone on the test questions', path: 'eval/greedy', ...shares},
  {title: 'Reward alone', path: 'reward/solo'},
  {title: 'Reward after the dialogue', path: 'reward/fusion'},
  {title: 'Share of cooperative dialogues', path: 'strategy/cooperative', ...shares},
  {title: 'Entropy', path: 'entropy'},
  {title: 'Tokens of an answer alone', path: 'length/solo'},
  {title: 'Cut off, alone', path: 'truncated/solo', ...shares},
  {title: 'Norm of the gradient', path: 'grad_norm'},
];

function curvesSection({agents, metrics}: RunRecord): Html {
  const charts = mainCurves.map(({path, ...curve}) =>
    curveChart(metrics, {...curve, paths: agents.map((name) => [name, `${name}/${path}`])}),
  );
  const shown = charts.filter((chart) => chart !== undefined);
  return html`<section>
<h2 id="curves">Curves</h2>
<p class="soft">Long curves are running means; each step stands faint behind them.</p>
${shown.length === 0 ? html`<p class="soft">No step is done yet.</p>` : html`<div class="charts">${shown}</div>`}
</section>`;
}

/** Every other figure, by its path. */
function figuresSection({agents, metrics}: RunRecord): Html {
  const paths = new Set(metrics.flatMap((line) => Object.keys(line)));
  paths.delete('step');
  const owners = new Map<string, [string, string][]>();
  for (const path of paths) {
    const agent = agents.find((name) => path.startsWith(`${name}/`));
    const rest = agent === undefined ? path : path.slice(agent.length + 1);
    if (agent !== undefined && mainCurves.some((curve) => curve.path === rest)) continue;
    const title = agent === undefined ? rest : `…/${rest}`;
    owners.set(title, [...(owners.get(title) ?? []), [agent ?? rest, path]]);
  }
  const charts = [...owners]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([title, own]) => curveChart(metrics, {title, paths: own}));
  return html`<section>
<h2 id="figures">All figures</h2>
<p class="soft">Under their names in metrics.jsonl; docs/paper.md of ilr-native says what each means.</p>
<details><summary>${count(owners.size, 'more chart')}</summary><div class="charts">${charts.filter((chart) => chart !== undefined)}</div></details>
</section>`;
}

const shownQuestions = 3;
const shownRollouts = 2;

function dialoguesSection({dialogues}: RunRecord): Html | undefined {
  const [first] = dialogues;
  if (first === undefined) return undefined;
  const ids = [...new Set(dialogues.map(({question}) => question))].slice(-shownQuestions);
  return html`<section>
<h2 id="dialogues">Last dialogues</h2>
<p class="soft">Of step ${first.step}: what each agent read, who wrote it, and the first ${shownRollouts} of its answers. Characters that would not be seen stand as their numbers, such as [U+202E]. dialogues.jsonl has all.</p>
${ids.map((id) =>
  questionCard(
    id,
    dialogues.filter(({question}) => question === id),
  ),
)}
</section>`;
}

function questionCard(id: string, own: readonly ReadDialogue[]): Html {
  const rollouts = own.flatMap((dialogue) => dialogue.rollouts);
  const right = rollouts.filter(({isCorrect}) => isCorrect).length;
  return html`<details class="card">
<summary><bdi>${id.slice(0, 100)}</bdi> <span class="soft">${right} of ${rollouts.length} answers right</span></summary>
${own.map(dialogueBlock)}
</details>`;
}

function dialogueBlock({agent, stage, strategy, turns, rollouts}: ReadDialogue): Html {
  return html`<div class="answer">
<p><strong><bdi>${agent}</bdi></strong> <span class="tag">${stage === 'fusion' ? 'after the dialogue' : 'alone'}</span> ${strategy === undefined ? undefined : html`<span class="tag">${strategy}</span>`}</p>
${turns.map(({author, role, text}) => html`<div class="said"><p class="soft"><bdi>${author === 'user' ? 'prompt' : author}</bdi> · ${role}</p>${quote(text, 2000)}</div>`)}
${rollouts.slice(0, shownRollouts).map(rolloutBlock)}
</div>`;
}

function rolloutBlock({
  text,
  reward,
  isCorrect,
  isWellFormed,
  finishReason,
  failure,
}: ReadDialogue['rollouts'][number]): Html {
  const verdict = isCorrect
    ? html`<strong class="good">✓ right</strong>`
    : html`<strong class="bad">✗ ${failure === undefined ? (isWellFormed ? 'wrong' : 'no answer found') : `failed: ${failure.slice(0, 300)}`}</strong>`;
  return html`<div class="said"><p>${verdict} <span class="soft">reward ${Number(reward.toPrecision(4))}${finishReason === 'stop' ? '' : `, ended by ${finishReason}`}</span></p>${quote(text, 2000)}</div>`;
}
