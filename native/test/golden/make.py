"""Makes the golden files beside it; README.md says what each holds and which versions made them.

    python native/test/golden/make.py        (needs torch, transformers and safetensors)

Two references that share no code with the core: transformers' models for the logits, and plain_model.py, which
also runs in float64, where transformers does not (its norms, softmax and rotations are float32 in every dtype).
"""

import json
import math
import pathlib
import platform

import safetensors.torch
import torch
import transformers

from plain_model import forward

HERE = pathlib.Path(__file__).parent
VOCABULARY = 61
EPSILON_LOW, EPSILON_HIGH, TEMPERATURE = 0.2, 0.28, 0.7
STAGE_WEIGHTS = [0.7, 1.3]
ADAMW = dict(learning_rate=0.01, beta1=0.8, beta2=0.95, epsilon=1e-3, weight_decay=0.1, max_grad_norm=0.05, warmup_steps=2)
ADAMW_STEPS = 3

SHARED = dict(vocab_size=VOCABULARY, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
              bos_token_id=None, pad_token_id=None)
MODELS = {
    "qwen2-tied": transformers.Qwen2Config(**SHARED, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                                           tie_word_embeddings=True, eos_token_id=3, rms_norm_eps=1e-6,
                                           rope_parameters={"rope_type": "default", "rope_theta": 10000.0}),
    "llama-untied": transformers.LlamaConfig(**SHARED, hidden_size=48, intermediate_size=64, num_hidden_layers=2,
                                             tie_word_embeddings=False, eos_token_id=[3, 7], rms_norm_eps=1e-5,
                                             rope_parameters={"rope_type": "default", "rope_theta": 500.0}),
    # head_dim 16 is not hidden_size / heads; the file is bfloat16, the reference float32 arithmetic on its values.
    "llama-tied-bf16": transformers.LlamaConfig(**SHARED, hidden_size=32, intermediate_size=40, num_hidden_layers=3,
                                                head_dim=16, tie_word_embeddings=True, eos_token_id=3, rms_norm_eps=1e-5,
                                                rope_parameters={"rope_type": "default", "rope_theta": 100000.0}),
}


# Scale of q and k per model: sharp enough for a mean largest attention weight above 0.5, no sharper, since float32
# gradients lose digits with it.
SHARPNESS = {"qwen2-tied": 1.5, "llama-untied": 1.5, "llama-tied-bf16": 1.75}
# Batches whose gradients are well conditioned: float32 arithmetic alone costs less than 3e-6 of any tensor's norm, so
# that the core's bound of 1e-5 tells a mistake from rounding on any CPU.
BATCH_SEED = {"qwen2-tied": 305, "llama-untied": 309}


def scale_of(name, shape, hidden_size, sharpness):
    """Standard deviation of a weight: every contribution to the residual stream near 1, logits near 2."""
    if "q_proj" in name or "k_proj" in name:
        return 1.0 if name.endswith("bias") else sharpness / math.sqrt(hidden_size)
    if name.endswith("bias"):
        return 1.0
    if "embed_tokens" in name:
        return 1.0
    if "lm_head" in name:
        return 2.0 / math.sqrt(hidden_size)
    return 1.3 / math.sqrt(shape[-1])


def draw(model, seed, sharpness):
    generator = torch.Generator().manual_seed(seed)
    tied = model.config.tie_word_embeddings
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if name == "model.norm.weight" and tied:  # tied logits would be sqrt(C) wide otherwise
                parameter.uniform_(0.2, 0.5, generator=generator)
            elif "norm" in name:
                parameter.uniform_(0.5, 1.5, generator=generator)
            else:
                parameter.normal_(0, scale_of(name, parameter.shape, model.config.hidden_size, sharpness), generator=generator)


def advantages_of(batch):
    """Group-normalised: (R - mean) / (population std + 1e-6), exactly 0 where a group's rewards differ by less than 1e-6."""
    result = torch.zeros_like(batch["rewards"])
    for group in batch["group_index"].unique():
        members = batch["group_index"] == group
        rewards = batch["rewards"][members]
        if rewards.max() - rewards.min() >= 1e-6:
            result[members] = (rewards - rewards.mean()) / (rewards.std(correction=0) + 1e-6)
    return result


