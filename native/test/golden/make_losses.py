"""Makes losses/ beside it: the losses' options against plain PyTorch. README.md says what it holds.

    python native/test/golden/make_losses.py        (needs torch, transformers and safetensors)

A loss is written here as its paper or TRL has it, completion by completion, and differentiated by autograd in float64 through
the plain model of make.py. Nothing is shared with the core: quantiles are torch.quantile, deviations torch.std, the unbiased
KL is the product that autograd sees.
"""

import itertools
import json
import math
import pathlib

import safetensors.torch
import torch
import transformers

from make import batch_tensors, forward, worst_error

FOLDER = pathlib.Path(__file__).parent / "losses"
SEED = 261
TEMPERATURE = 0.7
VOCABULARY = 16
CONFIG = transformers.LlamaConfig(
    vocab_size=VOCABULARY, hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2,
    num_key_value_heads=1, max_position_embeddings=32, tie_word_embeddings=False, bos_token_id=None, eos_token_id=3,
    pad_token_id=None, rms_norm_eps=1e-5, rope_parameters={"rope_type": "default", "rope_theta": 100.0})

DEFAULTS = dict(
    loss="dapo", ratio="token", epsilon_low=0.2, epsilon_high=0.28, delta=None, cispo_cap=1.6, sapo_temperature_positive=1.0,
    sapo_temperature_negative=1.05, vespo_k_positive=2.0, vespo_lambda_positive=3.0, vespo_k_negative=3.0,
    vespo_lambda_negative=2.0, max_completion_tokens=0, beta=0.0, kl="k3", kl_unbiased=False, entropy_bonus=0.0,
    top_entropy_fraction=1.0, importance_correction="none", importance_max=1.6, importance_min=0.0, off_policy_threshold=None,
    baseline="group", scale="group", std="population", std_epsilon=1e-6, old=False, stage_tokens=False, overflow=None)


def cases():
    """Name and options of each case; `old`, `stage_tokens` and `overflow` are about the batch."""
    losses = ["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"]
    for loss, ratio in itertools.product(losses, ["token", "sequence"]):
        if (loss, ratio) != ("luspo", "token"):
            yield f"{loss} {ratio}", dict(loss=loss, ratio=ratio, max_completion_tokens=9)
    yield "gspo", dict(loss="grpo", ratio="sequence", epsilon_low=3e-4, epsilon_high=4e-4)
    yield "nll", dict(loss="nll")
    for loss, ratio in [("grpo", "token"), ("dapo", "sequence"), ("luspo", "sequence"), ("bnpo", "token")]:
        yield f"{loss} {ratio} delta", dict(loss=loss, ratio=ratio, delta=1.4)
    for kl, unbiased in itertools.product(["k1", "k2", "k3"], [False, True]):
        yield f"{kl}{' unbiased' if unbiased else ''}", dict(beta=0.3, kl=kl, kl_unbiased=unbiased, old=True)
    for loss, ratio in [("grpo", "sequence"), ("luspo", "sequence"), ("dr_grpo", "token"), ("cispo", "token"),
                        ("sapo", "token"), ("vespo", "token")]:
        yield f"{loss} {ratio} kl", dict(loss=loss, ratio=ratio, beta=0.2, kl_unbiased=loss in ("grpo", "cispo"),
                                         max_completion_tokens=9)
    for loss in ["dapo", "grpo", "luspo", "vespo", "nll"]:
        yield f"{loss} bonus", dict(loss=loss, ratio="sequence" if loss == "luspo" else "token", entropy_bonus=0.4)
    for loss, ratio in [("dapo", "token"), ("grpo", "sequence"), ("cispo", "token")]:
        yield f"{loss} {ratio} top", dict(loss=loss, ratio=ratio, top_entropy_fraction=0.4)
    yield "top bonus kl", dict(top_entropy_fraction=0.4, entropy_bonus=0.3, beta=0.2)
    modes = ["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"]
    for mode, (loss, ratio) in itertools.product(modes, [("dapo", "token"), ("grpo", "sequence")]):
        yield f"{loss} {ratio} {mode}", dict(loss=loss, ratio=ratio, importance_correction=mode, importance_min=0.7, old=True)
    for mode in modes[:2]:
        yield f"vespo {mode}", dict(loss="vespo", importance_correction=mode, importance_min=0.7, old=True)
    yield "dapo off-policy", dict(off_policy_threshold=0.05)
    yield "grpo off-policy kl", dict(loss="grpo", off_policy_threshold=0.05, beta=0.2, old=True)
    for loss in ["dapo", "cispo", "vespo", "bnpo"]:
        yield f"{loss} stage tokens", dict(loss=loss, stage_tokens=True)
    for loss, ratio in [("dapo", "token"), ("grpo", "sequence"), ("cispo", "token")]:
        yield f"{loss} {ratio} overflow", dict(loss=loss, ratio=ratio, overflow="positive")
    yield "kl overflow", dict(overflow="positive", beta=0.2)
    for loss, delta in [("dapo", 1.5), ("cispo", None), ("sapo", None), ("vespo", None)]:
        yield f"{loss} overflow both", dict(loss=loss, delta=delta, overflow="both")
    yield "everything", dict(loss="grpo", delta=1.5, beta=0.2, kl="k3", kl_unbiased=True, entropy_bonus=0.2,
                             top_entropy_fraction=0.6, importance_correction="token_truncate", off_policy_threshold=0.05,
                             baseline="leave-one-out", scale="batch", std="sample", std_epsilon=1e-4, old=True)


