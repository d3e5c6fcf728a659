// Whether adapters saved here load in PEFT with equal logits, and merged models in transformers. Not part of the tests: it
// needs Python with torch, transformers and peft.
//   node scripts/check-peft.mjs <python>
import {spawnSync} from 'node:child_process';
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {NativePolicy} from '../dist/src/index.js';

const golden = fileURLToPath(new URL('../native/test/golden/', import.meta.url));
const folder = await mkdtemp(path.join(tmpdir(), 'ilr-peft-'));
const python = process.argv[2] ?? 'python3';
const cases = {
  'qwen2-tied': {rank: 4, alpha: 10},
  'llama-untied': {rank: 3, alpha: 5, rankStabilized: true, targetModules: ['k_proj', 'o_proj', 'gate_proj']},
  mistral: {rank: 4, alpha: 10},
  qwen3: {rank: 4, alpha: 10},
  gemma2: {rank: 4, alpha: 10},
  gemma3_text: {rank: 3, alpha: 5, rankStabilized: true},
};

/** The families without a golden model: tiny random ones of transformers. */
const make = `
import pathlib, sys, torch, transformers as T
torch.manual_seed(0)
base = dict(vocab_size=61, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=12,
            max_position_embeddings=64, initializer_range=0.3, eos_token_id=3, bos_token_id=None, pad_token_id=None)
windowed = dict(sliding_window=8)
gemma = dict(windowed, query_pre_attn_scalar=12)
for name, config, model, more in [
    ("mistral", T.MistralConfig, T.MistralForCausalLM, windowed), ("qwen3", T.Qwen3Config, T.Qwen3ForCausalLM, {}),
    ("gemma2", T.Gemma2Config, T.Gemma2ForCausalLM, gemma), ("gemma3_text", T.Gemma3TextConfig, T.Gemma3ForCausalLM, gemma)]:
    made = model(config(**{**base, **more}))
    with torch.no_grad():
        for key, weight in made.named_parameters():
            if "norm" in key: weight.uniform_(0.2, 0.8)
    made.save_pretrained(pathlib.Path(sys.argv[1]) / "bases" / name)
`;
const made = spawnSync(python, ['-c', make, folder], {stdio: 'inherit'});
if (made.status !== 0) process.exit(1);
const folderOf = (base) => path.join(...(base.includes('-') ? [golden] : [folder, 'bases']), base);

/** Sequences whose every next token is scored. */
const [count, length] = [8, 24];
const rows = Array.from({length: count}, (_, i) => Array.from({length}, (_, t) => (7 * i + t * t + 3 * t) % 61));
const sequences = {
  ids: Int32Array.from(rows.flat()),
  offsets: Int32Array.from({length: count + 1}, (_, i) => i * length),
};
const mask = Uint8Array.from(rows.flatMap((row) => row.map((_, t) => Number(t > 0))));
const batch = {
  prompts: {ids: Int32Array.of(0, 1), offsets: Int32Array.of(0, 2)},
  completions: {
    ...sequences,
    promptIndex: new Int32Array(count),
    mask: new Uint8Array(count * length).fill(1),
    samplerLogprobs: new Float32Array(count * length),
  },
  rewards: new Float64Array(count),
  groupIndex: new Int32Array(count),
  extraAdvantage: new Float64Array(count),
  stage: new Uint8Array(count),
  stageWeights: Float64Array.of(1),
};

for (const [base, adapter] of Object.entries(cases)) {
  const policy = await NativePolicy.load(folderOf(base), {adapter: {...adapter, seed: 5}});
  for (let i = 0; i < 5; i++) await policy.update(batch, {loss: 'nll', learningRate: 0.02});
  const [own, merged] = ['adapter', 'merged'].map((kind) => path.join(folder, base, kind));
  await mkdir(own, {recursive: true});
  await mkdir(merged);
  await policy.save(own);
  await policy.save(merged, {merge: true});
  const {logprobs} = await policy.logprobs({sequences, mask});
  const {logprobs: without} = await policy.logprobs({sequences, mask, adapter: false});
  const expected = {base: folderOf(base), rows, logprobs: [...logprobs], without: [...without]};
  await writeFile(path.join(folder, base, 'expected.json'), JSON.stringify(expected));
  await policy.dispose();
}

const check = `
import json, pathlib, sys, peft, torch, transformers
print("torch", torch.__version__, "transformers", transformers.__version__, "peft", peft.__version__)
for base in sys.argv[2:]:
    folder = pathlib.Path(sys.argv[1]) / base
    expected = json.loads((folder / "expected.json").read_text())
    ids = torch.tensor(expected["rows"])
    load = lambda path: transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    def difference(model, key):
        with torch.no_grad():
            logprobs = torch.log_softmax(model(ids).logits[:, :-1].double(), -1).gather(2, ids[:, 1:, None])[..., 0]
        return float((logprobs - torch.tensor(expected[key]).view(len(ids), -1)[:, 1:]).abs().max())
    found = {
        "adapter": difference(peft.PeftModel.from_pretrained(load(expected["base"]), folder / "adapter"), "logprobs"),
        "through the base that it names": difference(
            peft.AutoPeftModelForCausalLM.from_pretrained(folder / "adapter", dtype=torch.float32), "logprobs"),
        "merged": difference(load(folder / "merged"), "logprobs"),
        "base alone": difference(load(expected["base"]), "without"),
    }
    mutant = difference(load(expected["base"]), "logprobs")
    print(base, *(f"{name}: {value:.1e}" for name, value in found.items()), f"without the adapter: {mutant:.1e}", sep="; ")
    assert max(found.values()) < 1e-4 and mutant > 1e-2
`;
const {status} = spawnSync(python, ['-c', check, folder, ...Object.keys(cases)], {
  stdio: 'inherit',
});
await rm(folder, {recursive: true});
process.exitCode = status ?? 1;
