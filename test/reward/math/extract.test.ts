import test from 'ava';
import {extractAnswer} from '../../../src/reward/math/extract.js';
import {gradeMath} from '../../../src/reward/math/grade.js';

/** How completions give their answer, with other numbers around it. */
const ways: Readonly<Record<string, (answer: string) => string>> = {
  'a box': (answer) => `First $2+3=5$.\n\nTherefore the answer is $\\boxed{${answer}}$.`,
  'a box on its own line': (answer) => `We get\n\\[\n\\boxed{ ${answer} }\n\\]\n`,
  'a box and a remark': (answer) => `So it is \\boxed{${answer}}. This completes the 3 steps.`,
  'a box with dollars': (answer) => `So \\boxed{$${answer}$}.`,
  'a box with its full stop': (answer) => `\\boxed{${answer}.}`,
  'the same box twice': (answer) => `\\boxed{${answer}}\n\nSo the answer is \\boxed{${answer}}.`,
  'a box behind thoughts': (answer) => `<think>\n\\boxed{12345}? no.\n</think>\n\nThe answer is \\boxed{${answer}}.`,
  'a box before the end of the turn': (answer) => `The answer is $\\boxed{${answer}}$.<|im_end|>`,
  'a heading and a check': (answer) => `**Final Answer**\n\n$$\\boxed{${answer}}$$\n\n*Check*: 7 \\times 8 = 56.`,
  'an fbox': (answer) => `So \\fbox{$${answer}$}`,
  "Minerva's sentence": (answer) => `We have 3. Final Answer: The final answer is $${answer}$. I hope it is correct.`,
  "Minerva's sentence without dollars": (answer) =>
    `Final Answer: The final answer is ${answer}. I hope it is correct.`,
  "GSM8K's mark": (answer) => `She has 3 + 4.\n#### ${answer}`,
  'bold in front': (answer) => `Steps 1 and 2.\n\n**Answer:** $${answer}$`,
  'all in bold': (answer) => `Steps 1 and 2.\n\n**Answer: ${answer}**`,
  'bold at the end': (answer) => `With 17 more, it is **${answer}**.`,
  'a final heading': (answer) => `Steps 1 and 2.\n\n### Final Answer\n$${answer}$`,
  'a final line': (answer) => `so 4.\n**Final Answer:** \\(${answer}\\)`,
  'an answer under its heading': (answer) => `so 4.\n\n### Final Answer\n\nAnswer: $${answer}$`,
  'an answer under a heading and prose': (answer) =>
    `### Step 5: Final Answer\n\nThus \\(p + 3\\) can be written in terms of \\(p\\) as:\n\\[\nS = ${answer}\n\\]\n\nAnswer: \\(${answer}\\)`,
  'an answer named in its formula': (answer) => `5. **Final Answer**:\n   \\[\n   \\text{Answer: } ${answer}\n   \\]`,
  'an answer behind a sentence that stops': (answer) => `So 4, and the final answer is:\n\n**Answer:** $${answer}$`,
  'a displayed answer': (answer) => `We add 3 and 4.\n\n**Answer:**\n\\[\n${answer}\n\\]\nThis ends step 2.`,
  'a sentence': (answer) => `We need 17. The answer is $${answer}$.`,
  'a sentence without dollars': (answer) => `We need 17. Therefore, the answer is ${answer}.`,
  'a sentence put right': (answer) => `The answer is 99. Wait, the answer is $${answer}$.`,
  'a formula on its own line': (answer) => `With 5 of them we have\n\\[ ${answer} \\]`,
  'a formula at the end': (answer) => `Adding the 5 of them, we obtain $${answer}$.`,
  JSON: (answer) => JSON.stringify({reasoning: 'we add 3 and 4', answer}),
  tags: (answer) => `<think>we add 3</think>\n<answer>${answer}</answer>`,
};