def draw(generator):
    model = transformers.LlamaForCausalLM(CONFIG)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if "norm" in name:
                p.uniform_(0.5, 1.5, generator=generator)
            else:
                # Mild: what attention does to float32 is make.py's business.
                scale = 1 if "embed" in name else 0.4 if "lm_head" in name else 0.8 / math.sqrt(p.shape[-1])
                p.normal_(0, scale, generator=generator)
    return model


def score(weights, batch, b):
    prompt, completion = batch["prompts"][batch["prompt_index"][b]], batch["completions"][b]
    logits = forward(weights, CONFIG, torch.tensor(prompt + completion))[len(prompt) - 1: -1] / TEMPERATURE
    logprobs = torch.log_softmax(logits, -1)
    return logprobs[torch.arange(len(completion)), torch.tensor(completion)], -(logprobs.exp() * logprobs).sum(-1)


def make_batch(weights, generator):
    """3 prompts, 14 completions in 4 groups over two stages; group 2 of equal rewards, one completion masked whole."""
    def ids(count):
        return torch.randint(0, VOCABULARY, (count,), generator=generator).tolist()

    def pick(values, count):
        return [values[i] for i in torch.randint(0, len(values), (count,), generator=generator).tolist()]

    lengths = [5, 7, 3, 6, 4, 6, 2, 8, 1, 5, 6, 3, 7, 4]
    batch = dict(
        prompts=[ids(4), ids(2), ids(6)], completions=[ids(n) for n in lengths],
        prompt_index=[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 0, 1, 2],
        group_index=torch.tensor([5, 5, 5, 5, 8, 8, 8, 8, 2, 2, 2, 7, 7, 7]),
        stage=[0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1],
        rewards=torch.tensor([1.0, 0, 0.1, 0.4, 0, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.3, 1, 0], dtype=torch.float64),
        extra_advantage=torch.tensor([0, 0, 0.3, 0, 0, 0, 0, -0.2, 0, 0, 0, 0, 0, 0], dtype=torch.float64),
        baseline=torch.tensor([0.35] * 4 + [0.6] * 4 + [0.2] * 3 + [0.5] * 3, dtype=torch.float64),
        stage_tokens=torch.tensor([31.5, 24.0], dtype=torch.float64))
    batch["mask"] = [[1] * n for n in lengths]
    for b, t in [(0, 0), (1, 3), (5, 5), (9, 2), (12, 0)]:
        batch["mask"][b][t] = 0
    batch["mask"][2] = [0] * lengths[2]
    # Log-ratios: a shift of the whole completion, so that sequence ratios lie beyond both clips too, and one of each token.
    own = [0.55, -0.1, 0.0, -0.5, 0.6, -0.45, 0.1, 0.5, 0.3, -0.2, 0.1, -0.5, 0.45, 0.7]
    rows = {"old": [], "sampler": [], "ref": []}
    for b, n in enumerate(lengths):
        logprobs, _ = score(weights, batch, b)
        old = [float(lp) - own[b] - s for lp, s in zip(logprobs, pick([0, 0.02, -0.03, 0.15, -0.15, 0.5, -0.5], n))]
        rows["old"].append(old)
        rows["sampler"].append([x - s for x, s in zip(old, pick([0, 0.01, -0.02, 0.1, -0.1, 0.6, -0.5], n))])
        rows["ref"].append([float(lp) + s for lp, s in zip(logprobs, pick([0.05, -0.1, 0.4, -0.6, 1.1, -1.4], n))])
    for name, values in rows.items():
        batch[f"{name}_logprobs"] = [torch.tensor(v, dtype=torch.float32).tolist() for v in values]
    return batch


