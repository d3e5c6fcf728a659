import {readFile} from 'node:fs/promises';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {IlrError} from '../../src/errors.js';
import {loadAddon} from '../../src/native/addon.js';
import type {Addon} from '../../src/native/addon-types.js';
import {toIlrError} from '../../src/native/call.js';
import {NativePolicy} from '../../src/native/native-policy.js';
import {NativeRuntime} from '../../src/native/runtime.js';
import {cpuRuntime, temporaryFolder, tinyPolicy} from '../helpers/native.js';
import {collect, ragged, streams, tinyConfigs, trainingBatch} from '../helpers/tiny-model.js';

/** The names that a caller may pass are those of the interfaces: each of them is read, and no other is let through. */

// biome-ignore lint/suspicious/noExplicitAny: what a JavaScript caller may pass
type Wrong = any;

/** Names of the fields of an interface, those that it inherits and those of an inner literal type at `inner` included. */
async function fieldsOf(file: string, name: string, inner?: string): Promise<string[]> {
  const source = await readFile(fileURLToPath(new URL(`../../../src/${file}`, import.meta.url)), 'utf8');
  const found = new RegExp(`interface ${name}(?: extends ([\\w, ]+?))? \\{\\n([\\s\\S]*?)\\n\\}`).exec(source);
  if (!found) throw new Error(`src/${file} has no interface ${name}`);
  const inherited = await Promise.all(
    (found[1] ?? '')
      .split(', ')
      .filter(Boolean)
      .map((base) => fieldsOf(file, base)),
  );
  const indent = inner === undefined ? '  ' : '    ';
  let body = found[2] as string;
  if (inner !== undefined) body = body.slice(body.indexOf(`  readonly ${inner}`), body.indexOf('\n  };'));
  const own = [...body.matchAll(/^( +)readonly (\w+)\??:/gm)].filter(([, space]) => space === indent);
  return [...inherited.flat(), ...own.map(([, , field]) => field as string)];
}

const request = {
  prompts: ragged([[3, 7, 11]]),
  samplesPerPrompt: 1,
  streams: streams(1),
  maxNewTokens: 2,
  temperature: 1,
  stopIds: [1],
};
const scoring = {sequences: ragged([[3, 7]]), mask: Uint8Array.of(0, 1)};
const batch = trainingBatch(
  [[3, 7]],
  [
    {prompt: 0, ids: [4, 9], reward: 1},
    {prompt: 0, ids: [5], reward: 0},
  ],
);
const options = {loss: 'dapo', learningRate: 1e-3} as const;

interface Taker {
  readonly file: string;
  readonly interface: string;
  readonly inner?: string;
  /** Calls with `change` in the object that the interface describes. */
  call(policy: NativePolicy, change: Wrong, t: ExecutionContext): Promise<unknown>;
}

const takers: Record<string, Taker> = {
  'generate(request)': {
    file: 'policy.ts',
    interface: 'GenerateRequest',
    call: (policy, change) => collect(policy.generate({...request, ...change})),
  },
  'generate({prompts})': {
    file: 'policy.ts',
    interface: 'RaggedIds',
    call: (policy, change) => collect(policy.generate({...request, prompts: {...request.prompts, ...change}})),
  },
  'logprobs(request)': {
    file: 'policy.ts',
    interface: 'ScoreRequest',
    call: (policy, change) => policy.logprobs({...scoring, ...change}),
  },
  'logprobs({sequences})': {
    file: 'policy.ts',
    interface: 'RaggedIds',
    call: (policy, change) => policy.logprobs({...scoring, sequences: {...scoring.sequences, ...change}}),
  },
  'update(batch)': {
    file: 'policy.ts',
    interface: 'TrainingBatch',
    call: (policy, change) => policy.update({...batch, ...change}, options),
  },
  'update({completions})': {
    file: 'policy.ts',
    interface: 'TrainingBatch',
    inner: 'completions',
    call: (policy, change) => policy.update({...batch, completions: {...batch.completions, ...change}}, options),
  },
  'update(batch, options)': {
    file: 'policy.ts',
    interface: 'UpdateOptions',
    call: (policy, change) => policy.update(batch, {...options, ...change}),
  },
  'save(folder, options)': {
    file: 'policy.ts',
    interface: 'SaveOptions',
    call: async (policy, change, t) => policy.save(await temporaryFolder(t), change),
  },
  'NativePolicy.create(config, options)': {
    file: 'native/native-policy.ts',
    interface: 'NativeCreateOptions',
    call: async (_, change) =>
      NativePolicy.create(tinyConfigs.llama, {runtime: await cpuRuntime(), seed: 1, ...change}),
  },
  'NativePolicy.load(folder, options)': {
    file: 'native/native-policy.ts',
    interface: 'NativeLoadOptions',
    call: async (_, change) => NativePolicy.load('/nowhere', {runtime: await cpuRuntime(), ...change}),
  },
  'NativeRuntime.open(options)': {
    file: 'native/runtime.ts',
    interface: 'NativeRuntimeOptions',
    call: (_, change) => NativeRuntime.open({threads: 1, ...change}),
  },
};

