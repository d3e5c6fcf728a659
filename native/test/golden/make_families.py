"""Makes the golden files of the model families beside it; README.md says what each holds.

    python native/test/golden/make_families.py        (needs torch, transformers and safetensors)

Every family is a tiny model written by transformers, with each parameter drawn (norms and biases too) so that attention is
peaked, a window of 8 where it has one, and sequences far beyond that and beyond the context that scaling starts from.
"""

import json
import math
import sys

import safetensors.torch
import torch
import transformers

import make
from make import HERE, VOCABULARY
from plain_model import forward

SHARED = dict(vocab_size=VOCABULARY, hidden_size=24, intermediate_size=32, num_attention_heads=4, num_key_value_heads=2,
              num_hidden_layers=2, max_position_embeddings=128, bos_token_id=None, pad_token_id=None)
LLAMA3 = dict(rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)
GEMMA = dict(head_dim=8, query_pre_attn_scalar=6, sliding_window=8, tie_word_embeddings=True, rms_norm_eps=1e-6)
ALTERNATING = ["sliding_attention", "full_attention"]


def plain(theta):
    return {"rope_type": "default", "rope_theta": theta}


# name: config, dtype of the file, largest shard, scale of q and k (of q_norm and k_norm where there are some).
FAMILIES = {
    "llama3-fp16": (transformers.LlamaConfig(**SHARED, tie_word_embeddings=False, eos_token_id=[3, 7, 11],
                                             rope_parameters=LLAMA3), torch.float16, "1GB", 1.75),
    "mistral-window": (transformers.MistralConfig(**SHARED, tie_word_embeddings=False, eos_token_id=3, sliding_window=8,
                                                  head_dim=6, rope_parameters=plain(10000.0)), torch.float32, "20KB", 1.6),
    "qwen2-window": (transformers.Qwen2Config(**SHARED, tie_word_embeddings=True, eos_token_id=3, use_sliding_window=True,
                                              sliding_window=8, max_window_layers=1, rope_parameters=plain(1000.0)),
                     torch.bfloat16, "1GB", 1.6),
    "qwen3": (transformers.Qwen3Config(**SHARED, head_dim=8, tie_word_embeddings=False, eos_token_id=[3, 7],
                                       use_sliding_window=True, sliding_window=8, layer_types=ALTERNATING[::-1],
                                       rope_parameters=plain(5000.0)), torch.float32, "1GB", 1.7),
    "gemma2": (transformers.Gemma2Config(**SHARED, **GEMMA, eos_token_id=[1, 3], attn_logit_softcapping=6.0,
                                         final_logit_softcapping=4.0, rope_parameters=plain(10000.0)),
               torch.bfloat16, "1GB", 1.8),
    "gemma3": (transformers.Gemma3TextConfig(**SHARED, **GEMMA, eos_token_id=[1, 3], layer_types=ALTERNATING,
                                             rope_parameters={"full_attention": {"rope_type": "linear", "factor": 4.0,
                                                                                 "rope_theta": 5000.0},
                                                              "sliding_attention": plain(100.0)}),
               torch.float32, "1GB", 1.5),
}
# Of the weights, the batch and the greedy prompts: chosen so that attention is peaked, float32 gradients are well
# conditioned (below) and no greedy step is near a tie.
SEEDS = {"llama3-fp16": (4, 7, 1), "mistral-window": (1, 2, 1), "qwen2-window": (1, 1, 2), "qwen3": (3, 6, 1),
         "gemma2": (1, 2, 1), "gemma3": (1, 1, 1)}
PROMPTS, GREEDY_TOKENS = [4, 13], 64
LEAST_MARGIN = 1e-3


def scale_of(name, shape, config, sharpness):
    """Standard deviation of a weight: contributions to the residual stream near 1, logits near 2."""
    if "q_proj" in name or "k_proj" in name:
        return 0.5 if name.endswith("bias") else sharpness / math.sqrt(config.hidden_size)
    if name.endswith("bias"):
        return 1.0
    if "embed_tokens" in name:
        return 1 / math.sqrt(config.hidden_size) if config.model_type.startswith("gemma") else 1.0
    if "lm_head" in name:
        return 2.0 / math.sqrt(config.hidden_size)
    return 1.3 / math.sqrt(shape[-1])


