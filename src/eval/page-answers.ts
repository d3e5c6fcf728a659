import {type Html, html} from '../page/html.js';
import {quote} from '../page/parts.js';
import {cutText} from '../page/visible.js';
import type {EvalAnswer} from './report.js';

/** A question with some answers to it, as the page shows them. All of it is untrusted. */
export interface ShownQuestion {
  readonly benchmark: string;
  readonly id: string;
  readonly text: string;
  /** The gold answer. */
  readonly answer: string;
  readonly level?: number;
  readonly subject?: string;
  readonly answers: readonly Omit<EvalAnswer, 'key' | 'benchmark' | 'question'>[];
}

const longest = {question: 2000, answer: 3000, gold: 300};

export function answersSection(shown: readonly ShownQuestion[]): Html | undefined {
  if (shown.length === 0) return undefined;
  return html`<section>
<h2 id="answers">Answers</h2>
<p class="soft">Some of the answers, as they were written; characters that would not be seen stand as their numbers, such as [U+202E]. samples.jsonl has all of them, whole.</p>
${shown.map(questionCard)}
</section>`;
}

function questionCard(question: ShownQuestion): Html {
  const {benchmark, id, text, answer, level, subject, answers} = question;
  return html`<details class="card">
<summary><bdi>${benchmark}</bdi> · <bdi>${cutText(id, 100).text}</bdi> <span class="soft">${answers.filter(({isCorrect}) => isCorrect).length} of ${answers.length} right</span></summary>
<p class="soft">${level === undefined ? undefined : `Level ${level}. `}${subject === undefined ? undefined : html`<bdi>${subject}</bdi>. `}Gold answer: <code>${answer === '' ? 'tests' : cutText(answer, longest.gold).text}</code></p>
${quote(text, longest.question)}
${answers.map(answerBlock)}
</details>`;
}

function answerBlock(answer: ShownQuestion['answers'][number]): Html {
  const {model, mode, sample, text, tokens, strategy} = answer;
  const how = [sample === null ? 'greedy' : `sample ${sample}`, ...(strategy === undefined ? [] : [strategy])];
  return html`<div class="answer">
<p><strong><bdi>${model}</bdi></strong> <span class="tag">${mode}</span> <span class="tag">${how.join(', ')}</span> ${verdict(answer)} <span class="soft">${tokens} tokens${endWords(answer)}</span></p>
${text === '' ? html`<p class="soft">(empty)</p>` : quote(text, longest.answer)}
</div>`;
}

function verdict({isCorrect, isWellFormed, answer, failure}: ShownQuestion['answers'][number]): Html {
  if (failure !== undefined)
    return html`<strong class="bad">✗ failed:</strong> <bdi>${cutText(failure, 300).text}</bdi>`;
  const found = answer === undefined ? undefined : html`: <code>${cutText(answer, 200).text}</code>`;
  if (isCorrect) return html`<strong class="good">✓ right</strong>${found}`;
  return html`<strong class="bad">✗ ${isWellFormed ? 'wrong' : 'no answer found'}</strong>${found}`;
}

function endWords({finishReason}: ShownQuestion['answers'][number]): string {
  return finishReason === 'length' || finishReason === 'context' ? ', cut off' : '';
}
