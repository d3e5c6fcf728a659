import {createContext, Script} from 'node:vm';
import {Environment, Interpreter, Template} from '@huggingface/jinja';
import {IlrError} from '../errors.js';
import type {Message} from '../types.js';

/** One stretch of a rendered prompt: the template's own words, or the content of a message. */
export type Segment = {readonly kind: 'template'; readonly text: string} | ContentSegment;

interface ContentSegment {
  readonly kind: 'content';
  readonly role: Message['role'];
  readonly content: readonly (string | Int32Array)[];
}

export interface RenderOptions {
  /** Default true: ends where the assistant goes on. */
  readonly addGenerationPrompt?: boolean;
  /**
  Default false. True: the contents are the user's own, all text: the template reads them (Qwen3's drops the thinking of earlier turns) and a special
  token's string in them is that token, as in transformers' `apply_chat_template`.
  */
  readonly isTrusted?: boolean;
}

/** Renders messages, in order, into segments. */
export interface Renderer {
  render(messages: readonly Message[], options?: RenderOptions): readonly Segment[];
}

const maxTemplateLength = 262_144;
const maxRenderedLength = 1_048_576;
const maxRangeLength = 100_000;
const maxRenderMs = 2000;

// A private-use character on either side; templates that use it are refused.
const mark = '\ue000';
const placeholderPattern = /\ue000(\d+)\ue000/;

/**
A Hugging Face chat template. It renders placeholders in place of the contents, so that the template's text and the messages' can be told apart
afterwards: no content, whatever it holds, is taken for a template's special token, and a template that edits text (Qwen3's drops the thinking
of earlier turns) leaves every content as it was. White space around a content does pass through the template, which may trim it.

@param template - Untrusted Jinja of a tokenizer: its length, its output, `range` and its run time are bounded.
@param variables - Special tokens and the user's arguments (`enable_thinking`).
@throws IlrError `ILR_INVALID_MODEL` when the template does not parse.
*/
export function createChatTemplate(template: string, variables: Readonly<Record<string, unknown>>): Renderer {
  if (template.length > maxTemplateLength)
    throw new IlrError(
      'ILR_INVALID_MODEL',
      `chat template: expected at most ${maxTemplateLength} characters, got ${template.length}`,
    );
  if (template.includes(mark))
    throw new IlrError('ILR_INVALID_MODEL', 'chat template: expected text without the character U+E000, got one');
  const parsed = attempt('expected a Jinja template', () => withTimeLimit(() => new Template(template)));
  return {
    render(messages, {addGenerationPrompt = true, isTrusted = false} = {}) {
      const outlined = messages.map((message, index) =>
        isTrusted ? {role: message.role, text: plainContent(message)} : outline(message, index),
      );
      const rendered = attempt('expected it to render these messages', () =>
        withTimeLimit(() =>
          evaluate(parsed, {
            ...variables,
            messages: outlined.map(({role, text}) => ({role, content: text})),
            add_generation_prompt: addGenerationPrompt,
          }),
        ),
      );
      if (rendered.length > maxRenderedLength)
        throw new IlrError(
          'ILR_INVALID_MODEL',
          `chat template: expected at most ${maxRenderedLength} characters, got ${rendered.length}`,
        );
      if (isTrusted) return [{kind: 'template', text: rendered}];
      return split(rendered, messages, outlined as readonly Outline[]);
    },
  };
}

function plainContent({role, content}: Message): string {
  if (content.every((part) => typeof part === 'string')) return content.join('');
  throw new IlrError('ILR_INVALID_ARGUMENT', `trusted messages: expected text, got token ids from the ${role}`);
}

/**
The format of base models without a template. One user message, with or without a system message: contents joined by blank lines, ending
in one. A dialogue of several turns: each content under `User:` or `Assistant:`, ending in `Assistant:` and a newline.
*/
export const plainTemplate: Renderer = {
  render(messages, {addGenerationPrompt = true} = {}) {
    const hasTurns = messages.some((message) => message.role === 'assistant');
    const header = (role: Message['role']) => (role === 'assistant' ? 'Assistant:\n' : 'User:\n');
    const segments = messages.flatMap(({role, content}): Segment[] => [
      {kind: 'template', text: hasTurns && role !== 'system' ? header(role) : ''},
      {kind: 'content', role, content},
      {kind: 'template', text: '\n\n'},
    ]);
    if (hasTurns && addGenerationPrompt) segments.push({kind: 'template', text: header('assistant')});
    return segments;
  },
};