def overflowing(batch, kind):
    """Ratios of e^150 and e^-150. positive: where the advantage is positive or 0; both: where it is negative too."""
    changed = dict(batch, sampler_logprobs=[list(row) for row in batch["sampler_logprobs"]])
    for b, t, value in [(0, 2, -150.0), (3, 1, 150.0), (5, 0, -150.0), (9, 1, -150.0)] + (
            [(1, 1, -150.0), (4, 0, -150.0), (7, 2, 150.0)] if kind == "both" else []):
        changed["sampler_logprobs"][b][t] = value
    return changed


def advantages_of(batch, o):
    rewards, groups = batch["rewards"], batch["group_index"]
    correction = 1 if o["std"] == "sample" else 0
    result = torch.zeros_like(rewards)
    for i in range(len(rewards)):
        members = groups == groups[i]
        group = rewards[members]
        if o["baseline"] == "given":
            residuals = rewards - batch["baseline"]
            chosen = residuals[members] if o["scale"] == "group" else residuals
            deviation = (chosen.square().sum() / (len(chosen) - correction)).sqrt()
            residual = residuals[i]
        else:
            if group.max() - group.min() < 1e-6:
                continue
            deviation = (group if o["scale"] == "group" else rewards).std(correction=correction)
            others = members & (torch.arange(len(rewards)) != i)
            residual = rewards[i] - (rewards[others].mean() if o["baseline"] == "leave-one-out" else group.mean())
        result[i] = residual if o["scale"] == "none" else residual / (deviation + o["std_epsilon"])
    return result


def surrogate(o, advantage, logprobs, log_ratio, mean_log_ratio, importance):
    """The policy term of a completion's trained tokens, to minimise, before masks; and its ratios."""
    log_r = log_ratio if o["ratio"] == "token" else mean_log_ratio.expand(len(logprobs))
    ratio = log_r.exp()
    if o["loss"] == "cispo":
        return -ratio.clamp(max=o["cispo_cap"]).detach() * advantage * logprobs, ratio
    if o["loss"] == "sapo":
        tau = o["sapo_temperature_positive"] if advantage > 0 else o["sapo_temperature_negative"]
        return -4 / tau * torch.sigmoid(tau * (ratio - 1)) * advantage, ratio
    if o["loss"] == "vespo":
        sign = "positive" if advantage >= 0 else "negative"
        k, rate = o[f"vespo_k_{sign}"], o[f"vespo_lambda_{sign}"]
        log_w = log_ratio.clamp(-20, 20).sum() + importance.log().clamp(math.log(1e-8), 20).sum()
        log_w = log_w.clamp(math.log(1e-8), 20).detach()
        phi = torch.exp(rate + k * log_w - rate * log_w.exp())
        return -phi * advantage * logprobs, ratio
    bounded = ratio if o["delta"] is None else ratio.clamp(max=o["delta"])
    return -torch.minimum(bounded * advantage, ratio.clamp(1 - o["epsilon_low"], 1 + o["epsilon_high"]) * advantage), ratio


def divergence(o, logprobs, ref):
    d = ref - logprobs
    return {"k1": -d, "k2": d ** 2 / 2, "k3": d.exp() - d - 1}[o["kl"]]


def importance_of(o, batch, b, mask):
    difference = (torch.tensor(batch["old_logprobs"][b], dtype=torch.float64)
                  - torch.tensor(batch["sampler_logprobs"][b], dtype=torch.float64))[mask]
    level, _, kind = o["importance_correction"].partition("_")
    if level == "none":
        return torch.ones_like(difference)
    weight = difference.exp() if level == "token" else difference.sum().exp().expand(len(difference))
    if kind == "truncate":
        return weight.clamp(o["importance_min"], o["importance_max"])
    return torch.where((weight >= o["importance_min"]) & (weight <= o["importance_max"]), weight, torch.zeros_like(weight))


def normaliser(o, stage_counts, stage_tokens, own):
    tokens, completions = stage_counts
    return {"grpo": completions * own, "sapo": completions * own, "dr_grpo": completions * o["max_completion_tokens"],
            "luspo": completions, "bnpo": tokens, "nll": tokens}.get(o["loss"], stage_tokens or tokens)