def score(weights, config, batch, b):
    """Log-probabilities and entropies [T] of completion b's tokens, of the temperature-scaled distribution."""
    prompt = batch["prompts"][batch["prompt_index"][b]]
    completion = batch["completions"][b]
    logits = forward(weights, config, torch.tensor(prompt + completion))[len(prompt) - 1: -1] / TEMPERATURE
    logprobs = torch.log_softmax(logits, -1)
    return logprobs[torch.arange(len(completion)), torch.tensor(completion)], -(logprobs.exp() * logprobs).sum(-1)


def evaluate(weights, config, batch, kind):
    """The loss (differentiable) and what a step reports: sum over stages of w_s * (sum of token losses) / (its tokens)."""
    dtype = next(iter(weights.values())).dtype
    advantages = advantages_of(batch) + batch["extra_advantage"]
    totals = [torch.zeros((), dtype=dtype) for _ in STAGE_WEIGHTS]
    counts = [0 for _ in STAGE_WEIGHTS]
    entropies, ratios, differences, signs = [], [], [], []
    for b in range(len(batch["completions"])):
        logprobs, entropy = score(weights, config, batch, b)
        mask = torch.tensor(batch["mask"][b], dtype=torch.bool)
        difference = logprobs - torch.tensor(batch["sampler_logprobs"][b], dtype=dtype)
        ratio = difference.exp()
        advantage = advantages[b].to(dtype)
        clipped = ratio.clamp(1 - EPSILON_LOW, 1 + EPSILON_HIGH)
        losses = -logprobs if kind == "nll" else -torch.minimum(ratio * advantage, clipped * advantage)
        stage = batch["stage"][b]
        totals[stage] = totals[stage] + losses[mask].sum()
        counts[stage] += int(mask.sum())
        if kind == "dapo" and advantage == 0:
            continue  # the core does not compute what cannot learn, and reports on what it computed
        entropies.append(entropy[mask].detach())
        ratios.append(ratio[mask].detach())
        differences.append(difference[mask].detach())
        signs.append(advantage.expand(int(mask.sum())))
    loss = sum(w * total / count for w, total, count in zip(STAGE_WEIGHTS, totals, counts) if count > 0)
    ratio, d, sign = torch.cat(ratios), torch.cat(differences), torch.cat(signs)
    inactive = ((ratio > 1 + EPSILON_HIGH) & (sign > 0)) | ((ratio < 1 - EPSILON_LOW) & (sign < 0))
    return loss, dict(
        loss=loss.detach(), entropy=torch.cat(entropies).mean(), ratio_mean=ratio.mean(), ratio_max=ratio.max(),
        ratio_clipped_fraction=inactive.to(dtype).mean(),
        ratio_outside_fraction=((ratio > 1 + EPSILON_HIGH) | (ratio < 1 - EPSILON_LOW)).to(dtype).mean(),
        sampler_kl=(d.exp() - d - 1).mean(), sampler_max_abs_diff=d.abs().max(), ratios=ratio)


def gradients(weights, config, batch, kind):
    leaves = {name: weight.detach().clone().requires_grad_() for name, weight in weights.items()}
    loss, report = evaluate(leaves, config, batch, kind)
    loss.backward()
    grads = {name: leaf.grad for name, leaf in leaves.items()}
    report["grad_norm"] = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in grads.values()]))
    return grads, report


