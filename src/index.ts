export {type LoadAgentOptions, type LoadedAgent, loadAgent, type OpenedRun, openRun} from './cli/agents.js';
export {type EvaluateModelsOptions, evaluateModels} from './cli/evaluate-models.js';
export {type RunOptions, type RunResult, runTraining} from './cli/run.js';
export {type SampledText, type SampleTextOptions, sampleText} from './cli/sample.js';
export {printable} from './cli/terminal.js';
export {type RunConfig, type RunConfigInput, runSchema} from './config.js';
export {readConfigFile} from './config-file.js';
export {type SamplingSettings, samplingKeys} from './config-sampling.js';
export {
  type Benchmark,
  type BenchmarkOptions,
  benchmarkNames,
  findBenchmark,
  readBenchmark,
  type Split,
} from './data/benchmarks.js';
export {findOverlap, type Overlap, type OverlapOptions, type SharedQuestion} from './data/overlap.js';
export {type QuestionFile, type QuestionFormat, readQuestions} from './data/questions.js';
export {isNamed, readSource, type SourceOptions} from './data/source.js';
export {IlrError, type IlrErrorCode, ilrErrorCodes} from './errors.js';
export {estimateConfig} from './estimate/plan.js';
export type {RunEstimate} from './estimate/run.js';
export {toMarkdown} from './eval/markdown.js';
export type {EvalEvent} from './eval/plan.js';
export type * from './eval/report.js';
export {majority, passAtK, type Vote} from './eval/scores.js';
export {holm, mcnemarTest, permutationTest} from './eval/significance.js';
export {
  type DebateEvaluation,
  type DebateOptions,
  type EvaluateOptions,
  evaluateDebate,
  evaluateFusion,
  evaluateSolo,
  type FusionEvaluation,
  type FusionOptions,
  type SoloOptions,
} from './evaluate.js';
export type {PullEvent, PullOptions} from './hub/options.js';
export {type PullResult, pull} from './hub/pull.js';
export {type HubSettings, readHubSettings} from './hub/settings.js';
export {
  type NativeCreateOptions,
  type NativeLoadOptions,
  NativePolicy,
  type NativePolicyOptions,
  type NativeShareOptions,
} from './native/native-policy.js';
export {NativeRuntime, type NativeRuntimeOptions} from './native/runtime.js';
export type * from './policy.js';
export {Random, type StreamKey, streamOf} from './random.js';
export {readMetrics} from './record/metrics.js';
export type {TranscriptLine, WrittenTurn} from './record/transcript.js';
export {
  type Limits,
  openSandbox,
  type Sandbox,
  type SandboxOptions,
  type SandboxResult,
} from './reward/code/sandbox.js';
export {type CodeRewardOptions, codeReward} from './reward/code-reward.js';
export {composeReward, type RewardPart} from './reward/compose.js';
export {exactReward} from './reward/exact.js';
export {type FormatOptions, formatReward} from './reward/format.js';
export {type GradeOptions, gradeGroup} from './reward/grade.js';
export {type LengthOptions, lengthReward} from './reward/length.js';
export {gradeMath, type MathGrade, type MathGradeOptions} from './reward/math/grade.js';
export {type MathRewardOptions, mathReward, mathRewardWith} from './reward/math-reward.js';
export {numericReward} from './reward/numeric.js';
export {type RemoteOptions, remoteReward} from './reward/remote.js';
export {type RepetitionOptions, repetitionReward} from './reward/repetition.js';
export {loadReward} from './reward/reward.js';
export {changesOf, samplingOptions, textOf, withSampling} from './sampling.js';
export {type BootstrapOptions, type Interval, meanInterval, pairedInterval} from './statistics.js';
export {type LoadAgentTextOptions, loadAgentText} from './text/load.js';
export {train} from './train.js';
export type * from './types.js';
