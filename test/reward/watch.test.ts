import test from 'ava';
import {watchRollouts} from '../../src/reward/watch.js';
import type {Group, Rollout} from '../../src/types.js';
import {rewardedGroup} from '../helpers/groups.js';

function watcher() {
  const warnings: string[] = [];
  const watch = watchRollouts(['ann', 'bob'], (message) => warnings.push(message));
  return {watch, take: () => warnings.splice(0)};
}

function groupOf(size: number, changes: Partial<Rollout>, agent = 0, stage: Group['stage'] = 'solo'): Group {
  const group = rewardedGroup(
    agent,
    'q',
    Array.from({length: size}, () => 0),
    stage,
  );
  return {...group, rollouts: group.rollouts.map((rollout) => ({...rollout, ...changes}))};
}

const unread = {isWellFormed: false, text: 'I do not know.'};

test('49 completions that cannot be read are bad luck; 50 are said, with a sample, and again when doubled', (t) => {
  const {watch, take} = watcher();
  watch([groupOf(49, unread)]);
  t.deepEqual(take(), []);
  watch([groupOf(1, unread)]);
  const [said] = take();
  t.regex(said ?? '', /^NOTHING COULD BE READ in the last 50 completions of ann \(solo\)/);
  t.regex(
    said ?? '',
    /dialogue\.prompts\.share asks for the form .*reward\.math\.extract.*One ends: "I do not know\."$/,
  );
  watch([groupOf(49, unread)]);
  t.deepEqual(take(), []);
  watch([groupOf(1, unread)]);
  t.regex(take()[0] ?? '', /last 100 completions/);
});

test('a run is watched as a whole: few of each agent and stage are many together', (t) => {
  const {watch, take} = watcher();
  for (const stage of ['solo', 'fusion'] as const) {
    for (const agent of [0, 1]) watch([groupOf(12, unread, agent, stage), undefined]);
  }
  t.deepEqual(take(), []);
  watch([groupOf(2, unread, 0, 'fusion')]);
  const said = take();
  t.is(said.length, 1);
  t.regex(
    said[0] ?? '',
    /last 50 completions of ann \(solo\), bob \(solo\), ann \(fusion\), bob \(fusion\): .*dialogue\.prompts\.fuse/,
  );
});

test('one that can be read ends the row of the run and its own; another agent’s goes on', (t) => {
  const {watch, take} = watcher();
  const read = groupOf(1, {isWellFormed: true});
  for (const group of [groupOf(30, unread, 1), read, groupOf(19, unread, 1), groupOf(29, unread), read]) watch([group]);
  t.deepEqual(take(), []);
  watch([groupOf(1, unread, 1)]);
  const said = take();
  t.is(said.length, 1);
  t.regex(said[0] ?? '', /last 50 completions of bob \(solo\): /);
});

test('the advice is for what is wrong: lengths, the reward function', (t) => {
  const {watch, take} = watcher();
  const cut = groupOf(50, unread);
  const rollouts = cut.rollouts.map((each) => ({
    ...each,
    completion: {...each.completion, finishReason: 'length' as const},
  }));
  watch([{...cut, rollouts}]);
  t.regex(take()[0] ?? '', /50 were cut off: raise dialogue\.maxNewTokens\.share/);
  watch([groupOf(1, {isWellFormed: true}), groupOf(50, {...unread, failure: 'judge: HTTP 503'}, 1)]);
  const [failures, alarm] = take();
  t.is(
    failures,
    '50 of 50 completions of bob (solo) could not be graded (not trained on; wrong in an evaluation); the first, of question q: judge: HTTP 503',
  );
  t.regex(alarm ?? '', /The reward function failed on all of them, on the last with: judge: HTTP 503/);
});

test('what could not be graded because it is not to be is no failure to warn of', (t) => {
  const {watch, take} = watcher();
  watch([groupOf(4, {failure: 'cannot be graded'})]);
  t.deepEqual(take(), []);
});

test('a sample is one line, cut, and has nothing in it that a terminal obeys', (t) => {
  const {watch, take} = watcher();
  watch([groupOf(50, {...unread, text: `${'x'.repeat(1000)}\u001b[31m\u009b\u202e\nred\u0007 end`})]);
  const [said = ''] = take();
  t.regex(said, /One ends: "…x+\[31m red end"$/);
  t.notRegex(said, /[\p{Cc}\p{Cf}]/u);
  t.true(said.length < 500);
});