def make_batch(weights, config, seed):
    """2 prompts, 10 completions in 3 groups: two stages, group 1 of equal rewards, group 2 with both prompts."""
    generator = torch.Generator().manual_seed(seed)

    def ids(count):
        return torch.randint(0, VOCABULARY, (count,), generator=generator).tolist()

    lengths = [6, 9, 3, 5, 7, 4, 8, 1, 12, 6]
    batch = dict(
        prompts=[ids(5), ids(11)],
        completions=[ids(n) for n in lengths],
        prompt_index=[0, 0, 0, 1, 1, 1, 0, 1, 0, 1],
        group_index=torch.tensor([4, 4, 4, 9, 9, 9, 2, 2, 2, 2]),
        stage=[0, 0, 0, 1, 1, 1, 1, 1, 0, 1],
        rewards=torch.tensor([1.0, 0.0, 0.1, 0.1, 0.1, 0.1, 1.0, 0.1, 0.0, 0.62], dtype=torch.float64),
        extra_advantage=torch.tensor([0, 0, 0, 0, -0.4, 0, 0, 0, 0, 0], dtype=torch.float64),
    )
    batch["mask"] = [[1] * n for n in lengths]
    for b, t in [(0, 0), (1, 3), (1, 4), (4, 6), (6, 2), (8, 0), (8, 11)]:
        batch["mask"][b][t] = 0
    batch["mask"][2] = [0] * lengths[2]  # a completion that counts for its group's mean alone
    # Ratios far on both sides of both clips, and near 1; none within 1e-3 of a clip, where float32 could fall either way.
    shifts = [0.0, 0.01, -0.02, 0.15, -0.15, 0.4, -0.4, 0.9, -0.9]
    batch["sampler_logprobs"] = []
    for b in range(len(lengths)):
        logprobs, _ = score(weights, config, batch, b)
        picks = torch.randint(0, len(shifts), (lengths[b],), generator=generator).tolist()
        batch["sampler_logprobs"].append([float(torch.tensor(float(lp) - shifts[p], dtype=torch.float32))
                                          for lp, p in zip(logprobs, picks)])
    return batch


def batch_tensors(batch):
    def ragged(prefix, rows):
        offsets = [0]
        for row in rows:
            offsets.append(offsets[-1] + len(row))
        return {f"{prefix}_ids": torch.tensor(sum(rows, []), dtype=torch.int32),
                f"{prefix}_offsets": torch.tensor(offsets, dtype=torch.int32)}

    return {
        **ragged("batch.prompt", batch["prompts"]), **ragged("batch.completion", batch["completions"]),
        "batch.prompt_index": torch.tensor(batch["prompt_index"], dtype=torch.int32),
        "batch.mask": torch.tensor(sum(batch["mask"], []), dtype=torch.uint8),
        "batch.sampler_logprobs": torch.tensor(sum(batch["sampler_logprobs"], []), dtype=torch.float32),
        "batch.rewards": batch["rewards"], "batch.group_index": batch["group_index"].to(torch.int32),
        "batch.extra_advantage": batch["extra_advantage"], "batch.stage": torch.tensor(batch["stage"], dtype=torch.uint8),
        "batch.stage_weights": torch.tensor(STAGE_WEIGHTS, dtype=torch.float64),
        "option.temperature": torch.tensor(TEMPERATURE, dtype=torch.float64),
        "option.epsilon_low": torch.tensor(EPSILON_LOW, dtype=torch.float64),
        "option.epsilon_high": torch.tensor(EPSILON_HIGH, dtype=torch.float64),
    }


def worst_error(got, expected):
    return max(float((got[n].double() - g).norm() / g.norm()) for n, g in expected.items())


def write_model(name, config, seed):
    """The model folder as transformers writes it, and its weights in float32 as the file holds them."""
    config._attn_implementation = "eager"
    model = (transformers.Qwen2ForCausalLM if config.model_type == "qwen2" else transformers.LlamaForCausalLM)(config)
    draw(model, seed, SHARPNESS[name])
    folder = HERE / name
    if name.endswith("bf16"):
        model = model.to(torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="40KB" if config.model_type == "qwen2" else "1GB")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tied = config.tie_word_embeddings
    return model, {n: w.detach().clone() for n, w in model.state_dict().items() if not (tied and n == "lm_head.weight")}


def write_logits(name, config, model, weights, seed):
    generator = torch.Generator().manual_seed(seed)
    tensors, peaks, worst = {}, [], 0.0
    for i, length in enumerate([40, 17, 1]):
        ids = torch.randint(0, VOCABULARY, (length,), generator=generator)
        with torch.no_grad():
            out = model(ids[None], output_attentions=True)
        plain = forward(weights, config, ids)
        worst = max(worst, float((plain - out.logits[0]).abs().max() / out.logits.abs().max()))
        peaks += [float(p) for layer in out.attentions for p in layer[0, :, 8:].amax(-1).flatten()]
        tensors[f"{i}.ids"], tensors[f"{i}.logits"] = ids.to(torch.int32), out.logits[0].contiguous()
    safetensors.torch.save_file(tensors, HERE / f"{name}.logits.safetensors")
    return sum(peaks) / len(peaks), worst


