import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import test from 'ava';
import {debate} from '../../src/interact/debate.js';
import type {Completion, GenerateRequest, Generation} from '../../src/policy.js';
import {sequenceAt} from '../../src/ragged.js';
import {type FolderText, loadAgentText} from '../../src/text/load.js';
import {train} from '../../src/train.js';
import type {Agent, Group, Recorder} from '../../src/types.js';
import {ScriptedPolicy} from '../helpers/scripted-policy.js';
import {sharedPath} from '../helpers/shared.js';
import {sums, sumsConfig} from '../helpers/sums.js';

/** What an agent wrote, and behind which prompt. */
interface Written {
  readonly prompt: string;
  readonly ids: Int32Array;
  readonly logprobs: Float32Array;
}

/** Writes any ids whatever: special tokens, halves of characters, pieces that no tokenizer would choose. */
class BabblingPolicy extends ScriptedPolicy {
  readonly written: Written[] = [];

  constructor(
    private readonly vocabSize: number,
    private readonly stopId: number,
  ) {
    super(() => '');
  }

  override info() {
    return {...super.info(), vocabSize: this.vocabSize};
  }

  override generate(request: GenerateRequest): Generation {
    const iterate = () => this.babble(request);
    return {[Symbol.asyncIterator]: iterate, counters: super.generate(request).counters};
  }

  private async *babble(request: GenerateRequest): AsyncGenerator<Completion> {
    for (const [index, stream] of request.streams.entries()) {
      const prompt = sequenceAt(request.prompts, Math.floor(index / request.samplesPerPrompt));
      const ids = Int32Array.from(
        {length: 12},
        (_, i) => Number(((stream ^ BigInt(i + 1)) * 0x9e3779b97f4a7c15n) & 0xffffffffn) % this.vocabSize,
      );
      if (stream % 2n === 0n) ids[11] = this.stopId;
      const logprobs = Float32Array.from(ids, (id) => -1 - (id % 7));
      this.written.push({prompt: prompt.join(), ids, logprobs});
      yield {index, ids, logprobs, finishReason: stream % 2n === 0n ? 'stop' : 'length'};
    }
  }
}

/** Where `part` stands in `ids`, from `start`; -1: nowhere. */
function placeOf(part: Int32Array, ids: Int32Array, start = 0): number {
  for (let at = start; at + part.length <= ids.length; at++) {
    if (part.every((id, i) => ids[at + i] === id)) return at;
  }
  return -1;
}

function withoutStop(ids: Int32Array, text: FolderText): Int32Array {
  let end = ids.length;
  while (end > 0 && text.stopIds.includes(ids[end - 1] as number)) end--;
  return ids.subarray(0, end);
}

async function addedIdsOf(folder: string): Promise<ReadonlySet<number>> {
  const {added_tokens: tokens} = JSON.parse(await readFile(join(folder, 'tokenizer.json'), 'utf8'));
  return new Set(tokens.map((token: {readonly id: number}) => token.id));
}

const names = ['qwen2.5', 'qwen3', 'smollm2'];
const folders = names.map((name) => sharedPath('tokenizers', name));
const runs = folders.every((folder) => folder !== undefined) ? test : test.skip;

