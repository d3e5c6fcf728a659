// Puts a reward together and shows what each part gives; no model is needed.
//   node examples/rewards.mjs
import {composeReward, formatReward, mathReward, repetitionReward} from 'ilr-native';
import workShown from './work-shown.mjs';

const reward = composeReward([
  {name: 'answer', function: mathReward, weight: 1},
  {name: 'form', function: formatReward({tags: ['think', 'answer']}), weight: 0.2},
  {name: 'repetition', function: repetitionReward({ngram: 3}), weight: 0.5},
  {name: 'work', function: workShown, weight: 0.2},
]);

const question = {id: 'apples', text: 'Ann has 12 apples and gives 5 away. How many are left?', answer: '7'};
const answers = [
  '<think>12 - 5 = 7</think><answer>\\boxed{7}</answer>',
  '12 - 5 is \\boxed{7}',
  'It is \\boxed{8}',
  'I think and I think and I think and I think',
];

await reward.prepare([question]);
for (const text of answers) {
  const completion = {ids: new Int32Array(20), finishReason: 'stop'};
  const grade = await reward({question, text, completion});
  const parts = Object.entries(grade.parts).map(([name, value]) => `${name} ${value.toFixed(2)}`);
  console.log(`${grade.reward.toFixed(2).padStart(5)}  ${parts.join('  ')}  ${JSON.stringify(text)}`);
}
await reward.close();
