import {answerAlone, type EvaluateOptions, evaluateDebate, evaluateFusion} from '../evaluate.js';
import {sharePrompt} from '../interact/prompts.js';
import type {Agent, Group, Question, Rollout, Strategy} from '../types.js';
import type {EvalUnit, UnitKeys} from './plan.js';
import type {EvalAnswer} from './report.js';

export interface AnswerOptions extends EvaluateOptions {
  readonly samples: number;
  readonly unit: EvalUnit;
  readonly keys: UnitKeys;
  /** [N] as the report calls them. */
  readonly names: readonly string[];
  /** Of a debate. */
  readonly rounds?: number;
  /** [N][questions] in idea3. */
  readonly strategies?: readonly (readonly Strategy[])[];
}

/**
Every member's answers to a batch of questions: the greedy one and `samples` drawn ones. A question that leaves a member no room in its
context is answered by nobody; that is a failure, and counts as wrong.
*/
export async function answerBatch(
  agents: readonly Agent[],
  questions: readonly Question[],
  options: AnswerOptions,
): Promise<EvalAnswer[]> {
  const places = questions.map((_, q) => q).filter((q) => haveRoom(agents, questions[q] as Question, options));
  const asked = places.map((q) => questions[q] as Question);
  const strategies = options.strategies?.map((row) => places.map((q) => row[q] as Strategy));
  const rollouts = asked.length === 0 ? [] : await ask(agents, asked, {...options, strategies});
  return questions.flatMap((question, q) => {
    const place = places.indexOf(q);
    return agents.flatMap((_, member) =>
      [null, ...Array.from({length: options.samples}, (_, k) => k)].map((sample) =>
        toAnswer({member, question, sample, strategy: options.strategies?.[member]?.[q]}, options, {
          isAsked: place >= 0,
          given: rollouts[member]?.[place]?.[sample === null ? 0 : sample + 1],
        }),
      ),
    );
  });
}

interface Given {
  readonly rollout: Rollout;
  readonly tokens: number;
}

/** [N][questions][1 + samples] the greedy answer first; undefined where the dialogue was not held. */
type GivenAnswers = readonly (readonly (readonly (Given | undefined)[])[])[];

function ask(agents: readonly Agent[], questions: readonly Question[], options: AnswerOptions): Promise<GivenAnswers> {
  switch (options.unit.mode) {
    case 'solo':
      return askAlone(agents[0] as Agent, questions, options);
    case 'debate':
      return askTogether(options, async (isGreedy, sample) => {
        const {rounds = 1} = options;
        const results = await evaluateDebate(agents, questions, {...options, isGreedy, sample, rounds});
        return results.map(({groups, tokens}) =>
          questions.map((_, q) => given(groups.at(-1)?.[q], tokens[q] as number)),
        );
      });
    case 'idea3':
      return askTogether(options, async (isGreedy, round) => {
        const {strategies = []} = options;
        const results = await evaluateFusion(agents, questions, strategies, {...options, isGreedy, round});
        return results.map(({groups}) => {
          const held = new Map(groups.map((group) => [group.question, group]));
          return questions.map((question) => given(held.get(question), tokensOf(held.get(question))));
        });
      });
  }
}

async function askAlone(agent: Agent, questions: readonly Question[], options: AnswerOptions): Promise<GivenAnswers> {
  const greedy = await answerAlone(agent, questions, {...options, samples: 1}, true);
  const sampled = options.samples === 0 ? [] : await answerAlone(agent, questions, options, false);
  return [
    questions.map((_, q) =>
      [...(greedy[q]?.rollouts ?? []), ...(sampled[q]?.rollouts ?? [])].map((rollout) => ({
        rollout,
        tokens: rollout.completion.ids.length,
      })),
    ),
  ];
}

/** One greedy dialogue of each question, and one for each sample, drawn apart from the others. */
async function askTogether(
  {samples}: AnswerOptions,
  hold: (isGreedy: boolean, sample: number) => Promise<readonly (readonly (Given | undefined)[])[]>,
): Promise<GivenAnswers> {
  const held = [await hold(true, 0)];
  for (let sample = 0; sample < samples; sample++) held.push(await hold(false, sample));
  const [first = []] = held;
  return first.map((own, member) => own.map((_, q) => held.map((results) => results[member]?.[q])));
}

function given(group: Group | undefined, tokens: number): Given | undefined {
  const rollout = group?.rollouts[0];
  return rollout && {rollout, tokens};
}

/** What an agent wrote in its dialogue of Idea3: idea, analysis and answer. */
function tokensOf(group: Group | undefined): number {
  const own = group?.dialogue?.turns.filter(({author}) => author === group.agent) ?? [];
  return own.reduce((sum, turn) => sum + turn.ids.length, group?.rollouts[0]?.completion.ids.length ?? 0);
}

function toAnswer(
  about: {member: number; question: Question; sample: number | null; strategy: Strategy | undefined},
  {unit, keys, names}: AnswerOptions,
  {isAsked, given}: {isAsked: boolean; given: Given | undefined},
): EvalAnswer {
  const {member, question, sample, strategy} = about;
  const {rollout, tokens = 0} = given ?? {};
  const failure = rollout
    ? rollout.failure
    : isAsked
      ? 'the dialogue has no room in the context'
      : 'the question has no room in the context';
  return {
    key: keys.of(member, question, sample, strategy),
    benchmark: unit.benchmark.name,
    mode: unit.mode,
    model: names[member] as string,
    question: question.id,
    sample,
    text: rollout?.text ?? '',
    ...(rollout?.answer !== undefined && {answer: rollout.answer}),
    isCorrect: rollout?.isCorrect ?? false,
    isWellFormed: rollout?.isWellFormed ?? false,
    ...(rollout?.parts !== undefined && {parts: rollout.parts}),
    ...(rollout && {finishReason: rollout.completion.finishReason}),
    tokens,
    ...(strategy && {strategy}),
    ...(failure !== undefined && {failure}),
  };
}

/** Tokenizers write fewer tokens than bytes, so that only long questions must be tokenised to know. */
function haveRoom(agents: readonly Agent[], question: Question, {config: {dialogue}}: AnswerOptions): boolean {
  return agents.every((agent) => {
    const {contextLength} = agent.policy.info();
    const words = Buffer.byteLength(dialogue.prompts.share) + Buffer.byteLength(agent.systemPrompt ?? '');
    if (words + Buffer.byteLength(question.text) < contextLength / 2) return true;
    return agent.text.promptIds(sharePrompt(agent, dialogue.prompts, question)).length < contextLength;
  });
}