def evaluate(weights, batch, o, stage_weights=(0.7, 1.3)):
    """The loss (differentiable), the report, and the margins to every edge that a rounding could cross."""
    dtype = next(iter(weights.values())).dtype
    if o["overflow"]:
        batch = overflowing(batch, o["overflow"])
    count = len(batch["completions"])
    masks = [torch.tensor(m, dtype=torch.bool) for m in batch["mask"]]
    counts = [[sum(int(masks[b].sum()) for b in range(count) if batch["stage"][b] == s),
               sum(bool(masks[b].any()) for b in range(count) if batch["stage"][b] == s)] for s in (0, 1)]
    is_policy = o["loss"] != "nll"
    advantages = (advantages_of(batch, o) + batch["extra_advantage"]) if is_policy else torch.zeros(count)
    scores = [score(weights, batch, b) for b in range(count)]
    entropies = torch.cat([scores[b][1][masks[b]] for b in range(count)]).detach()
    quantile = torch.quantile(entropies.double(), 1 - o["top_entropy_fraction"])
    margins = [float((entropies.double() - quantile).abs().min())] if o["top_entropy_fraction"] < 1 else []
    total = torch.zeros((), dtype=dtype)
    seen = {name: [] for name in ("entropy", "ratio", "low", "high", "kl", "importance", "off_policy", "d")}
    for b in range(count):
        mask, stage = masks[b], batch["stage"][b]
        own = int(mask.sum())
        if own == 0:
            continue
        logprobs, entropy = scores[b][0][mask], scores[b][1][mask]
        per_token = stage_weights[stage] / normaliser(
            o, counts[stage], float(batch["stage_tokens"][stage]) if o["stage_tokens"] else None, own)
        total = total - o["entropy_bonus"] * stage_weights[stage] / counts[stage][0] * entropy.sum()
        if not is_policy:
            total = total - per_token * logprobs.sum()
            seen["entropy"].append(entropy.detach())
            continue
        sampler = torch.tensor(batch["sampler_logprobs"][b], dtype=dtype)[mask]
        old = torch.tensor(batch["old_logprobs"][b], dtype=dtype)[mask] if o["old"] else sampler
        ref = torch.tensor(batch["ref_logprobs"][b], dtype=dtype)[mask]
        advantage, importance = advantages[b].to(dtype), importance_of(o, batch, b, mask).to(dtype)
        log_ratio = logprobs - old
        tokens, ratio = surrogate(o, advantage, logprobs, log_ratio, log_ratio.mean(), importance)
        if o["loss"] != "vespo":
            tokens = tokens * importance
        keep = entropy.detach() >= quantile.to(dtype) if o["top_entropy_fraction"] < 1 else torch.ones_like(mask[mask])
        drift = float((sampler - logprobs).detach().mean())
        dropped = o["off_policy_threshold"] is not None and advantage < 0 and drift > o["off_policy_threshold"]
        tokens = tokens[keep] * (0.0 if dropped else 1.0)
        total = total + per_token * tokens.sum()
        kl = divergence(o, logprobs, ref)
        if o["beta"] > 0:
            total = total + o["beta"] * per_token * (kl * log_ratio.exp() if o["kl_unbiased"] else kl).sum()
        if advantage == 0 and o["beta"] == 0 and o["entropy_bonus"] == 0:
            continue  # the core does not compute it, and reports on what it computed
        if o["off_policy_threshold"] is not None:
            margins.append(abs(drift - o["off_policy_threshold"]))
        edges = {"cispo": [o["cispo_cap"]], "sapo": [], "vespo": []}.get(
            o["loss"], [1 - o["epsilon_low"], 1 + o["epsilon_high"], o["delta"] or 1])
        r = ratio.detach()
        margins += [float((r - edge).abs().min()) for edge in edges]
        one = torch.ones_like(r)
        is_clipped = o["loss"] not in ("cispo", "sapo", "vespo")
        low = (r < 1 - o["epsilon_low"]) & (one * advantage < 0) & is_clipped
        high = (r > 1 + o["epsilon_high"]) & (one * advantage > 0) if is_clipped else r > o["cispo_cap"]
        if o["delta"] is not None:
            high = high | ((one * advantage < 0) & (r > o["delta"]))
        if o["loss"] in ("sapo", "vespo"):
            high = torch.zeros_like(low)
        for name, value in dict(entropy=entropy.detach(), ratio=r, low=low.to(dtype), high=high.to(dtype), kl=kl.detach(),
                                importance=importance, off_policy=one * float(dropped),
                                d=(logprobs - sampler).detach()).items():
            seen[name].append(value)
    report = {"loss": float(total.detach()), "entropy": float(torch.cat(seen["entropy"]).mean())}
    if is_policy:
        cat = {name: torch.cat(values) for name, values in seen.items()}
        report |= dict(ratio_clipped_low_fraction=float(cat["low"].mean()),
                       ratio_clipped_high_fraction=float(cat["high"].mean()))
        if not o["overflow"]:
            report |= dict(ratio_mean=float(cat["ratio"].mean()), ratio_max=float(cat["ratio"].max()),
                           sampler_kl=float((cat["d"].exp() - cat["d"] - 1).mean()),
                           sampler_max_abs_diff=float(cat["d"].abs().max()))
        if o["beta"] > 0:
            report |= dict(kl=float(cat["kl"].mean()))
        if o["importance_correction"] != "none":
            report |= dict(importance_mean=float(cat["importance"].mean()), importance_max=float(cat["importance"].max()))
        if o["off_policy_threshold"] is not None:
            report |= dict(off_policy_dropped_fraction=float(cat["off_policy"].mean()))
        if o["top_entropy_fraction"] < 1:
            report |= dict(entropy_dropped_fraction=float((entropies.double() < quantile).double().mean()))
    return total, report, min(margins, default=1.0)


