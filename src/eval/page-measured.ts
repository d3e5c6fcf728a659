import {type Html, html} from '../page/html.js';
import {cutText} from '../page/visible.js';
import type {EvalReport} from './report.js';

/** What the numbers mean and what they were taken with. */
export function measuredSection(report: EvalReport): Html {
  const {settings, versions} = report;
  return html`<section>
<h2 id="measured">How it was measured</h2>
<dl>
<dt>greedy</dt><dd>pass@1: the most likely answer, one per question.</dd>
${settings.samples > 0 ? sampledTerms(settings) : undefined}
<dt>intervals</dt><dd>${Math.round(100 * settings.level)} % percentile bootstrap over questions, ${settings.resamples.toLocaleString('en')} resamples. They say how much another draw of such questions would move a number.</dd>
<dt>told apart</dt><dd>A paired test on the same questions with Holm’s correction for all tests of its table.</dd>
<dt>failed</dt><dd>Could not be answered (no room in the context) or graded. Counts as wrong.</dd>
${settings.modes.length > 1 ? html`<dt>debate, idea3</dt><dd>The models answer together, each reading the others; its answer at the end is graded. Tokens count all that a model wrote for it.${report.results.some(({isVote}) => isVote) ? ' “Vote of all” is the answer that most of them agree on.' : undefined}</dd>` : undefined}
<dt>seed</dt><dd>${settings.seed}</dd>
<dt>versions</dt><dd>${Object.entries(versions).map(([name, version], i) => `${i === 0 ? '' : ', '}${name} ${version}`)}</dd>
</dl>
<h3>Models</h3>
<div class="scroll"><table>
<thead><tr><th class="text">Model</th><th class="word">SHA-256</th><th class="word">computed in</th><th>temperature</th><th>new tokens</th></tr></thead>
<tbody>${report.models.map(
    ({name, folder, identity, dtype, device, temperature, maxNewTokens}) =>
      html`<tr><th scope="row" class="text"><bdi>${name}</bdi><br><small class="soft"><bdi>${folder}</bdi></small></th><td class="word"><code>${identity.slice(0, 12)}</code></td><td class="word">${dtype}, ${device}</td><td>${temperature}</td><td>${maxNewTokens}</td></tr>`,
  )}</tbody>
</table></div>
<details><summary>Prompts</summary>${report.models.map(
    ({name, prompt, system}) =>
      html`<p><strong><bdi>${name}</bdi></strong></p>${system === undefined ? undefined : html`<pre>${cutText(system, 4000).text}</pre>`}<pre>${cutText(prompt, 4000).text}</pre>`,
  )}</details>
<h3>Benchmarks</h3>
<div class="scroll"><table>
<thead><tr><th class="text">Benchmark</th><th>questions</th><th>left out</th><th class="word">graded by</th><th class="word">SHA-256 of the questions</th></tr></thead>
<tbody>${report.benchmarks.map(
    ({name, questions, leftOut, reward, identity}) =>
      html`<tr><th scope="row" class="text"><bdi>${name}</bdi></th><td>${questions}</td><td>${leftOut.length}</td><td class="word">${reward}</td><td class="word"><code>${identity.slice(0, 12)}</code></td></tr>`,
  )}</tbody>
</table></div>
${leftOutDetails(report)}
</section>`;
}

function sampledTerms({samples, k}: EvalReport['settings']): Html {
  return html`<dt>mean@${samples}</dt><dd>Share of ${samples} sampled answers that are right.</dd>
${k.map((one) => html`<dt>pass@${one}, maj@${one}</dt><dd>Right answers in at least one of ${one} samples (the unbiased estimate from all ${samples}), and in the vote of the first ${one}.</dd>`)}`;
}

function leftOutDetails({benchmarks}: EvalReport): Html | undefined {
  const lost = benchmarks.flatMap(({name, leftOut}) => leftOut.map((question) => ({name, ...question})));
  if (lost.length === 0) return undefined;
  return html`<details><summary>Questions left out, for their gold answer cannot be graded</summary>
<ul>${lost.slice(0, 100).map(({name, id, answer}) => html`<li><bdi>${name}</bdi> · <bdi>${id}</bdi>: <code>${cutText(answer, 200).text}</code></li>`)}</ul>
${lost.length > 100 ? html`<p class="soft">… and ${lost.length - 100} more, in report.json.</p>` : undefined}</details>`;
}
