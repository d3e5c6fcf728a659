import test, {type ExecutionContext} from 'ava';
import {readConfigFile} from '../../src/config-file.js';
import type {Line} from '../../src/demo/habits.js';
import {
  analysisText,
  type Classroom,
  dialogueLesson,
  type Lesson,
  rankingLesson,
  soloLesson,
  solutionText,
} from '../../src/demo/lessons.js';
import {encodeWords, pieces, specials} from '../../src/demo/vocabulary.js';
import {packageRoot} from '../../src/native/paths.js';
import {Random} from '../../src/random.js';
import {loadAgentText} from '../../src/text/load.js';
import {writeTinyTokenizer} from '../../src/text/tiny-tokenizer.js';
import type {Agent, AgentText} from '../../src/types.js';
import {folderWith} from '../helpers/folder.js';
import {ScriptedPolicy} from '../helpers/scripted-policy.js';

const line = (before: number, sign: '+' | '-', operand: number, after: number): Line => ({
  before,
  sign,
  operand,
  after,
});
const mine = [line(49, '-', 6, 43), line(43, '-', 7, 44)];
const theirs = [line(49, '-', 6, 43), line(43, '-', 7, 36)];

async function classroomOf(t: ExecutionContext, seed: number): Promise<Classroom & {readonly text: AgentText}> {
  const folder = await folderWith(t);
  const tokenizer = await writeTinyTokenizer(folder, {pieces, specials});
  const text = await loadAgentText(folder);
  const agent: Agent = {name: 'tiny', policy: new ScriptedPolicy(() => ''), text, temperature: 1};
  const {config} = await readConfigFile(`${packageRoot()}/recipes/tiny.yaml`);
  return {
    agent,
    text,
    tokenizer,
    prompts: config.dialogue.prompts,
    learner: {habit: 'forgets-carries', rate: 0.6},
    peer: {habit: 'mis-borrows', rate: 0.55},
    random: new Random({seed, purpose: 'warm-start'}),
  };
}

/** The chat with what is trained in angle brackets; specials as one letter. */
function show({ids, mask}: Lesson, {text, tokenizer}: {text: AgentText; tokenizer: Classroom['tokenizer']}): string {
  const names = new Map([
    [tokenizer.ids.user, 'U'],
    [tokenizer.ids.assistant, 'A'],
    [tokenizer.ids.end, '.'],
  ]);
  let shown = '';
  ids.forEach((id, i) => {
    if (mask[i] !== (i === 0 ? 0 : mask[i - 1])) shown += mask[i] === 1 ? '<' : '>';
    shown += names.get(id) ?? text.decode(Int32Array.of(id));
  });
  return mask.at(-1) === 1 ? `${shown}>` : shown;
}

test('a worked answer is a chain of results and a box', (t) => {
  t.is(solutionText(mine), '49-6=43-7=44\\boxed{44}');
});

test('an analysis names the first line where two ideas part and what to take of it, or to drop', (t) => {
  t.is(analysisText(mine, theirs, 'cooperative'), 'At 43-7: mine 44, peer 36. Take 36.');
  t.is(analysisText(mine, theirs, 'competitive'), 'At 43-7: mine 44, peer 36. Drop 44.');
  t.is(analysisText(theirs, mine, 'cooperative'), 'At 43-7: mine 36, peer 44. Take 36.');
  t.is(analysisText(theirs, mine, 'competitive'), 'At 43-7: mine 36, peer 44. Drop 44.');
  t.is(analysisText(mine, mine, 'competitive'), 'We agree.');
});

test('the words are what the agents’ tokenizer makes of a text', async (t) => {
  const {text, tokenizer} = await classroomOf(t, 0);
  for (const sample of [
    '49-6=43-7=44\\boxed{44}',
    'Peer: 12+3=15\\boxed{15}\nCooperate.',
    'Rank:\n12+3-4 A\n9+1 B',
    'B A',
  ]) {
    t.deepEqual(encodeWords(tokenizer, sample), [...text.encode(sample)]);
  }
});

