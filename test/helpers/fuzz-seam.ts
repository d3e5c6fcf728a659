import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {IlrError, isErrorCode} from '../../src/errors.js';
import {toIlrError} from '../../src/native/call.js';
import {NativePolicy} from '../../src/native/native-policy.js';
import {NativeRuntime} from '../../src/native/runtime.js';
import {Random} from '../../src/random.js';
import {collect, ragged, score, streams, tinyConfigs, trainingBatch} from './tiny-model.js';

/**
Random calls of everything the seam offers, in a process of its own: a crash is a failure of whoever started it.
`node fuzz-seam.js <calls> <seed>` prints one line of JSON: how each call ended, and whether a policy that was not touched still
answers as before. What is known of a call (its methods, its options' names) is asked of the addon, so that it never falls behind.
*/

// biome-ignore lint/suspicious/noExplicitAny: everything here is deliberately of another type
type Any = any;

const [calls, seed] = process.argv.slice(2).map(Number) as [number, number];
const random = new Random({seed, purpose: 'data'});
const pick = <T>(list: readonly T[]): T => list[random.below(list.length)] as T;
const folder = await mkdtemp(path.join(tmpdir(), 'ilr-fuzz-seam-'));
const runtime = await NativeRuntime.open({threads: 1});
const witness = await NativePolicy.create(tinyConfigs.llama, {runtime, seed: 7});
const disposed = await NativePolicy.create(tinyConfigs.llama, {runtime, seed: 7});
await disposed.dispose();
const closed = await NativeRuntime.open({threads: 1});
await closed.dispose();
let policy = await NativePolicy.create(tinyConfigs.qwen2, {runtime, seed: 1});

const pairs = [
  {prompt: [3, 7], ids: Int32Array.of(4, 9, 1)},
  {prompt: [5], ids: Int32Array.of(2)},
];
const answer = async () => JSON.stringify((await score(witness, pairs)).logprobs.map((row) => [...row]));
const before = await answer();

const fail = (): never => {
  throw new Error('a trap');
};
const detach = <A extends {readonly buffer: ArrayBufferLike}>(array: A): A => {
  structuredClone(array.buffer, {transfer: [array.buffer as ArrayBuffer]});
  return array;
};
/** Typed arrays over a buffer that changed its size since. */
function resized(kind: Any, length: number): unknown {
  const bytes = kind.BYTES_PER_ELEMENT as number;
  const Resizable = ArrayBuffer as Any;
  const buffer = new Resizable(8 * bytes, {maxByteLength: 64 * bytes});
  const array = pick([() => new kind(buffer), () => new kind(buffer, 2 * bytes), () => new kind(buffer, 0, 6)])();
  buffer.resize(length * bytes);
  return array;
}
function growable(kind: Any): unknown {
  const buffer = new (SharedArrayBuffer as Any)(8, {maxByteLength: 64});
  const array = new kind(buffer);
  buffer.grow(64);
  return array;
}
const kinds: readonly Any[] = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];
const numbers = [
  ...[
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    -0,
    0,
    1,
    2,
    3,
    0.5,
    -1,
    63,
    64,
    255,
    1e308,
    5e-324,
  ],
  ...[2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 1e21],
];
const revoked = Proxy.revocable({}, {});
revoked.revoke();
/** Whatever may stand where a value is expected. Those that act do so while the addon reads. */
const values: readonly (() => unknown)[] = [
  ...[
    undefined,
    null,
    true,
    false,
    '',
    'x',
    'cpu',
    'float32',
    'grpo',
    '\ud800',
    'x'.repeat(1e5),
    5n,
    -1n,
    2n ** 64n,
  ].map((value) => () => value),
  () => pick(numbers),
  () => pick(numbers),
  () => Symbol('s'),
  () => [],
  () => [1, 2],
  () => new Array(5),
  () => ({}),
  () => ({length: 3, 0: 1}),
  () => () => 1,
  () => new Date(),
  () => new Map([[1, 2]]),
  () => Object.create(null),
  () => Object.create(AbortSignal.prototype),
  () => new (pick(kinds))(random.below(9)),
  () => Int32Array.of(0, 1, 2),
  () => Int32Array.of(0, -1, 2 ** 31 - 1),
  () => Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY),
  () => Float64Array.of(Number.NEGATIVE_INFINITY, 1),
  () => detach(new (pick(kinds))(3)),
  () => resized(pick(kinds), pick([0, 1, 3, 8, 64])),
  () => growable(pick(kinds)),
  () => new (pick(kinds))(new SharedArrayBuffer(16)),
  () => new DataView(new ArrayBuffer(8)),
  () => new ArrayBuffer(8),
  () => new Proxy({}, {get: fail}),
  () => new Proxy({}, {ownKeys: fail, has: fail}),
  () => new Proxy({}, {getPrototypeOf: fail, getOwnPropertyDescriptor: fail}),
  () => new Proxy(new Int32Array(3), {}),
  () => revoked.proxy,
  () => ({[Symbol.toPrimitive]: fail, toString: fail, toJSON: fail}),
  () => AbortSignal.abort('no'),
  () => policy,
  () => disposed,
  () => runtime,
  () => (policy as Any).native,
  () => (disposed as Any).native,
  () => class extends Int32Array {},
];
const anything = () => pick(values)();

