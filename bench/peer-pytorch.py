"""The peer of speed.mjs: the same models and workloads in PyTorch and transformers, one thread, float32.

    python bench/peer-pytorch.py [--device cuda] [--out bench/results/speed-pytorch.json]     # needs torch and transformers

generate: model.generate with a key-value cache, 24 prompts of 25 tokens, 8 samples each, 40 tokens long.
logprobs: 48 sequences of 70 tokens. update: 48 completions of 40 to 50 tokens behind their prompts of 25, padded as TRL
does, forward, clipped surrogate, backward, AdamW; tokens are completion tokens, as in speed.mjs.
floor: the rate of the model's matrix products alone (2 FLOP per weight and token forward, 6 in training) at the fastest
float32 product measured here, that of oneDNN; nothing that computes them all can be faster.
"""

import argparse
import json
import os
import statistics
import subprocess
import time

import torch
import transformers

ROUNDS = 7
DEVICE = "cpu"
SHARED = dict(
    vocab_size=114, hidden_size=96, intermediate_size=256, num_attention_heads=4, max_position_embeddings=512,
    rms_norm_eps=1e-6, hidden_act="silu", tie_word_embeddings=True, initializer_range=0.1,
)
CONFIGS = {
    "qwen2": transformers.Qwen2Config(**SHARED, num_hidden_layers=4, num_key_value_heads=2),
    "llama": transformers.LlamaConfig(**SHARED, num_hidden_layers=3, num_key_value_heads=4),
}


def ids(length, start):
    return [(start * 31 + i * 17) % 114 for i in range(length)]


def wait():
    if DEVICE != "cpu":
        torch.cuda.synchronize()


def measure(call):
    call()
    wait()
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        tokens = call()
        wait()
        rates.append(tokens / (time.perf_counter() - start))
    return {"medianTokensPerSecond": round(statistics.median(rates)), "bestTokensPerSecond": round(max(rates))}


def product_rate():
    """FLOP per second of the model's widest product, best of many."""
    x, w = torch.randn(2160, 96, device=DEVICE), torch.randn(512, 96, device=DEVICE)
    best = 0.0
    products = [lambda: x @ w.t()]
    if DEVICE == "cpu":
        products.append(lambda: torch.ops.mkldnn._linear_pointwise(x, w, None, "none", [], ""))
    for product in products:
        for _ in range(60):
            wait()
            start = time.perf_counter()
            product()
            wait()
            best = max(best, 2 * 2160 * 96 * 512 / (time.perf_counter() - start))
    return best


def generate(model):
    prompts = torch.tensor([ids(25, i) for i in range(24)], device=DEVICE)

    def call():
        out = model.generate(
            prompts, attention_mask=torch.ones_like(prompts), do_sample=True, num_return_sequences=8, top_k=0,
            max_new_tokens=40, min_new_tokens=40, pad_token_id=0, eos_token_id=None,
        )
        return (out.shape[1] - 25) * out.shape[0]

    return call


def logprobs(model):
    x = torch.tensor([ids(70, i) for i in range(48)], device=DEVICE)

    def call():
        with torch.no_grad():
            logp = model(x).logits[:, :-1].log_softmax(-1)
            logp.gather(-1, x[:, 1:, None])
        return x.numel()

    return call


def update(model):
    completions = [ids(40 + i % 11, i + 100) for i in range(48)]
    width = 25 + max(map(len, completions))
    x = torch.zeros(48, width, dtype=torch.long)
    mask = torch.zeros(48, width)
    for i, completion in enumerate(completions):
        x[i, : 25 + len(completion)] = torch.tensor(ids(25, i // 8) + completion)
        mask[i, 25 : 25 + len(completion)] = 1
    x, mask = x.to(DEVICE), mask.to(DEVICE)
    attention = (torch.arange(width) < 25 + torch.tensor([[len(c)] for c in completions])).long()
    attention = attention.to(DEVICE)
    trained, advantages = mask[:, 1:], torch.tensor([1.0 if i % 2 else -1.0 for i in range(48)], device=DEVICE)[:, None]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.0, fused=True)

    def call():
        logits = model(x, attention_mask=attention).logits[:, :-1]
        logp = logits.log_softmax(-1).gather(-1, x[:, 1:, None]).squeeze(-1)
        ratio = (logp + 4).exp()
        loss = -(torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.28) * advantages) * trained).sum() / trained.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return int(trained.sum())

    return call


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    out = args.out
    global DEVICE
    DEVICE = args.device
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rate = product_rate()
    results = {}
    for name, config in CONFIGS.items():
        model = transformers.AutoModelForCausalLM.from_config(config).eval().to(DEVICE)
        weights = sum(p.numel() for p in model.parameters() if p.dim() > 1)
        results[name] = {
            "floor": {"forwardTokensPerSecond": round(rate / (2 * weights)), "trainingTokensPerSecond": round(rate / (6 * weights))},
            **{call.__name__: measure(call(model)) for call in (generate, logprobs, update)},
        }
    commit = os.environ.get("ILR_CHECK_COMMIT") or subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    with open("/proc/loadavg") as load, open("/proc/cpuinfo") as info:
        machine = {
            "cpu": next(line.split(":")[1].strip() for line in info if line.startswith("model name")),
            "loadAverage": float(load.read().split()[0]),
        }
    report = {
        "command": "python bench/peer-pytorch.py", "commit": commit, "machine": machine, "torch": torch.__version__, "device": DEVICE,
        "transformers": transformers.__version__, "threads": 1, "rounds": ROUNDS,
        "productGflopPerSecond": round(rate / 1e9), **results,
    }
    text = json.dumps(report, indent=2)
    print(text)
    if out:
        with open(out, "w") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    main()