runs(
  'across tokenizers, exactly the tokens that an agent wrote are trained (skipped where ../shared is not here)',
  async (t) => {
    const texts = await Promise.all(
      folders.map(async (folder) => (await loadAgentText(folder as string)) as FolderText),
    );
    const policies = texts.map((text) => new BabblingPolicy(text.vocabSize, text.stopIds[0] as number));
    const agents = texts.map((text, i): Agent => {
      return {name: `agent-${i}`, policy: policies[i] as BabblingPolicy, text, temperature: 1};
    });
    const groups: Group[] = [];
    const recorder: Recorder = {
      step: async () => {},
      checkpoint: async () => {},
      dialogues: async (_, more) => void groups.push(...more),
    };
    // Babble is never right: its rewards are drawn from its ids, so that groups have spread.
    const reward = ({completion}: {readonly completion: {readonly ids: Int32Array}}) => {
      return {isCorrect: false, isWellFormed: true, reward: (completion.ids[0] as number) % 2};
    };
    const config = sumsConfig({
      agents: agents.map(({name}) => ({name, model: 'none'})),
      difficulty: {estimator: 'field'},
      steps: 2,
      eval: {samples: 0},
    });
    await train({config, agents, questions: {train: sums, validation: sums.slice(0, 2)}, reward, recorder});

    for (const [i, policy] of policies.entries()) {
      const written = new Map(policy.written.map((one) => [`${one.prompt}|${one.ids.join()}`, one]));
      let trained = 0;
      for (const {prompts, completions} of policy.batches) {
        for (let c = 0; c < completions.promptIndex.length; c++) {
          const prompt = sequenceAt(prompts, completions.promptIndex[c] as number);
          const ids = sequenceAt(completions, c);
          const found = written.get(`${prompt.join()}|${ids.join()}`);
          t.truthy(found, 'a trained completion is one that this agent wrote behind that very prompt');
          const [begin, end] = [completions.offsets[c], completions.offsets[c + 1]];
          t.deepEqual(completions.samplerLogprobs.slice(begin, end), found?.logprobs);
          t.true(completions.mask.subarray(begin, end).every((one) => one === 1));
          trained++;
        }
      }
      const mine = groups.filter((group) => group.agent === i);
      t.is(trained, mine.length * 4);
      t.is(mine.length, 2 * 3 * 2); // steps, questions, stages

      const text = texts[i] as FolderText;
      const addedIds = await addedIdsOf(folders[i] as string);
      for (const {dialogue, promptIds} of mine.filter((group) => group.stage === 'fusion')) {
        // The own turns stand in the transcript id for id; of a peer's nothing but text: outside the own turns only the template has added tokens.
        const own = dialogue?.turns.filter((turn) => turn.author === i) ?? [];
        t.deepEqual(
          own.map((turn) => turn.role),
          ['share', 'analyse'],
        );
        let rest = 0;
        let at = 0;
        for (const turn of own) {
          t.true(policy.written.some(({ids}) => withoutStop(ids, text).join() === withoutStop(turn.ids, text).join()));
          const place = placeOf(withoutStop(turn.ids, text), promptIds, at);
          t.true(place >= 0, `${turn.role} stands in the fusion prompt as it was written`);
          rest += promptIds.subarray(at, place).filter((id) => addedIds.has(id)).length;
          at = place + withoutStop(turn.ids, text).length;
        }
        rest += promptIds.subarray(at).filter((id) => addedIds.has(id)).length;
        const plain = text.promptIds([
          {role: 'user', content: ['q']},
          {role: 'assistant', content: ['a']},
          {role: 'user', content: ['q']},
          {role: 'assistant', content: ['a']},
          {role: 'user', content: ['q']},
        ]);
        t.is(rest, plain.filter((id) => addedIds.has(id)).length);
      }
    }
  },
);

runs(
  'across tokenizers, a debate reads what an agent wrote id for id, and of its peers nothing but text (skipped where ../shared is not here)',
  async (t) => {
    const texts = await Promise.all(
      folders.map(async (folder) => (await loadAgentText(folder as string)) as FolderText),
    );
    const policies = texts.map((text) => new BabblingPolicy(text.vocabSize, text.stopIds[0] as number));
    const agents = texts.map((text, i): Agent => {
      return {name: `agent-${i}`, policy: policies[i] as BabblingPolicy, text, temperature: 1};
    });
    const rounds = 3;
    const held = await debate(agents, sums.slice(0, 4), {seed: 1, dialogue: sumsConfig().dialogue, rounds});
    for (const [i, text] of texts.entries()) {
      const addedIds = await addedIdsOf(folders[i] as string);
      const plain = text.promptIds([
        ...Array.from({length: rounds}, () => [
          {role: 'user' as const, content: ['q']},
          {role: 'assistant' as const, content: ['a']},
        ]).flat(),
        {role: 'user', content: ['q']},
      ]);
      for (const last of held[rounds]?.[i] ?? []) {
        const own = last.side.answers.slice(0, -1);
        t.is(own.length, rounds);
        let rest = 0;
        let at = 0;
        for (const answer of own) {
          t.true(
            policies[i]?.written.some(({ids}) => withoutStop(ids, text).join() === withoutStop(answer, text).join()),
          );
          const place = placeOf(withoutStop(answer, text), last.promptIds, at);
          t.true(place >= 0, 'an own answer stands in the prompt of the last round as it was written');
          rest += last.promptIds.subarray(at, place).filter((id) => addedIds.has(id)).length;
          at = place + withoutStop(answer, text).length;
        }
        rest += last.promptIds.subarray(at).filter((id) => addedIds.has(id)).length;
        t.is(rest, plain.filter((id) => addedIds.has(id)).length);
      }
    }
  },
);