interface Outline {
  readonly role: Message['role'];
  /** What the template sees: the content's outer white space around a placeholder. */
  readonly text: string;
  /** The content without that white space. */
  readonly core: readonly (string | Int32Array)[];
}

function outline({role, content}: Message, index: number): Outline {
  const core = content.filter((part) => part.length > 0);
  const first = core[0];
  const lead = typeof first === 'string' ? (/^\s*/.exec(first)?.[0] ?? '') : '';
  if (lead) core[0] = (first as string).slice(lead.length);
  const last = core.at(-1);
  const kept = typeof last === 'string' ? last.trimEnd() : '';
  const trail = typeof last === 'string' ? last.slice(kept.length) : '';
  if (trail) core[core.length - 1] = kept;
  return {role, text: `${lead}${mark}${index}${mark}${trail}`, core};
}

function split(rendered: string, messages: readonly Message[], outlined: readonly Outline[]): Segment[] {
  // Odd places of the split hold the captured numbers.
  const parts = rendered.split(new RegExp(placeholderPattern, 'g'));
  const order = parts.filter((_, i) => i % 2 === 1).map(Number);
  const isInOrder = order.length === messages.length && order.every((index, i) => index === i);
  if (!isInOrder || parts.some((part, i) => i % 2 === 0 && part.includes(mark))) throw lostContent(order, messages);
  return parts.map((part, i): Segment => {
    if (i % 2 === 0) return {kind: 'template', text: part};
    const {role, core} = outlined[Number(part)] as Outline;
    return {kind: 'content', role, content: core};
  });
}

function lostContent(order: readonly number[], messages: readonly Message[]): IlrError {
  const missing = messages.findIndex((_, index) => !order.includes(index));
  const what =
    missing < 0
      ? `the messages' contents in the order ${order.join(', ')}`
      : `none for message ${missing} (${messages[missing]?.role})`;
  return new IlrError(
    'ILR_INVALID_MODEL',
    `chat template: expected it to write the content of each of the ${messages.length} messages once and in order, got ${what}; leave out what the template cannot take (a system prompt, for example), or set template: plain for this agent`,
  );
}

function attempt<T>(expected: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new IlrError('ILR_INVALID_MODEL', `chat template: ${expected}, got: ${reason}`, {cause});
  }
}

/**
What every template finds. `Template.render` would set the library's own, whose `range` has no bound and whose `strftime_now` makes a prompt of
today's date: a prompt depends on its arguments alone.
*/
const globals = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  tools: null,
  documents: null,
  range: boundedRange,
  raise_exception: raiseException,
};

function evaluate(template: Template, variables: Readonly<Record<string, unknown>>): string {
  const environment = new Environment();
  for (const [name, value] of Object.entries({...globals, ...variables})) environment.set(name, value);
  return String(boundedInterpreter(environment).run(template.parsed).value);
}

/** V8 ends the process, and throws nothing, when a replacement in a very long text has too many places: no value may grow that far. */
function boundedInterpreter(environment: Environment): Interpreter {
  const interpreter = new Interpreter(environment);
  const evaluateNode = interpreter.evaluate.bind(interpreter);
  interpreter.evaluate = (...args: unknown[]) => {
    const result = evaluateNode(...args);
    const {value} = result;
    const length = typeof value === 'string' || Array.isArray(value) ? value.length : 0;
    if (length > maxRenderedLength)
      throw new Error(`expected values of at most ${maxRenderedLength} characters or entries, got ${length}`);
    return result;
  };
  return interpreter;
}

const sandbox = createContext({work: undefined as unknown});
const runWork = new Script('work()');

/** V8's watchdog ends work that does not come back, loops inside the template included. */
function withTimeLimit<T>(work: () => T): T {
  sandbox.work = work;
  return runWork.runInContext(sandbox, {timeout: maxRenderMs}) as T;
}

function boundedRange(...bounds: readonly number[]): number[] {
  const [start = 0, stop = 0, step = 1] = bounds.length > 1 ? bounds : [0, ...bounds];
  const count = Math.max(0, Math.ceil((stop - start) / step));
  if (!(count <= maxRangeLength))
    throw new Error(`expected range() of at most ${maxRangeLength} numbers, got ${count}`);
  return Array.from({length: count}, (_, i) => start + i * step);
}

function raiseException(message: unknown): never {
  throw new Error(String(message));
}