const valid: Record<string, () => Any[]> = {
  generate: () => [
    {
      prompts: ragged([[3, 7], [5]]),
      samplesPerPrompt: 1,
      streams: streams(2),
      maxNewTokens: 2,
      temperature: 1,
      stopIds: [1],
    },
  ],
  logprobs: () => [
    {
      sequences: ragged([
        [3, 7],
        [5, 1],
      ]),
      mask: Uint8Array.of(0, 1, 0, 1),
    },
  ],
  update: () => [
    trainingBatch(
      [[3]],
      [
        {prompt: 0, ids: [4], reward: 1},
        {prompt: 0, ids: [5, 6], reward: 0},
      ],
    ),
    {loss: pick(['grpo', 'dapo', 'cispo', 'nll']), learningRate: 1e-4},
  ],
  save: () => [folder, {optimizer: pick([true, false])}],
  copyFrom: () => [policy, 0.5],
  info: () => [],
};
const opening: Record<string, () => Any[]> = {
  create: () => [{...tinyConfigs.llama}, {runtime, seed: 1}],
  load: () => [folder, {runtime}],
};

/** The names that the addon reads of the last argument of a call: an unknown one is refused with all of them. */
async function namesOf(call: () => Any): Promise<string[]> {
  const error: Any = await Promise.resolve()
    .then(() => settle(call()))
    .catch((thrown: unknown) => thrown);
  return /\(the names are ([^)]*)\)/.exec(String(error?.message))?.[1]?.split(', ') ?? [];
}

const names: Record<string, string[]> = {};
for (const [method, args] of Object.entries(valid)) {
  names[method] = await namesOf(() => {
    const all = args();
    if (typeof all.at(-1) !== 'object' || all.at(-1) instanceof NativePolicy) return undefined;
    all[all.length - 1] = {...all.at(-1), '?': 1};
    return (policy as Any)[method](...all);
  });
}

/** Replaces, adds or removes one to three things, at any depth. */
function damage(args: Any[], known: readonly string[]): Any[] {
  for (let n = 1 + random.below(3); n > 0; n--) damageOnce(args, known);
  return args;
}

function damageOnce(args: Any, known: readonly string[]): void {
  let place = args;
  for (;;) {
    const key = pick(Object.keys(place));
    if (key === undefined) return;
    const inner = Object.getOwnPropertyDescriptor(place, key)?.value; // never its getter
    if (place !== args && random.below(6) === 0) {
      decorate(place, known);
      return;
    }
    if (isPlain(inner) && random.below(4) > 0) {
      place = inner;
      continue;
    }
    if (ArrayBuffer.isView(inner) && random.below(2) > 0) {
      damageArray(inner);
      return;
    }
    try {
      place[key] = anything();
    } catch {
      // frozen, or a setter that throws
    }
    return;
  }
}

function isPlain(value: unknown): boolean {
  try {
    const isObject = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
    return isObject && Object.keys(value).length > 0 && !('dispose' in value); // the addon's own stay whole
  } catch {
    return false; // a Proxy
  }
}

/** Adds a known or unknown name, or a getter that acts in the middle of reading. */
function decorate(place: Any, known: readonly string[]): void {
  const name = random.below(4) > 0 && known.length > 0 ? pick(known) : pick(['unknown', '__proto__x', '0', 'lenght']);
  const value = Object.getOwnPropertyDescriptor(place, name)?.value;
  const get = pick([
    fail,
    () => {
      void policy.dispose().catch(() => {});
      return value;
    },
    () => {
      void policy.logprobs(valid.logprobs?.()[0]).catch(() => {});
      return value;
    },
    () => {
      detachAll(place);
      return value;
    },
    () => anything(),
  ]);
  tryTo(() => {
    if (random.below(2) > 0) place[name] = anything();
    else Object.defineProperty(place, name, {get, enumerable: true, configurable: true});
  });
}