for (const [name, taker] of Object.entries(takers)) {
  test(`${name} reads every field of ${taker.interface} and refuses any other, naming the nearest`, async (t) => {
    const policy = await tinyPolicy();
    const fields = await fieldsOf(taker.file, taker.interface, taker.inner);
    t.true(fields.length > 0);
    for (const field of fields) {
      const wrong = taker.call(policy, {[field]: Symbol('of no use anywhere')}, t);
      const error = await t.throwsAsync(wrong, {instanceOf: IlrError, code: 'ILR_INVALID_ARGUMENT'}, field);
      t.regex(error?.message ?? '', new RegExp(`\\b${field}\\b.*: expected `), `${field} is named`);

      const misspelt = `${field.slice(0, 1)}${field.slice(2)}`;
      if (field.length < 4 || fields.includes(misspelt)) continue;
      const unknown = taker.call(policy, {[misspelt]: undefined}, t);
      const {message} = (await t.throwsAsync(unknown, {instanceOf: IlrError, code: 'ILR_INVALID_ARGUMENT'})) as Error;
      t.true(message.includes(`unknown name "${misspelt}"; did you mean "${field}"?`), message);
    }
    const far = await t.throwsAsync(taker.call(policy, {'\u0007zzzzzzzzzzzzzzzz': 1}, t), {
      code: 'ILR_INVALID_ARGUMENT',
    });
    t.regex(far?.message ?? '', /unknown name "\\u0007z+" \(the names are /);
    await policy.dispose();
  });
}

test("LibTorch's own refusal is one line, with all it said on cause", (t) => {
  const error = toIlrError(t.throws(() => (loadAddon() as Addon).selfTestError()));
  t.is(error.code, 'ILR_TORCH');
  t.regex(error.message, /^The size of tensor a \(2\) must match the size of tensor b \(3\)[^\n]*$/);
  const cause = error.cause as Error;
  t.true(cause.message.startsWith(error.message));
  t.regex(cause.message, /\nException raised from .*\n/, 'the C++ backtrace');
});

test('options that are no plain object, and callbacks that are no functions, are refused', async (t) => {
  const policy = await tinyPolicy();
  const refused = {instanceOf: IlrError, code: 'ILR_INVALID_ARGUMENT'};
  const throwing = {
    get runtime(): never {
      throw new Error('a getter');
    },
  };
  for (const wrong of [null, 5, 'text', [], () => {}, throwing] as Wrong[]) {
    await t.throwsAsync(NativePolicy.load('/nowhere', wrong), refused);
    await t.throwsAsync(NativePolicy.create(tinyConfigs.llama, wrong), refused);
    if (wrong !== throwing) await t.throwsAsync(NativeRuntime.open(wrong), refused);
    if (wrong !== throwing) await t.throwsAsync(policy.save('/nowhere', wrong), refused);
  }
  await t.throwsAsync(collect(policy.generate({...request, onToken: 5 as Wrong})), refused);
  await t.throwsAsync(NativePolicy.create(tinyConfigs.llama, {seed: 1, runtime: {} as Wrong}), refused);
  await t.throwsAsync(policy.logprobs({...scoring, signal: Object.create(AbortSignal.prototype)}), refused);
  await t.notThrowsAsync(collect(policy.generate({...request, onToken: undefined})));
});