def norm_range(name, config, sharpness):
    if "q_norm" in name or "k_norm" in name:
        return sharpness * 0.7, sharpness * 1.3
    if name == "model.norm.weight" and config.tie_word_embeddings:
        return (1.2, 2.4) if config.model_type.startswith("gemma") else (0.2, 0.5)
    return 0.5, 1.5


def draw(model, seed, sharpness):
    config, generator = model.config, torch.Generator().manual_seed(seed)
    one = 1.0 if config.model_type.startswith("gemma") else 0.0  # gemma's norms scale by 1 + w
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if "norm" in name:
                parameter.uniform_(*norm_range(name, config, sharpness), generator=generator).sub_(one)
            else:
                parameter.normal_(0, scale_of(name, parameter.shape, config, sharpness), generator=generator)


def write_model(name, seed, folder):
    """The folder as transformers writes it, read again in float32: the model and its weights, a tied head once."""
    config, dtype, shard, sharpness = FAMILIES[name]
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    draw(model, seed, sharpness)
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tied = config.tie_word_embeddings
    return model, {n: w.detach().clone() for n, w in model.state_dict().items() if not (tied and n == "lm_head.weight")}


def logits_of(model, seed):
    """Logits of two sequences, the mean largest attention weight, and what the plain model misses by."""
    generator = torch.Generator().manual_seed(seed)
    weights = {n: w.detach() for n, w in model.state_dict().items()}
    tensors, peaks, worst = {}, [], 0.0
    for i, length in enumerate([100, 9]):
        ids = torch.randint(0, VOCABULARY, (length,), generator=generator)
        with torch.no_grad():
            out = model(ids[None], output_attentions=True)
        worst = max(worst, float((forward(weights, model.config, ids) - out.logits[0]).abs().max() / out.logits.abs().max()))
        peaks += [float(p) for layer in out.attentions for p in layer[0, :, 8:].amax(-1).flatten()]
        tensors[f"{i}.ids"], tensors[f"{i}.logits"] = ids.to(torch.int32), out.logits[0].contiguous()
    return tensors, sum(peaks) / len(peaks), worst


def greedy_of(model, seed):
    """Greedy continuations of two prompts, and the smallest lead of a chosen token over the next."""
    generator = torch.Generator().manual_seed(seed)
    tensors, margins = {}, []
    for i, length in enumerate(PROMPTS):
        ids = torch.randint(0, VOCABULARY, (length,), generator=generator).tolist()
        for _ in range(GREEDY_TOKENS):
            with torch.no_grad():
                first, second = model(torch.tensor([ids])).logits[0, -1].topk(2).values
                ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
            margins.append(float(first - second))
        tensors[f"greedy.{i}.prompt"] = torch.tensor(ids[:length], dtype=torch.int32)
        tensors[f"greedy.{i}.completion"] = torch.tensor(ids[length:], dtype=torch.int32)
    return tensors, min(margins)


def main(names):
    torch.set_num_threads(1)
    for name in names:
        weights_seed, batch_seed, greedy_seed = SEEDS[name]
        model, weights = write_model(name, weights_seed, HERE / name)
        tensors, peak, plain_error = logits_of(model, weights_seed + 1000)
        greedy, margin = greedy_of(model, greedy_seed + 2000)
        assert peak > 0.38, (name, peak)
        assert plain_error < 1e-5, (name, plain_error)
        assert margin > LEAST_MARGIN, (name, margin)
        safetensors.torch.save_file({**tensors, **greedy}, HERE / f"{name}.logits.safetensors")
        error, _, _ = make.write_gradients(name, model.config, weights, "dapo", batch_seed + 3000)
        assert error < 3e-6, (name, error)
        print(f"{name}: {sum(w.numel() for w in weights.values())} parameters, mean largest attention weight {peak:.2f}, "
              f"the plain model misses transformers by {plain_error:.1e}, float32 gradients miss float64 ones by {error:.1e}, "
              f"smallest greedy lead {margin:.1e}")


if __name__ == "__main__":
    print(json.dumps(dict(torch=torch.__version__, transformers=transformers.__version__)))
    main(sys.argv[1:] or FAMILIES)