/** Word problems end with a number in a sentence of their own. */
const endings: readonly ((number: string) => string)[] = [
  (number) => `She makes $9 * 2 = $${number} every day.`,
  (number) => `The total cost is $5 + $13 = $${number}.`,
  (number) => `So Janet makes **$${number}** every day at the market.`,
  (number) => `Step 1: 5+6=11\nStep 2: 11*2=22\n\nSo the final result is ${number} meters.`,
  (number) => `**Final answer:** ${number} cups`,
  (number) => `Thus, he has \\$${number} left.`,
  (number) => `\\[ 9 \\times 2 = ${number} \\]\n\nSo she makes ${number} dollars.`,
  (number) => `Answer:\n\n$${number}$`,
  (number) => `<<9*2=18>>${number}`,
  (number) => `The answer is $${number}$ because $2+2=4$.`,
  (number) => `Therefore x = ${number}.`,
  (number) => `It takes ${number} min`,
];

test('the number that a word problem ends with is found', (t) => {
  const numbers = ['18', '70,000', '0.25', '-4', '12.75', '7/2'];
  for (const [i, number] of numbers.entries()) {
    const other = numbers[(i + 1) % numbers.length] as string;
    for (const ending of endings) {
      t.is(gradeMath(number, ending(number)).correct, true, ending(number));
      t.is(gradeMath(number, ending(other)).correct, false, ending(other));
    }
  }
});

const answers = [
  '42',
  '-17',
  '3.75',
  '1,234',
  '\\frac{3}{7}',
  '2\\sqrt{3}',
  '\\left( 3, \\frac{\\pi}{2} \\right)',
  '\\begin{pmatrix} -2 \\\\ 14 \\end{pmatrix}',
  '(-\\infty, 2) \\cup (3, \\infty)',
  'x^2 - 4x + 7',
  '\\frac{1}{\\left(1+r\\right)^{3 / 2}}',
  '-1, 2, 5',
  '\\{1, 2, 5\\}',
  '25\\%',
  '\\text{Tuesday}',
];

for (const [way, completion] of Object.entries(ways)) {
  test(`an answer is found in ${way}`, (t) => {
    for (const [i, answer] of answers.entries()) {
      t.is(gradeMath(answer, completion(answer)).correct, true, completion(answer));
      const other = answers[(i + 1) % answers.length] as string;
      t.is(gradeMath(answer, completion(other)).correct, false, completion(other));
    }
  });
}

test('what is cut off, empty or missing is no answer, or the part that is there', (t) => {
  const found = (text: string) => extractAnswer(text)?.text;
  t.is(found('so the answer is \\boxed{\\frac{1}{2'), '\\frac{1}{2');
  t.is(found('\\boxed{7} and then \\boxed{}'), '7');
  t.is(found('\\boxed 5$ it is'), '5');
  t.is(found('\\boxed{\\frac{\\sqrt{a_{1}^{2}}}{2}}'), '\\frac{\\sqrt{a_{1}^{2}}}{2}');
  t.is(found('I do not know.'), undefined);
  t.is(found(''), undefined);
});

test('the last number comes with its sign, its point and its fraction', (t) => {
  const found = (text: string) => extractAnswer(text, ['number'])?.text;
  t.is(found('we lose 3 and have -4.5 left'), '-4.5');
  t.is(found('they pay 1,234.50 dollars'), '1,234.50');
  t.is(found('a share of 3/4 remains'), '3/4');
  t.is(found('that is .25 of it'), '.25');
  t.is(found('about 12% of them'), '12%');
  t.is(found('on 2, 5 and 9 days'), '2, 5 and 9');
  t.is(found('at 9:15 p.m.'), '9:15 p.m.');
  t.is(found('as 2 to 3, or 2:3'), '2:3');
  t.is(found('2 cats and 9 dogs'), '9');
});

test('only the places that are asked for are looked at', (t) => {
  const text = 'The answer is 5. \\boxed{7}\n#### 9';
  t.is(extractAnswer(text, ['boxed'])?.text, '7');
  t.is(extractAnswer(text, ['hashes'])?.text, '9');
  t.is(extractAnswer(text, ['answer'])?.text, '5');
  t.is(extractAnswer('The answer is 5.', ['boxed', 'hashes']), undefined);
});
