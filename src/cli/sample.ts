import type {Command} from 'commander';
import {IlrError} from '../errors.js';
import type {FinishReason} from '../policy.js';
import {streamOf} from '../random.js';
import {textOf} from '../sampling.js';
import {StreamDecoder} from '../text/stream-decoder.js';
import type {Agent} from '../types.js';
import {loadAgent} from './agents.js';
import {HeldText} from './held-text.js';
import {interruptedExitCode, interruptSignals, isInterruption} from './interrupt.js';
import {findModels} from './models.js';
import {count, device, positive, temperature} from './options.js';
import {addSamplingFlags, samplingOf} from './sampling-flags.js';
import {print} from './terminal.js';

/** How one prompt is answered; the agent's `sampling` says how besides. */
export interface SampleTextOptions {
  readonly maxNewTokens: number;
  readonly seed: number;
  readonly temperature?: number;
  /** Which of several answers: each has draws of its own. Default 0. */
  readonly sample?: number;
  /** The prompt as it is, without the chat template. */
  readonly raw?: boolean;
  readonly signal?: AbortSignal;
}

export interface SampledText {
  readonly text: string;
  readonly tokens: number;
  readonly seconds: number;
  readonly finishReason: FinishReason;
}

/** Lets an agent answer one prompt; `onText` gets its text in whole characters as it comes. */
export async function sampleText(
  agent: Agent,
  prompt: string,
  onText: (text: string) => void,
  options: SampleTextOptions,
): Promise<SampledText> {
  const system = agent.systemPrompt === undefined ? [] : [{role: 'system' as const, content: [agent.systemPrompt]}];
  const ids = options.raw
    ? agent.text.encode(prompt)
    : agent.text.promptIds([...system, {role: 'user', content: [prompt]}]);
  const decoder = new StreamDecoder(agent.text);
  const held = new HeldText(onText, agent.sampling?.stopStrings ?? []);
  const generation = agent.policy.generate({
    ...agent.sampling,
    prompts: {ids, offsets: Int32Array.of(0, ids.length)},
    samplesPerPrompt: 1,
    streams: BigUint64Array.of(streamOf({seed: options.seed, purpose: 'share', sample: options.sample || undefined})),
    maxNewTokens: options.maxNewTokens,
    temperature: options.temperature ?? agent.temperature,
    stopIds: [...agent.text.stopIds, ...(agent.stopIds ?? [])],
    signal: options.signal,
    onToken: (_, id) => held.push(decoder.push(id)),
  });
  generation.counters.catch(() => {}); // the loop below rejects with the same
  for await (const completion of generation) {
    const {ids: answer, finishReason, textBytes} = completion;
    const text = textOf(agent.text, completion);
    held.push(decoder.end());
    held.end(textBytes === undefined ? undefined : text);
    const {seconds} = await generation.counters;
    return {text, tokens: answer.length, seconds, finishReason};
  }
  throw new IlrError('ILR_ABORTED', 'the model stopped before its answer ended');
}

export function register(program: Command): void {
  const command = program
    .command('sample')
    .description('Let a model answer one prompt.')
    .argument('<model>', 'Hugging Face folder, an adapter in PEFT’s format, or an agent of a checkpoint')
    .argument('<prompt>', 'what the model reads')
    .option('--temperature <number>', '0: the most likely tokens (default: as in training, else 1)', temperature)
    .option('--max-new-tokens <count>', 'length of the answer', positive, 512)
    .option('--seed <number>', 'the same seed gives the same answer', count, 0)
    .option('--system <text>', 'system prompt (default: as in training)')
    .option('--samples <count>', 'answers, each with draws of its own', positive, 1)
    .option('--raw', 'go on with the prompt as it is, without the chat template')
    .option('--base <folder>', "an adapter's base (default: the folder that adapter_config.json names)")
    .option('--device <device>', 'cpu, cuda, cuda:N or auto', device, 'auto');
  addSamplingFlags(command).action(async (model: string, prompt: string, options) => {
    const [found, ...others] = await findModels(model);
    if (others.length > 0)
      throw new IlrError(
        'ILR_INVALID_ARGUMENT',
        `${model} holds several agents; give one of them:\n${[found, ...others].map((each) => `  ${each?.folder}`).join('\n')}`,
      );
    const interrupt = interruptSignals();
    const agent = await loadAgent(found?.folder ?? model, {
      system: options.system,
      base: options.base,
      sampling: samplingOf(options),
      device: options.device,
      trainable: false,
    });
    try {
      const write = (text: string) => print(process.stdout, text);
      for (let sample = 0; sample < options.samples; sample++) {
        if (options.samples > 1) print(process.stderr, `${sample === 0 ? '' : '\n'}answer ${sample + 1}:\n`);
        const {tokens, seconds, finishReason} = await sampleText(agent, prompt, write, {
          ...options,
          sample,
          signal: interrupt.first,
        });
        print(process.stdout, '\n');
        print(
          process.stderr,
          `${tokens} tokens, ${(tokens / seconds).toFixed(1)} tokens/s, ${reasons[finishReason]}\n`,
        );
      }
    } catch (error) {
      if (!isInterruption(error, interrupt.first)) throw error;
      print(process.stdout, '\n');
      process.exitCode = interruptedExitCode;
    } finally {
      interrupt.dispose();
      await agent.close();
    }
  });
}

const reasons: Readonly<Record<FinishReason, string>> = {
  stop: 'ended by the model or a stop string',
  length: 'cut at --max-new-tokens',
  context: 'the context is used up',
};
