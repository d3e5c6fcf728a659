// One update of a tiny model of every family (native/test/golden), saved, for transformers to be compared with:
//   node scripts/families.mjs [--output runs/families]
//   python scripts/compare-with-transformers.py runs/families
import {existsSync, mkdirSync, readdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {NativePolicy, NativeRuntime} from '../dist/src/index.js';

const golden = fileURLToPath(new URL('../native/test/golden', import.meta.url));
const length = 60;

function sequence(seed, vocabSize) {
  return Int32Array.from({length}, (_, i) => (seed * 7919 + i * 104729 + i * i * 31) % vocabSize);
}

/** A supervised step large enough that every tensor moves. */
async function learn(policy) {
  const ids = sequence(1, policy.info().vocabSize);
  const batch = {
    prompts: {ids: ids.slice(0, 20), offsets: Int32Array.of(0, 20)},
    completions: {
      ids: ids.slice(20),
      offsets: Int32Array.of(0, length - 20),
      promptIndex: Int32Array.of(0),
      mask: new Uint8Array(length - 20).fill(1),
      samplerLogprobs: new Float32Array(length - 20),
    },
    rewards: Float64Array.of(0),
    groupIndex: Int32Array.of(0),
    extraAdvantage: Float64Array.of(0),
    stage: Uint8Array.of(0),
    stageWeights: Float64Array.of(1),
  };
  await policy.update(batch, {loss: 'nll', learningRate: 0.01});
}

async function score(policy) {
  const ids = sequence(2, policy.info().vocabSize);
  const {logprobs} = await policy.logprobs({
    sequences: {ids, offsets: Int32Array.of(0, length)},
    mask: Uint8Array.from(ids, (_, i) => (i === 0 ? 0 : 1)),
  });
  return [{ids: [...ids], logprobs: [...logprobs.subarray(1)]}];
}

const {values} = parseArgs({options: {output: {type: 'string', default: 'runs/families'}}});
const output = path.resolve(values.output);
const runtime = await NativeRuntime.open({device: 'cpu'});
for (const name of readdirSync(golden)) {
  if (!existsSync(path.join(golden, name, 'config.json'))) continue;
  const folder = path.join(output, name);
  mkdirSync(folder, {recursive: true});
  const policy = await NativePolicy.load(path.join(golden, name), {runtime});
  await learn(policy);
  await policy.save(folder);
  writeFileSync(path.join(output, `logprobs-${name}.json`), JSON.stringify(await score(policy)));
  await policy.dispose();
  console.log(`${name}: updated and saved`);
}
await runtime.dispose();
console.log(`next: python scripts/compare-with-transformers.py ${values.output}`);
