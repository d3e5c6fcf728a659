import type {RunConfig} from './config.js';
import type {Completion, FinishReason, Policy, SamplingOptions, TokenBytes} from './policy.js';

/** What is asked. `answer` is the gold answer; `level` (1 = easiest) is known for some sets and never shown to a model. */
export interface Question {
  readonly id: string;
  readonly text: string;
  readonly answer: string;
  readonly level?: number;
  /** As the data names it; for tables by subject. */
  readonly subject?: string;
  /** How far from the gold number an answer may be, by the rules of the set that it is of. */
  readonly tolerance?: Tolerance;
  /** Where a program is asked for; `answer` is then empty. */
  readonly tests?: CodeTests;
}

/** An answer may be as far from the gold number as the larger one allows. */
export interface Tolerance {
  /** Share of the gold number's size. */
  readonly relative?: number;
  readonly absolute?: number;
}

/** What a program is tested with. None of it but the calls enters the sandbox that runs a completion. Python source text, untrusted as all data. */
export interface CodeTests {
  /** `assert` statements, or whole `check(candidate)` functions as HumanEval has them. */
  readonly asserts: readonly string[];
  /** Statements that run after the program and before the calls (MBPP's `test_setup_code`, `test_imports`). */
  readonly setup?: string;
  /** The function that is asked for; what `candidate` stands for in `check(candidate)`. */
  readonly entryPoint?: string;
  /** The beginning that a completion goes on from (HumanEval's `prompt`), where it does not define `entryPoint` itself; run before it in any case, for its imports and helpers. */
  readonly prefix?: string;
}

/** One message of a prompt. Text (ours, a question's, a peer's) never becomes a special token; `Int32Array` holds the agent's own ids, verbatim. */
export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: readonly (string | Int32Array)[];
}

/** An agent's way between text and ids: its tokenizer and its chat template (`src/text/`). */
export interface AgentText {
  /** Token ids of the rendered messages, ready for the model to go on as the assistant. */
  promptIds(messages: readonly Message[]): Int32Array;
  /** Ids of plain text; the strings of special tokens come out as ordinary pieces. */
  encode(text: string): Int32Array;
  /** Text of ids, without special tokens. */
  decode(ids: Int32Array): string;
  /** What ends an assistant turn. */
  readonly stopIds: readonly number[];
  readonly vocabSize: number;
  /**
  What each token writes, for stop strings; the same table each time. Left out where the text cannot say.

  @throws IlrError `ILR_UNSUPPORTED` where what a token writes depends on more than the token.
  */
  tokenBytes?(): TokenBytes;
}

export interface Agent {
  readonly name: string;
  readonly policy: Policy;
  readonly text: AgentText;
  readonly systemPrompt?: string;
  readonly temperature: number;
  /** How answers are drawn besides; `withSampling` makes it from a configuration. Its stop strings need `policy.setTokenBytes`. */
  readonly sampling?: SamplingOptions;
  /** What ends an answer, beside `text.stopIds`. */
  readonly stopIds?: readonly number[];
  /** π_ref of `loss.beta`, on the runtime of `policy`; not trained. Needed with `reference.kind` `frozen` or `synchronised`. */
  readonly reference?: Policy;
}

/** Chosen per question and agent: `cooperative` on what is hard for it, else `competitive`. ILR §Dynamic Interaction. */
export type Strategy = 'cooperative' | 'competitive';

export type Stage = 'solo' | 'fusion';

/** Who wrote which tokens. `author` is an agent's index, or `user` for the protocol's and the question's words. */
export interface Turn {
  readonly author: number | 'user';
  readonly role: 'share' | 'analyse' | 'fuse' | 'revise' | 'question' | 'peers' | 'instruction';
  readonly ids: Int32Array;
  readonly text: string;
}

/** One agent's dialogue about a question: the fixed transcript that its fusion samples share. */
export interface Dialogue {
  readonly question: Question;
  readonly agent: number;
  readonly strategy: Strategy;
  readonly turns: readonly Turn[];
}

/** One trained completion with its reward. */
export interface Rollout {
  readonly completion: Completion;
  readonly text: string;
  readonly reward: number;
  /** What `reward` has lost for length (`reward.overlongCache`), at least 0. */
  readonly overlongPenalty?: number;
  readonly isCorrect: boolean;
  readonly isWellFormed: boolean;
  /** The answer that was found in the text, as `Grade.answer`. */
  readonly answer?: string;
  /** What each part of a composed reward gave, unweighted, by name. */
  readonly parts?: Readonly<Record<string, number>>;
  /** Set when it could not be graded; such a rollout is not trained on. */
  readonly failure?: string;
}

