import {intervalAxis, intervalPlot, shareBar} from '../page/charts.js';
import {toDocument} from '../page/document.js';
import {type Html, html, type Shown} from '../page/html.js';
import {count, dot, intervalText, points, signed} from '../page/parts.js';
import {scaleOf} from '../page/scale.js';
import type {Interval} from '../statistics.js';
import {answersSection, type ShownQuestion} from './page-answers.js';
import {measuredSection} from './page-measured.js';
import type {Breakdown, Comparison, EvalReport, EvalResult, ReportBenchmark} from './report.js';

/** The report as a page in one file. What comes from models and files is escaped by the templates; `shown` are some of the answers. */
export function toPage(report: EvalReport, shown: readonly ShownQuestion[] = []): string {
  const {models, benchmarks, settings} = report;
  const title = `${count(models.length, 'model')} on ${count(benchmarks.length, 'benchmark')}`;
  const body = html`<header>
<p class="eyebrow">ilr-native · evaluation</p>
<h1>${title}</h1>
<p class="lead">${count(settings.samples, 'sampled answer')} per question beside the greedy one; ${modeWords(report)}. Intervals are ${Math.round(100 * settings.level)} % bootstrap intervals over questions.</p>
<nav>${benchmarks.map((benchmark, i) => html`<a href="#b${i}">${benchmark.name}</a>`)}${report.comparisons.length > 0 ? html`<a href="#comparisons">Comparisons</a>` : undefined}${shown.length > 0 ? html`<a href="#answers">Answers</a>` : undefined}<a href="#measured">How it was measured</a></nav>
</header>
<main>
${benchmarks.length > 1 ? overviewSection(report) : undefined}
${benchmarks.map((benchmark, i) => benchmarkSection(report, benchmark, i))}
${comparisonsSection(report)}
${answersSection(shown)}
${measuredSection(report)}
</main>
<footer>Written by ilr-native ${report.versions['ilr-native'] ?? ''}. The same figures are in report.json and report.md, every answer in samples.jsonl.</footer>`;
  return toDocument({title: `Evaluation: ${title}`, body});
}

function modeWords({settings: {modes, rounds, strategy}}: EvalReport): string {
  const words = {
    solo: 'each model alone',
    debate: `together in a debate of ${count(rounds ?? 0, 'round')}`,
    idea3: `together in Idea3 dialogues (strategies: ${strategy ?? 'none'})`,
  };
  return modes.map((mode) => words[mode]).join(', ');
}

