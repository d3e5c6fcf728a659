// Trains two agents for ten steps inside a Node program, then asks one of them.
//   node examples/embed.mjs recipes/tiny.yaml    (after `npm run demo`; or your own configuration)
import {loadAgent, readConfigFile, readQuestions, sampleText, train} from 'ilr-native';

const file = process.argv[2] ?? 'recipes/tiny.yaml';
const {config} = await readConfigFile(file, ['steps=10', 'difficulty.estimator=pass-rate', 'ability.questions=32']);
const agents = await Promise.all(config.agents.map(({model, ...settings}) => loadAgent(model, settings)));
const {questions} = await readQuestions(config.data.train, config.data);

const controller = new AbortController(); // controller.abort() ends the training at once
process.once('SIGINT', () => controller.abort());
try {
  await train({
    config,
    agents,
    questions: {train: questions.slice(0, 128)},
    signal: controller.signal,
    onEvent(event) {
      if (event.type !== 'step' || event.metrics.step === 0) return;
      const accuracies = agents.map(({name}) => `${name} ${event.metrics[`${name}/accuracy/solo`]?.toFixed(2) ?? '-'}`);
      console.log(`step ${event.metrics.step}: ${accuracies.join(', ')}`);
    },
  });
  const [trained] = agents;
  console.log(`${trained.name} answers ${questions[0].text}`);
  await sampleText(trained, questions[0].text, (text) => process.stdout.write(text), {maxNewTokens: 48, seed: 0});
  console.log();
} finally {
  await Promise.all(agents.map((agent) => agent.close()));
}
