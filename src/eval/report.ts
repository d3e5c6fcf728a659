import type {FinishReason} from '../policy.js';
import type {Interval} from '../statistics.js';
import type {Strategy} from '../types.js';

/**
What `ilr-native eval` writes. `report.json` is an `EvalReport`, each line of `samples.jsonl` an `EvalAnswer`. Nothing in a report depends
on the clock or on how often it was interrupted: the same models, benchmarks and settings give the same bytes. Shares are from 0 to 1.
docs/eval.md says what each number means. Names, ids and texts are of models and data files: untrusted.
*/
export interface EvalReport {
  /** Raised when a field changes its meaning or goes away; new fields do not raise it. */
  readonly format: 1;
  /** Of ilr-native, Node.js and LibTorch. */
  readonly versions: Readonly<Record<string, string>>;
  readonly settings: EvalSettings;
  /** In the order in which they were named. */
  readonly models: readonly ReportModel[];
  readonly benchmarks: readonly ReportBenchmark[];
  /** By benchmark, then mode, then model. */
  readonly results: readonly EvalResult[];
  /** Empty with one model and one mode. */
  readonly comparisons: readonly Comparison[];
}

/** solo: each model alone. debate and idea3: the models answer together, each reading its peers. */
export type EvalMode = 'solo' | 'debate' | 'idea3';

export const evalModes: readonly EvalMode[] = ['solo', 'debate', 'idea3'];

export interface EvalSettings {
  readonly seed: number;
  readonly modes: readonly EvalMode[];
  /** Answers drawn per question beside the greedy one. */
  readonly samples: number;
  /** The k of pass@k and maj@k, rising; none above `samples`. */
  readonly k: readonly number[];
  /** How strategies were chosen, where idea3 is among the modes. */
  readonly strategy?: 'adaptive' | 'fixed' | Strategy;
  /** Rounds of a debate after the first answers, where debate is among the modes. */
  readonly rounds?: number;
  /** Of the intervals: 0.95. */
  readonly level: number;
  readonly resamples: number;
}

export interface ReportModel {
  /** Different for each. */
  readonly name: string;
  readonly folder: string;
  /** SHA-256 over weights, configuration and tokenizer. */
  readonly identity: string;
  readonly dtype: string;
  readonly device: string;
  readonly prompt: string;
  readonly system?: string;
  readonly temperature: number;
  readonly maxNewTokens: number;
}

export interface ReportBenchmark {
  /** Different for each. */
  readonly name: string;
  readonly description?: string;
  /** `math`, `code`, `numeric`, `exact`, or a module. */
  readonly reward: string;
  /** Asked in place of the models' prompts, where it has its own. */
  readonly prompt?: string;
  /** How many were asked. */
  readonly questions: number;
  /** SHA-256 of the questions that were asked. */
  readonly identity: string;
  /** Questions whose gold answer cannot be graded: left out of every number. */
  readonly leftOut: readonly {readonly id: string; readonly answer: string}[];
}

/** One model (or the vote of all) on one benchmark in one mode. */
export interface EvalResult {
  readonly benchmark: string;
  readonly mode: EvalMode;
  /** `ReportModel.name`; `vote` for the vote of three models or more over their answers, which is there beside debate and idea3. */
  readonly model: string;
  readonly isVote: boolean;
  readonly questions: number;
  readonly scores: readonly Score[];
  /** Left out for a vote. */
  readonly greedy?: AnswerFigures;
  /** Left out for a vote, and without samples. */
  readonly sampled?: AnswerFigures;
  /** By level, rising, where the questions have one. */
  readonly levels: readonly Breakdown[];
  /** By subject, in alphabetical order, where the questions have one. */
  readonly subjects: readonly Breakdown[];
}

export interface Score {
  /** `greedy`, `mean@k`, `pass@k` or `maj@k` with the number in place of k. */
  readonly name: string;
  /** Mean over questions with its bootstrap interval over questions. */
  readonly interval: Interval;
}

/** Of all greedy, or all sampled, answers to the questions. */
export interface AnswerFigures {
  readonly answers: number;
  /** Shares. */
  readonly wellFormed: number;
  /** Cut off by the limit of new tokens or by the context. */
  readonly truncated: number;
  /** Could not be answered (no room in the context) or graded; they count as wrong. */
  readonly failed: number;
  /** Tokens that the model wrote in all, ideas and analyses of its dialogues included. */
  readonly tokens: number;
  readonly tokensPerAnswer: number;
}

export interface Breakdown {
  readonly value: string;
  readonly questions: number;
  /** `greedy` and `mean@k` alone. */
  readonly scores: readonly Score[];
}

/** A paired test of two results on the same questions; the null hypothesis is that the two are exchangeable, question by question. */
export interface Comparison {
  /** The tests that `adjustedP` corrects for together, such as `models, greedy`. */
  readonly family: string;
  readonly benchmark: string;
  readonly first: {readonly model: string; readonly mode: EvalMode};
  readonly second: {readonly model: string; readonly mode: EvalMode};
  /** `Score.name`. */
  readonly score: string;
  /** Greedy answers: McNemar's exact test. Means over samples: the exact paired permutation test. */
  readonly test: 'mcnemar' | 'permutation';
  readonly questions: number;
  /** Mean of second − first over questions, with its paired bootstrap interval. */
  readonly difference: Interval;
  /** Questions on which the first, or the second, scores higher. */
  readonly firstHigher: number;
  readonly secondHigher: number;
  /** Two-sided. */
  readonly p: number;
  /** Holm's step-down correction within the family. */
  readonly adjustedP: number;
}

/** One answer, as samples.jsonl keeps it. */
export interface EvalAnswer {
  /** SHA-256 of all that determines it. */
  readonly key: string;
  readonly benchmark: string;
  readonly mode: EvalMode;
  readonly model: string;
  /** `Question.id`. */
  readonly question: string;
  /** From 0; null: greedy. */
  readonly sample: number | null;
  readonly text: string;
  /** As the grader found it in the text. */
  readonly answer?: string;
  readonly isCorrect: boolean;
  readonly isWellFormed: boolean;
  /** Left out where the model could not be asked. */
  readonly finishReason?: FinishReason;
  /** Of a composed reward, unweighted, by name. */
  readonly parts?: Readonly<Record<string, number>>;
  /** That the model wrote for it, ideas and analyses of its dialogue included. */
  readonly tokens: number;
  readonly strategy?: Strategy;
  /** Why it could not be given or graded; it counts as wrong. */
  readonly failure?: string;
}