/** Takes the arrays beside a getter away while they are being read. */
function detachAll(place: Any): void {
  for (const {value} of Object.values(Object.getOwnPropertyDescriptors(place))) {
    if (ArrayBuffer.isView(value) && value.buffer instanceof ArrayBuffer) tryTo(() => detach(value));
  }
}

function damageArray(array: Any): void {
  if (array.length === 0) return;
  const at = random.below(array.length);
  tryTo(() => {
    array[at] = typeof array[at] === 'bigint' ? 2n ** 63n : pick(numbers);
  });
}

function tryTo(act: () => void): void {
  try {
    act();
  } catch {
    // what is hostile may resist
  }
}

/** One random call, started: a method with damaged arguments, with any arguments, on another `this`, or on the addon's own object. */
function start(): unknown {
  const method = pick(Object.keys(valid));
  const way = random.below(100);
  if (way < 55) return (policy as Any)[method](...damage(valid[method]?.() ?? [], names[method] ?? []));
  if (way < 60) return (policy as Any)[method](...(valid[method]?.() ?? []));
  if (way < 70) return (pick([policy, disposed]) as Any)[pick(methodsOf(NativePolicy.prototype))](...some());
  if (way < 75) return (NativePolicy.prototype as Any)[method].call(anything(), ...(valid[method]?.() ?? []));
  if (way < 85) return raw(pick([(policy as Any).native, (disposed as Any).native, runtime.native, closed.native]));
  if (way < 95) {
    const open = pick(Object.keys(opening));
    return (NativePolicy as Any)[open](...damage(opening[open]?.() ?? [], []));
  }
  if (way < 98) return (pick([NativePolicy.load, NativePolicy.create]) as Any)(...some());
  return NativeRuntime.open(pick([anything, () => ({threads: anything()}), () => ({device: anything()})])() as Any);
}

const some = () => Array.from({length: random.below(4)}, anything);
const methodsOf = (object: object) => Object.getOwnPropertyNames(object).filter((name) => name !== 'constructor');

/** The addon's own methods promise an Error with a code, which `toIlrError` reads. `dispose` of the shared runtime would end the run. */
async function raw(native: Any): Promise<unknown> {
  const name = pick(
    methodsOf(native).filter(
      (method) => typeof native[method] === 'function' && !(native === runtime.native && method === 'dispose'),
    ),
  );
  try {
    const result = native[name](...some());
    return await (result?.promise ?? result);
  } catch (error) {
    throw toIlrError(error);
  }
}

/** Waits for whatever a call gave, and gives opened things back. */
async function settle(started: unknown): Promise<void> {
  const result: Any = await started;
  if (result?.counters !== undefined) await Promise.all([result.counters, collect(result)]);
  if (result instanceof NativePolicy && result !== witness) await result.dispose();
  if (result instanceof NativeRuntime) await result.dispose();
}

const ends: Record<string, number> = {};
const wrong: string[] = [];
async function one(): Promise<void> {
  let end = 'fine';
  try {
    await settle(start());
  } catch (error) {
    const isOurs = error instanceof IlrError && isErrorCode(error.code) && error.message.length > 0;
    end = isOurs ? error.code : 'foreign';
    if (!isOurs && wrong.length < 5) wrong.push(String((error as Any)?.stack ?? error));
  }
  ends[end] = (ends[end] ?? 0) + 1;
}

for (let done = 0; done < calls; done += 8) {
  await Promise.all(Array.from({length: 8}, one)); // side by side
  // A getter may have disposed of it.
  if ((policy as Any).disposal !== undefined) policy = await NativePolicy.create(tinyConfigs.qwen2, {runtime, seed: 1});
}
const isSane =
  (await answer()) === before && (await collect(witness.generate((valid.generate?.() ?? [])[0]))).length === 2;
const fresh = await NativePolicy.create(tinyConfigs.llama, {runtime, seed: 7});
const isSame = JSON.stringify((await score(fresh, pairs)).logprobs.map((row) => [...row])) === before;
await runtime.dispose();
await rm(folder, {recursive: true});
process.stdout.write(`${JSON.stringify({ends, wrong, isSane, isSame, names})}\n`);