/** Who answered, and how: one look each, the same all over the page. */
function lookOf(report: EvalReport, {model, isVote}: Pick<EvalResult, 'model' | 'isVote'>): number {
  return isVote ? report.models.length : report.models.findIndex(({name}) => name === model.replace(/ #\d+$/, ''));
}

function nameCell(report: EvalReport, result: EvalResult): Html {
  return html`<th scope="row" class="text">${nameWords(report, result)}</th>`;
}

function nameWords(report: EvalReport, result: EvalResult): Html {
  const mode = report.settings.modes.length > 1 ? html` <span class="tag">${result.mode}</span>` : undefined;
  return html`${dot(Math.max(0, lookOf(report, result)))}<bdi>${result.isVote ? 'vote of all' : result.model}</bdi>${mode}`;
}

/** The score that the page is ordered by. */
function mainScore(result: EvalResult): Interval | undefined {
  return (result.scores.find(({name}) => name === 'greedy') ?? result.scores[0])?.interval;
}

function overviewSection(report: EvalReport): Html {
  const {benchmarks, results} = report;
  const rows = [...new Set(results.map(({model, mode}) => JSON.stringify([model, mode])))].map((key) => {
    const [model, mode] = JSON.parse(key) as [string, string];
    return results.filter((result) => result.model === model && result.mode === mode);
  });
  const best = benchmarks.map(({name}) =>
    Math.max(...results.filter((result) => result.benchmark === name).map((result) => mainScore(result)?.mean ?? 0)),
  );
  return html`<section>
<h2>At a glance</h2>
<p class="soft">Greedy pass@1 in %, with half the width of its interval. The highest of each benchmark is bold, whether or not it is told apart from the next: see the comparisons.</p>
<div class="scroll"><table>
<thead><tr><th class="text">Model</th>${benchmarks.map(({name}) => html`<th>${name}</th>`)}</tr></thead>
<tbody>${rows.map(
    (row) =>
      html`<tr>${nameCell(report, row[0] as EvalResult)}${benchmarks.map(({name}, b) => {
        const interval = mainScore(row.find(({benchmark}) => benchmark === name) as EvalResult);
        if (interval === undefined) return html`<td>–</td>`;
        return html`<td class="${interval.mean === best[b] ? 'best' : ''}">${points(interval.mean)} <small>± ${points((interval.high - interval.low) / 2)}</small></td>`;
      })}</tr>`,
  )}</tbody>
</table></div>
</section>`;
}

function benchmarkSection(report: EvalReport, benchmark: ReportBenchmark, index: number): Html {
  const results = report.results.filter((result) => result.benchmark === benchmark.name);
  const ordered = results.toSorted((a, b) => (mainScore(b)?.mean ?? 0) - (mainScore(a)?.mean ?? 0));
  const left = benchmark.leftOut.length;
  return html`<section>
<h2 id="b${index}">${benchmark.name}</h2>
<p class="soft">${benchmark.description === undefined ? undefined : html`${benchmark.description} `}${count(benchmark.questions, 'question')}, graded by <code>${benchmark.reward}</code>${left === 0 ? '.' : `; ${left} more left out, for their gold answer cannot be graded.`}</p>
${leaderboard(report, ordered)}
${scoresTable(report, ordered)}
${breakdownTable(report, ordered, 'levels', 'level')}
${breakdownTable(report, ordered, 'subjects', 'subject')}
</section>`;
}

function leaderboard(report: EvalReport, results: readonly EvalResult[]): Html {
  const intervals = results.map((result) => mainScore(result)).filter((interval) => interval !== undefined);
  const scale = scaleOf(
    intervals.flatMap(({mean, low, high}) => [mean, low, high]),
    {within: [0, 1], atLeast: 0.2},
  );
  return html`<p class="soft">Greedy pass@1 with its interval</p>
<div class="scroll"><table>
<thead><tr><th class="text">Model</th><th class="plot">${intervalAxis(scale, (tick) => `${Math.round(100 * tick)} %`)}</th><th>%</th><th>interval</th></tr></thead>
<tbody>${results.map((result) => {
    const interval = mainScore(result) ?? {mean: Number.NaN, low: Number.NaN, high: Number.NaN};
    return html`<tr>${nameCell(report, result)}<td class="plot">${intervalPlot(interval, scale, Math.max(0, lookOf(report, result)), `${result.model}, ${result.mode}: ${intervalText(interval)}`)}</td><td class="best">${points(interval.mean)}</td><td>${points(interval.low)} – ${points(interval.high)}</td></tr>`;
  })}</tbody>
</table></div>`;
}

function scoresTable(report: EvalReport, results: readonly EvalResult[]): Html {
  const names = [...new Set(results.flatMap(({scores}) => scores.map(({name}) => name)))];
  return html`<h3>All scores</h3>
<p class="soft">In %. Well-formed, cut off, failed and tokens are of the greedy answers.</p>
<div class="scroll"><table>
<thead><tr><th class="text">Model</th>${names.map((name) => html`<th>${name}</th>`)}<th>well-formed</th><th>cut off</th><th>failed</th><th>tokens</th></tr></thead>
<tbody>${results.map(
    (result) =>
      html`<tr>${nameCell(report, result)}${names.map((name) =>
        scoreCell(result.scores.find((score) => score.name === name)?.interval),
      )}${figureCells(result)}</tr>`,
  )}</tbody>
</table></div>`;
}

function scoreCell(interval: Interval | undefined): Html {
  if (interval === undefined) return html`<td>–</td>`;
  return html`<td>${points(interval.mean)}<small class="under">${points(interval.low)} – ${points(interval.high)}</small></td>`;
}

function figureCells({greedy}: EvalResult): Html {
  if (greedy === undefined) return html`<td>–</td><td>–</td><td>–</td><td>–</td>`;
  const {wellFormed, truncated, failed, tokensPerAnswer} = greedy;
  return html`<td>${points(wellFormed)}</td><td class="${truncated > 0.05 ? 'warn' : ''}">${points(truncated)}</td><td class="${failed > 0 ? 'warn' : ''}">${points(failed)}</td><td>${Math.round(tokensPerAnswer)}</td>`;
}

/** More values than this stand below each other, the models beside each other. */
const mostColumns = 8;

function breakdownTable(
  report: EvalReport,
  results: readonly EvalResult[],
  kind: 'levels' | 'subjects',
  word: string,
): Html | undefined {
  const having = results.filter((result) => result[kind].length > 0);
  if (having.length === 0) return undefined;
  const values = [...new Map(having.flatMap((result) => result[kind]).map((part) => [part.value, part.questions]))];
  const cell = (result: EvalResult, value: string) =>
    partCell(
      result[kind].find((part) => part.value === value),
      Math.max(0, lookOf(report, result)),
    );
  const valueWords = ([value, questions]: readonly [string, number]) =>
    html`<bdi>${value}</bdi><br><small>${count(questions, 'question')}</small>`;
  const table =
    values.length <= mostColumns
      ? html`<thead><tr><th class="text">Model</th>${values.map((value) => html`<th>${valueWords(value)}</th>`)}</tr></thead>
<tbody>${having.map((result) => html`<tr>${nameCell(report, result)}${values.map(([value]) => cell(result, value))}</tr>`)}</tbody>`
      : html`<thead><tr><th class="text"></th>${having.map((result) => html`<th class="name">${nameWords(report, result)}</th>`)}</tr></thead>
<tbody>${values.map((value) => html`<tr><th scope="row" class="text">${valueWords(value)}</th>${having.map((result) => cell(result, value[0]))}</tr>`)}</tbody>`;
  return html`<h3>By ${word}</h3>
<p class="soft">Greedy pass@1 in %, with its interval, and the number of questions of each ${word}.</p>
<div class="scroll"><table>
${table}
</table></div>`;
}

function partCell(part: Breakdown | undefined, look: number): Html {
  const interval = (part?.scores.find(({name}) => name === 'greedy') ?? part?.scores[0])?.interval;
  if (interval === undefined) return html`<td>–</td>`;
  return html`<td class="tiny">${points(interval.mean)}<small class="under">${points(interval.low)} – ${points(interval.high)}</small>${shareBar(interval.mean, look)}</td>`;
}

function comparisonsSection(report: EvalReport): Html | undefined {
  const {comparisons} = report;
  if (comparisons.length === 0) return undefined;
  const families = [...new Set(comparisons.map(({family}) => family))];
  return html`<section>
<h2 id="comparisons">Comparisons</h2>
<p>Two results on the same questions, question by question. The difference is second minus first, in percentage points; p is two-sided, and <em>p (Holm)</em> is corrected for all tests of its table. Below 0.05 it is marked <strong>told apart</strong>: chance alone would rarely do that.</p>
${families.map((family) =>
  comparisonTable(
    family,
    comparisons.filter((comparison) => comparison.family === family),
  ),
)}
</section>`;
}

const testWords = {mcnemar: 'McNemar’s exact test', permutation: 'exact paired permutation test'};

function comparisonTable(family: string, comparisons: readonly Comparison[]): Html {
  const scale = scaleOf([...comparisons.flatMap(({difference: {mean, low, high}}) => [mean, low, high]), 0], {
    within: [-1, 1],
    atLeast: 0.05,
  });
  const side = ({model, mode}: Comparison['first']) => html`<bdi>${model}</bdi> <span class="tag">${mode}</span>`;
  return html`<h3>${family}</h3>
<p class="soft">${count(comparisons.length, 'test')}: ${testWords[comparisons[0]?.test ?? 'mcnemar']}. “Better on”: questions on which the first, and the second, scores higher.</p>
<div class="scroll"><table>
<thead><tr><th class="text pair">First → second</th><th class="plot">${intervalAxis(scale, (tick) => signed(tick, 0))}</th><th>difference</th><th>better on</th><th>p</th><th>p (Holm)</th><th class="word"></th></tr></thead>
<tbody>${comparisons.map((comparison) => {
    const {benchmark, first, second, difference, firstHigher, secondHigher, p, adjustedP} = comparison;
    const isApart = adjustedP < 0.05;
    const label = `${second.model} minus ${first.model}: ${signed(difference.mean)} points, ${signed(difference.low)} to ${signed(difference.high)}`;
    const text: Shown = html`<small class="soft"><bdi>${benchmark}</bdi></small><br>${side(first)} → ${side(second)}`;
    return html`<tr><td class="text pair">${text}</td><td class="plot">${intervalPlot(difference, scale, isApart ? 0 : 5, label)}</td><td>${signed(difference.mean)}<small class="under">${signed(difference.low)} to ${signed(difference.high)}</small></td><td>${firstHigher} : ${secondHigher}</td><td>${pText(p)}</td><td>${pText(adjustedP)}</td><td class="word">${isApart ? html`<strong>told apart</strong>` : html`<span class="soft">not told apart</span>`}</td></tr>`;
  })}</tbody>
</table></div>`;
}

function pText(p: number): string {
  return p < 0.0001 ? '< 0.0001' : p.toFixed(4);
}
