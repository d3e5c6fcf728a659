// A part of a reward: the share of the question's numbers that an answer works with, from 0 to 1.
//   reward.parts: [{name: work, function: ../examples/work-shown.mjs, weight: 0.2, options: {least: 2}}]
// What comes in is a model's text: bound what you do with it, and never run it.
const longest = 20_000;

export default function workShown({question, text}, {options = {}} = {}) {
  const numbers = new Set(question.text.match(/\d+/g));
  if (numbers.size < (options.least ?? 1)) return 1;
  const used = new Set(text.slice(0, longest).match(/\d+/g));
  return [...numbers].filter((number) => used.has(number)).length / numbers.size;
}