def write_gradients(name, config, weights, kind, seed):
    weights64 = {n: w.double() for n, w in weights.items()}
    batch = make_batch(weights64, config, seed)
    grads, report = gradients(weights64, config, batch, kind)
    ratios = report.pop("ratios")
    margin = min(float((ratios - edge).abs().min()) for edge in (1 - EPSILON_LOW, 1 + EPSILON_HIGH))
    assert margin > 1e-3, margin
    grads32, _ = gradients(weights, config, batch, kind)
    tensors = {**batch_tensors(batch), "advantages": advantages_of(batch),
               **{f"report.{k}": v.clone() for k, v in report.items()}, **{f"grad.{n}": g for n, g in grads.items()}}
    safetensors.torch.save_file({k: v.contiguous() for k, v in tensors.items()}, HERE / f"{name}.{kind}.safetensors")
    return worst_error(grads32, grads), report, batch


def write_adamw(name, config, weights, batch):
    """Three GRPO steps on one batch: clipping, warm-up (the n-th step uses lr * min(1, n / warmup)), decay on matrices."""
    leaves = {n: w.double().requires_grad_() for n, w in weights.items()}
    o = ADAMW
    groups = [dict(params=[w for w in leaves.values() if w.dim() > 1], weight_decay=o["weight_decay"]),
              dict(params=[w for w in leaves.values() if w.dim() == 1], weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=o["learning_rate"], betas=(o["beta1"], o["beta2"]), eps=o["epsilon"])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: min(1, (n + 1) / o["warmup_steps"]))
    norms, losses = [], []
    for _ in range(ADAMW_STEPS):
        optimizer.zero_grad()
        loss, _ = evaluate(leaves, config, batch, "dapo")
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(leaves.values(), o["max_grad_norm"])))
        losses.append(float(loss.detach()))
        optimizer.step()
        schedule.step()
    tensors = {f"weight.{n}": w.detach() for n, w in leaves.items()}
    tensors |= {f"option.{k}": torch.tensor(float(v), dtype=torch.float64) for k, v in o.items()}
    tensors |= {"grad_norms": torch.tensor(norms, dtype=torch.float64), "losses": torch.tensor(losses, dtype=torch.float64)}
    safetensors.torch.save_file(tensors, HERE / f"{name}.adamw.safetensors")
    return norms


def main():
    torch.set_num_threads(1)
    rows = []
    for seed, (name, config) in enumerate(MODELS.items()):
        model, weights = write_model(name, config, 100 + seed)
        peak, plain_error = write_logits(name, config, model, weights, 200 + seed)
        assert peak > 0.5, (name, peak)
        assert plain_error < 1e-5, (name, plain_error)
        rows.append(f"{name}: {sum(w.numel() for w in weights.values())} parameters, mean largest attention weight {peak:.2f}, "
                    f"the plain model misses transformers by {plain_error:.1e}")
        if name == "llama-tied-bf16":
            continue
        for kind in ["dapo", "nll"] if name == "qwen2-tied" else ["dapo"]:
            error, report, batch = write_gradients(name, config, weights, kind, BATCH_SEED[name])
            assert error < 3e-6, (name, kind, error)
            rows.append(f"{name} {kind}: float32 gradients of this script miss its float64 ones by {error:.1e}; "
                        f"{float(report['ratio_clipped_fraction']):.2f} of the tokens clipped")
        if name == "qwen2-tied":
            norms = write_adamw(name, config, weights, batch)
            rows.append(f"{name} adamw: gradient norms {', '.join(f'{n:.3f}' for n in norms)}")
    print(json.dumps(dict(python=platform.python_version(), torch=torch.__version__, transformers=transformers.__version__,
                          safetensors=safetensors.__version__)))
    print("\n".join(rows))


if __name__ == "__main__":
    main()
