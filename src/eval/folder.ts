import {mkdir, rename} from 'node:fs/promises';
import path from 'node:path';
import {temporaryName, withIo, writeSynced} from '../record/files.js';
import {Lock} from '../record/lock.js';
import {toMarkdown} from './markdown.js';
import {toPage} from './page.js';
import type {EvalPlan} from './plan.js';
import type {EvalReport} from './report.js';
import {chooseShown} from './shown.js';
import {AnswerStore} from './store.js';
import {StrategyStore} from './strategies.js';

const answersName = 'samples.jsonl';

/** An evaluation's output folder: the answers, kept for ever, and the report of the last evaluation. */
export class EvalFolder {
  private constructor(
    readonly folder: string,
    readonly answers: AnswerStore,
    readonly strategies: StrategyStore,
    private readonly lock: Lock,
  ) {}

  /** @throws IlrError `ILR_INVALID_ARGUMENT` while another process evaluates into it; what opening the stores throws. */
  static async open(folder: string): Promise<EvalFolder> {
    await withIo('creating', folder, () => mkdir(folder, {recursive: true}));
    const lock = await Lock.take(folder, 'evaluating');
    try {
      const answers = await AnswerStore.open(path.join(folder, answersName));
      const strategies = await StrategyStore.open(path.join(folder, 'strategies.jsonl'));
      return new EvalFolder(folder, answers, strategies, lock);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** Writes report.json, report.md and report.html, each whole or not at all. */
  async write(report: EvalReport, plan: EvalPlan): Promise<void> {
    await this.replace('report.json', `${JSON.stringify(report, null, 2)}\n`);
    await this.replace('report.md', toMarkdown(report));
    const shown = await chooseShown(plan, this, path.join(this.folder, answersName));
    await this.replace('report.html', toPage(report, shown));
  }

  async close(): Promise<void> {
    await this.answers.close();
    await this.strategies.close();
    await this.lock.release();
  }

  private async replace(name: string, text: string): Promise<void> {
    const file = path.join(this.folder, name);
    const temporary = temporaryName(file);
    await writeSynced(temporary, text);
    await withIo('writing', file, () => rename(temporary, file));
  }
}