test('a text outside the vocabulary is refused, naming where it begins', async (t) => {
  const {tokenizer} = await classroomOf(t, 0);
  t.throws(() => encodeWords(tokenizer, 'Peer: what?'), {code: 'ILR_INVALID_CONFIG', message: /"what\?"/});
});

test('a solo lesson trains the worked answer and the end of the turn', async (t) => {
  const classroom = await classroomOf(t, 1);
  for (let i = 0; i < 50; i++) {
    t.regex(show(soloLesson(classroom), classroom), /^U\d\d([+-]\d){2,4}\.A<\d\d([+-]\d=\d\d){2,4}\\boxed\{\d\d\}\.>$/);
  }
});

test('a dialogue trains the agent’s three turns, never the question, the peer or an instruction', async (t) => {
  const classroom = await classroomOf(t, 2);
  const solution = '\\d\\d([+-]\\d=\\d\\d){2,4}\\\\boxed\\{\\d\\d\\}';
  const form = new RegExp(
    `^U\\d\\d([+-]\\d){2,4}\\.A<${solution}\\.>UPeer: ${solution}\\nCompete\\.\\.A<(We agree|At .*Drop \\d\\d)\\.\\.>UFinal\\?\\.A<${solution}\\.>$`,
    's',
  );
  for (let i = 0; i < 50; i++) {
    t.regex(show(dialogueLesson(classroom, 'peer', 'competitive'), classroom), form);
  }
});

test('a lesson is what the agent reads in a run: the same ids from its tokenizer and chat template', async (t) => {
  const classroom = await classroomOf(t, 3);
  for (const lesson of [
    soloLesson(classroom),
    dialogueLesson(classroom, 'peer', 'cooperative'),
    rankingLesson(classroom),
  ]) {
    const turns = turnsOf(lesson, classroom);
    const messages = turns.slice(0, -1).map((content, i) => ({
      role: i % 2 === 0 ? ('user' as const) : ('assistant' as const),
      content: [i % 2 === 0 ? content : Int32Array.from(encodeWords(classroom.tokenizer, content))],
    }));
    const prompt = classroom.text.promptIds(messages);
    t.deepEqual([...prompt], [...lesson.ids.slice(0, prompt.length)]);
    const answer = [...encodeWords(classroom.tokenizer, turns.at(-1) as string), classroom.text.stopIds[0]];
    t.deepEqual([...lesson.ids.slice(prompt.length)], answer);
  }
});

test('talking with a copy of its idea, the agent agrees and says it again', async (t) => {
  const classroom = await classroomOf(t, 4);
  for (let i = 0; i < 50; i++) {
    const turns = turnsOf(dialogueLesson(classroom, 'copy', 'cooperative'), classroom);
    t.is(turns[2], `Peer: ${turns[1]}\nCooperate.`);
    t.is(turns[3], 'We agree.');
    t.is(turns[5], turns[1]);
  }
});

test('a ranking lesson orders by level, and questions of one level as they are listed', async (t) => {
  const classroom = await classroomOf(t, 5);
  for (let i = 0; i < 50; i++) {
    const [prompt, answer] = turnsOf(rankingLesson(classroom), classroom) as [string, string];
    const levels = new Map(
      prompt
        .split('\n')
        .slice(1)
        .map((item): [string, number] => [item.at(-1) as string, item.match(/[+-]/g)?.length as number]),
    );
    const expected = [...levels].sort((a, b) => a[1] - b[1]).map(([letter]) => letter);
    t.is(answer, expected.join(' '));
  }
});

/** The text of each turn, whoever speaks. */
function turnsOf({ids}: Lesson, {text, tokenizer}: {text: AgentText; tokenizer: Classroom['tokenizer']}): string[] {
  const turns: string[] = [];
  let start = 1;
  ids.forEach((id, i) => {
    if (id !== tokenizer.ids.end) return;
    turns.push(text.decode(ids.slice(start, i)));
    start = i + 2;
  });
  return turns;
}