def gradients(weights, batch, o):
    leaves = {name: w.detach().clone().requires_grad_() for name, w in weights.items()}
    loss, report, margin = evaluate(leaves, batch, o)
    loss.backward()
    return {name: leaf.grad for name, leaf in leaves.items()}, report, margin


def attempt(seed):
    generator = torch.Generator().manual_seed(seed)
    model = draw(generator)
    weights = {n: w.detach().clone() for n, w in model.state_dict().items()}
    weights64 = {n: w.double() for n, w in weights.items()}
    batch = make_batch(weights64, generator)
    return model, weights, weights64, batch


def conditioning(seed):
    """What float32 alone costs in the worst case and tensor, and the smallest margin. Overflowing ratios need float64."""
    _, weights, weights64, batch = attempt(seed)
    worst, worst_name, margin = 0.0, "", 1.0
    for name, changes in cases():
        o = {**DEFAULTS, **changes}
        exact, _, edge = gradients(weights64, batch, o)
        margin = min(margin, edge)
        if not o["overflow"]:
            error = worst_error(gradients(weights, batch, o)[0], exact)
            if error > worst:
                worst, worst_name = error, name
        if worst > 3e-6 or margin < 1e-3 or min(float(g.norm()) for g in exact.values()) < 1e-3:
            return worst, name, 0.0
    return worst, worst_name, margin


def main():
    torch.set_num_threads(1)
    worst, name, margin = conditioning(SEED)
    assert margin > 0, (worst, name)
    model, weights, weights64, batch = attempt(SEED)
    model.save_pretrained(FOLDER)
    (FOLDER / "generation_config.json").unlink(missing_ok=True)
    names = sorted(weights)
    tensors = {k: v for k, v in batch_tensors(batch).items() if not k.startswith("option.")}
    for kind in ("old", "ref"):
        tensors[f"batch.{kind}_logprobs"] = torch.tensor(sum(batch[f"{kind}_logprobs"], []), dtype=torch.float32)
    tensors |= {f"batch.{k}": batch[k] for k in ("baseline", "stage_tokens")}
    for kind in ("positive", "both"):
        tensors[f"batch.sampler_logprobs.{kind}"] = torch.tensor(
            sum(overflowing(batch, kind)["sampler_logprobs"], []), dtype=torch.float32)
    metadata = {}
    for name, changes in cases():
        o = {**DEFAULTS, **changes}
        grads, report, _ = gradients(weights64, batch, o)
        tensors[f"grad.{name}"] = torch.cat([grads[n].flatten() for n in names])
        metadata[name] = json.dumps(dict(options={k: v for k, v in o.items() if v is not None}, report=report))
    for baseline, scale, std in itertools.product(["group", "leave-one-out", "given"], ["group", "batch", "none"],
                                                  ["population", "sample"]):
        o = {**DEFAULTS, "baseline": baseline, "scale": scale, "std": std, "std_epsilon": 1e-4}
        tensors[f"advantages.{baseline} {scale} {std}"] = advantages_of(batch, o)
    safetensors.torch.save_file({k: v.contiguous() for k, v in tensors.items()}, FOLDER / "cases.safetensors",
                                {f"case.{k}": v for k, v in metadata.items()})
    print(f"{len(metadata)} cases; float32 gradients of this script miss its float64 ones by {worst:.1e} at most; "
          f"nothing lies within {margin:.1e} of an edge")


if __name__ == "__main__":
    main()