/** The G rollouts of one prompt by one agent. */
export interface Group {
  readonly question: Question;
  readonly agent: number;
  readonly stage: Stage;
  readonly promptIds: Int32Array;
  readonly rollouts: readonly Rollout[];
  readonly dialogue?: Dialogue;
}

/** A group as it was sampled, before it is graded. */
export interface UngradedGroup extends Omit<Group, 'rollouts'> {
  /** [G] */
  readonly completions: readonly Completion[];
  /** [G] decoded without special tokens. */
  readonly texts: readonly string[];
}

export interface RewardInput {
  readonly question: Question;
  readonly text: string;
  readonly completion: {readonly finishReason: FinishReason; readonly ids: Int32Array};
  readonly stage?: Stage;
  /** The most that the completion may have been long. */
  readonly maxNewTokens?: number;
}

/** `reward` is given by the run's configuration (`correct`, `wellFormed`, `none`) when left out. */
export interface Grade {
  readonly isCorrect: boolean;
  readonly isWellFormed: boolean;
  readonly reward?: number;
  /** The answer that was found in the text, for votes (maj@k); left out where there is none. */
  readonly answer?: string;
  /** Of a composed reward, unweighted, by name. */
  readonly parts?: Readonly<Record<string, number>>;
}

export interface RewardContext {
  /** Aborted when nobody waits for the grade any more: the time is up, or the run was aborted. */
  readonly signal: AbortSignal;
  /** `reward.options`, or those of the part: for a module of one's own. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** What is asked of a function beside its grades. */
export interface RewardHooks {
  /** Sees all questions of a run or benchmark once, before anything is sampled. */
  prepare?(questions: readonly Question[]): Promise<void>;
  /** Called after `prepare`: whether a question's gold answer can be graded at all. */
  accepts?(question: Question): boolean;
  /** Whether two answers (`Grade.answer`) say the same; equal text where it is left out. */
  sameAnswer?(a: string, b: string): boolean;
  /** Gives back what it holds. */
  close?(): Promise<void>;
  /** It bounds the time of its own work, from when that begins; it is not timed from outside then. */
  readonly keepsTime?: boolean;
}

/**
Grades one completion; `null`: cannot be graded, and is not trained on. What it throws marks the rollout as failed.
`batch` grades a whole group at once where it is there; an `Error` in place of a grade fails that completion alone.
*/
export interface RewardFunction extends RewardHooks {
  (input: RewardInput, context?: RewardContext): Grade | null | Promise<Grade | null>;
  batch?(inputs: readonly RewardInput[], context?: RewardContext): Promise<readonly (Grade | null | Error)[]>;
}

/** A part of a composed reward: a `RewardFunction`, or one that gives a number and leaves it to others what is correct. */
export interface ScoreFunction extends RewardHooks {
  (input: RewardInput, context?: RewardContext): PartScore | Promise<PartScore>;
  batch?(inputs: readonly RewardInput[], context?: RewardContext): Promise<readonly (PartScore | Error)[]>;
}

/** `reward` may be left out where `isCorrect` and `isWellFormed` are there. */
export type PartScore = number | Partial<Grade> | null;

/**
One step's figures; the keys are paths (`<agent>/accuracy/solo`), documented in `docs/paper.md`. Every value but `seconds` and
`tokensPerSecond` depends on the seed alone, so that a resumed run can be compared bit for bit. Line 0 comes before training.
*/
export interface StepMetrics {
  readonly step: number;
  readonly [path: string]: number;
}

/** D_q of every training question, by id, in (0, 1); 1 is hardest. */
export interface DifficultyTable {
  readonly estimator: RunConfig['difficulty']['estimator'];
  readonly difficulties: Readonly<Record<string, number>>;
  /** Share of the rankings that parsed; 1 for the other estimators. */
  readonly parseRate: number;
  /** Spearman correlation with `level`, where every question has one. */
  readonly levelCorrelation?: number;
}

/** Solo results of one agent, by question, so that two evaluations can be compared in pairs. */
export interface SoloEvaluation {
  readonly agent: string;
  readonly questionIds: readonly string[];
  /** [questions] 1 where the greedy answer is correct. */
  readonly greedy: readonly number[];
  /** [questions] share of the sampled answers that are correct; empty when none were sampled. */
  readonly sampled: readonly number[];
  /** Share of greedy answers that are well-formed. */
  readonly wellFormed: number;
}

/** All that the loop knows beside the agents' weights and optimisers: plain JSON. With them, the run goes on bit for bit. */
export interface TrainerState {
  readonly version: 1;
  /** Steps whose updates are done. */
  readonly step: number;
  /** Figures of `step` that are not recorded yet: its evaluation is still to come. Recorded first when a run goes on from here. */
  readonly pending?: StepMetrics;
  readonly seed: number;
  readonly method: RunConfig['method'];
  readonly agents: readonly string[];
  readonly numQuestions: number;
  readonly difficulty?: DifficultyTable;
  /** [N] γ. */
  readonly abilities: readonly number[];
  /** [N] place in the endless order of training questions. */
  readonly positions: readonly number[];
  /** [N] in training steps; set-up and evaluation are not counted. */
  readonly generatedTokens: readonly number[];
  /** [N] */
  readonly trainedTokens: readonly number[];
  /** [N] solo completions in training steps, and their tokens. */
  readonly soloCompletions: readonly number[];
  readonly soloTokens: readonly number[];
  /** [N][stages] moving averages of the rewards, with `advantage.baseline: ema`; null: no reward yet. */
  readonly baselines?: readonly (readonly (number | null)[])[];
  /** Steps up to here of which nothing could be graded; left out where something was. */
  readonly failedSteps?: number;
  /** [N] on `questions.test`. */
  readonly before?: readonly SoloEvaluation[];
  readonly latest?: readonly SoloEvaluation[];
  /** Best mean greedy accuracy over the agents, of an evaluation in training. */
  readonly best?: {readonly step: number; readonly score: number};
}

/** Where a run is written down (`src/record/`). The loop waits for each call. */
export interface Recorder {
  /** Line 0 first (before training), then one line per finished step. */
  step(metrics: StepMetrics): Promise<void>;
  /** The step's groups with their rollouts; fusion groups carry their dialogue. */
  dialogues(step: number, groups: readonly Group[]): Promise<void>;
  /** After `step` and `dialogues` of `state.step` (`step` is still to come where `state.pending` is set: an abort during an evaluation). `bestScore` is given when this is the best state so far. */
  checkpoint(state: TrainerState, agents: readonly Agent[], bestScore?: number): Promise<void>;
  /** Once, when difficulties were computed: a later run may hand them in as `TrainOptions.difficulty`. */
  difficulty?(table: DifficultyTable): Promise<void>;
}

export type TrainPhase = 'difficulty' | 'ability' | 'sharing' | 'analysis' | 'fusion' | 'update' | 'eval' | 'save';

export type TrainEvent =
  | {
      readonly type: 'phase';
      /** The step under way; 0 before the first. */
      readonly step: number;
      readonly phase: TrainPhase;
      readonly agent?: string;
      readonly done: number;
      readonly total: number;
      /** Generated so far in this phase by this agent. */
      readonly tokens: number;
    }
  | {readonly type: 'step'; readonly metrics: StepMetrics}
  | {readonly type: 'difficulty'; readonly parseRate: number; readonly levelCorrelation?: number}
  | {readonly type: 'eval'; readonly step: number; readonly results: readonly SoloEvaluation[]}
  | {readonly type: 'warning'; readonly message: string}
  | {readonly type: 'saved'; readonly step: number};

export interface TrainOptions {
  readonly config: RunConfig;
  readonly agents: readonly Agent[];
  readonly questions: {
    readonly train: readonly Question[];
    /** Held out of `train` when left out. */
    readonly validation?: readonly Question[];
    readonly test?: readonly Question[];
  };
  /** Stops now: rejects with `ILR_ABORTED`, after saving the last finished step where there is a recorder; the step under way is lost. */
  readonly signal?: AbortSignal;
  /** Finishes the step, saves, and returns with `stopped: true`. */
  readonly stopAfterStep?: AbortSignal;
  readonly onEvent?: (event: TrainEvent) => void;
  readonly recorder?: Recorder;
  /** The state of a checkpoint whose weights and optimisers `agents` hold. */
  readonly resumeFrom?: TrainerState;
  /** In place of what `config.reward` names; who gives it closes it. */
  readonly reward?: RewardFunction;
  /** Difficulties computed before, in place of `config.difficulty`. */
  readonly difficulty?: DifficultyTable;
  /** [N] `grpo` with `matchTokens`: generated tokens per step to match, as measured in an ILR run; (2G + 1)/G times the questions when left out. */
  readonly tokenBudgetPerStep?: readonly number[];
  /** Milliseconds, for `seconds` and `tokensPerSecond`; `performance.now` by default. */
  readonly now?: () => number;
}

export interface TrainResult {
  readonly state: TrainerState;
  /** Ended by `stopAfterStep` before the last step. */
  readonly stopped: boolean;
}
