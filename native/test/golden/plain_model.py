"""The decoder of every family in plain PyTorch, one sequence at a time, in the dtype of its weights: the reference in float64,
where transformers computes norms, softmax and rotations in float32."""

import math

import torch


def windows_of(config):
    """[L] keys that a query of each layer sees, its own included; None: every key up to its own."""
    if config.model_type == "mistral":
        return [config.sliding_window] * config.num_hidden_layers
    kinds = getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers
    return [config.sliding_window if kind == "sliding_attention" else None for kind in kinds]


def rope_of(config, window):
    """The rotary settings of a layer: gemma3_text has others where there is a window."""
    rope = config.rope_parameters
    return rope.get("full_attention" if window is None else "sliding_attention", rope)


def frequencies_of(rope, width, dtype):
    frequencies = rope["rope_theta"] ** (-torch.arange(0, width, 2, dtype=dtype) / width)
    if rope["rope_type"] == "linear":
        return frequencies / rope["factor"]
    if rope["rope_type"] == "llama3":
        turns = rope["original_max_position_embeddings"] * frequencies / (2 * math.pi)
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        kept = ((turns - low) / (high - low)).clamp(0, 1)
        return kept * frequencies + (1 - kept) * frequencies / rope["factor"]
    return frequencies


def rotate(x, rope):
    """Rotary positions on [T, heads, D], first half with second half."""
    tokens, _, width = x.shape
    angles = torch.arange(tokens, dtype=x.dtype)[:, None] * frequencies_of(rope, width, x.dtype)
    cos, sin = torch.cos(angles)[:, None], torch.sin(angles)[:, None]
    first, second = x[..., : width // 2], x[..., width // 2:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def attention_mask(tokens, window, dtype):
    """0 where a query sees a key, -inf elsewhere: [T, T]."""
    mask = torch.full((tokens, tokens), -math.inf, dtype=dtype).triu(1)
    return mask if window is None else mask + torch.full((tokens, tokens), -math.inf, dtype=dtype).tril(-window)


def bend(x, softcap):
    return x if softcap is None else softcap * torch.tanh(x / softcap)


def forward(weights, config, ids):
    """Logits [T, V] of one sequence, in the dtype of the weights."""
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    is_gemma = config.model_type.startswith("gemma")
    divisor = math.sqrt(config.query_pre_attn_scalar if is_gemma else width)
    score_softcap = config.attn_logit_softcapping if config.model_type == "gemma2" else None

    def norm(x, name):
        weight = weights[name] + 1 if is_gemma else weights[name]
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + config.rms_norm_eps) * weight

    x = weights["model.embed_tokens.weight"][ids]
    if is_gemma:
        x = x * math.sqrt(config.hidden_size)
    tokens = len(ids)
    for layer, window in enumerate(windows_of(config)):
        at = f"model.layers.{layer}."

        def project(y, part):
            bias = weights.get(f"{at}{part}.bias")
            z = y @ weights[f"{at}{part}.weight"].T
            return z if bias is None else z + bias

        def heads_of(y, part, count):
            z = project(y, f"self_attn.{part}_proj").view(tokens, count, width)
            return norm(z, f"{at}self_attn.{part}_norm.weight") if f"{at}self_attn.{part}_norm.weight" in weights else z

        def leave(y, name):
            return norm(y, f"{at}{name}.weight") if is_gemma else y

        y = norm(x, f"{at}input_layernorm.weight")
        rope = rope_of(config, window)
        q, k = rotate(heads_of(y, "q", heads), rope), rotate(heads_of(y, "k", kv_heads), rope)
        v = heads_of(y, "v", kv_heads)
        mixed = []
        for head in range(heads):
            kv = head // (heads // kv_heads)
            scores = bend(q[:, head] @ k[:, kv].T / divisor, score_softcap) + attention_mask(tokens, window, x.dtype)
            mixed.append(torch.softmax(scores, -1) @ v[:, kv])
        x = x + leave(project(torch.cat(mixed, -1), "self_attn.o_proj"), "post_attention_layernorm")
        y = norm(x, f"{at}{'pre_feedforward' if is_gemma else 'post_attention'}_layernorm.weight")
        gate = project(y, "mlp.gate_proj")
        gated = torch.nn.functional.gelu(gate, approximate="tanh") if is_gemma else torch.nn.functional.silu(gate)
        x = x + leave(project(gated * project(y, "mlp.up_proj"), "mlp.down_proj"), "post_feedforward_layernorm")
    head = weights["model.embed_tokens.weight" if config.tie_word_embeddings else "lm_head.weight"]
    return bend(norm(x, "model.norm.weight") @ head.T, config.final_logit_softcapping if is_gemma else None)
