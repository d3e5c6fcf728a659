import {type EvalUnit, memberNames} from './plan.js';
import type {EvalAnswer} from './report.js';

const shown = 3;
/** So many answers without one that is well-formed are no accident. */
const manyAnswers = 50;

/** What is odd about a unit: the first few warnings of its dialogues, how many answers failed and why, and a form that nobody keeps to. */
export class UnitWarnings {
  private count = 0;
  private answers = 0;
  private wellFormed = 0;
  private failed = 0;
  private firstFailure: EvalAnswer | undefined;

  constructor(
    private readonly unit: EvalUnit,
    private readonly warn: (message: string) => void,
  ) {}

  readonly add = (message: string): void => {
    if (++this.count <= shown) this.warn(message);
  };

  see(answers: readonly EvalAnswer[]): void {
    for (const answer of answers) {
      this.answers++;
      if (answer.isWellFormed) this.wellFormed++;
      if (answer.failure === undefined) continue;
      this.failed++;
      this.firstFailure ??= answer;
    }
  }

  end(): void {
    if (this.count > shown) this.warn(`… and ${this.count - shown} more warnings of this kind`);
    const {unit, firstFailure} = this;
    const place = `${memberNames(unit.members).join(' + ')} on ${unit.benchmark.name}, ${unit.mode}`;
    if (firstFailure !== undefined)
      this.warn(
        `${place}: ${this.failed} of ${this.answers} answers could not be given or graded and count as wrong; ` +
          `the first, of ${firstFailure.model} to question ${firstFailure.question}: ${firstFailure.failure}`,
      );
    if (this.wellFormed === 0 && this.failed < this.answers && this.answers >= manyAnswers)
      this.warn(
        `${place}: NOT ONE of ${this.answers} answers is well-formed for the reward ${unit.benchmark.rewardName}: its numbers say nothing of what ` +
          'the models know. Compare samples.jsonl with what is asked (--prompt, --system, --max-new-tokens) and with --reward.',
      );
  }
}
