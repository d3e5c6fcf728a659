"""Golden file of the changes to a token's distribution: transformers' own logits processors, in its own order.

    python native/test/golden/make_sampling.py      (transformers 5.23.0, torch 2.13.0, safetensors; about 5 s)

Writes sampling.safetensors: N cases, each a row of logits, what was written before, options, and the distribution that
GenerationMixin._get_logits_processor leaves, in float64.
"""

import pathlib

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

VOCAB = 61

CASES = [
    {},
    {"temperature": 0.6},
    {"top_k": 1},
    {"top_k": 7, "temperature": 1.4},
    {"top_p": 0.5},
    {"top_p": 0.9, "temperature": 0.7},
    {"top_p": 1e-9},
    {"min_p": 0.1},
    {"min_p": 0.02, "temperature": 2.0},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.7, "temperature": 0.9},
    {"bias": {3: 4.0, 17: -6.5, 60: 2.25}},
    {"bad_words": [[5], [11], [0]]},
    {"bad_words": [[8, 9, 20], [9, 21], [7, 9, 22], [9, 9, 23], [4, 8, 9, 24]]},
    {"top_k": 12, "top_p": 0.8, "min_p": 0.05, "temperature": 1.2},
    {"bias": {8: 3.0, 9: -3.0, 30: 5.0}, "repetition_penalty": 1.5},
    {
        "bias": {8: 3.0, 31: 5.0},
        "repetition_penalty": 1.2,
        "bad_words": [[31], [9, 40], [2, 4]],
        "temperature": 0.8,
        "top_k": 20,
        "top_p": 0.95,
        "min_p": 0.01,
    },
]
# Token 9 twice, so that a penalty which were applied per occurrence would show. It ends with 4 8 9.
HISTORY = [1, 9, 33, 50, 2, 4, 8, 9]


def tiny_model():
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1
        )
    )


def distribution(model, logits, case):
    sampled = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, **{k: v for k, v in case.items() if k not in ("bias", "bad_words")}}
    config = GenerationConfig(
        do_sample=True,
        bad_words_ids=case.get("bad_words"),
        sequence_bias={(token,): bias for token, bias in case["bias"].items()} if "bias" in case else None,
        **sampled,
    )
    config._eos_token_tensor = None
    config._pad_token_tensor = None
    processors = model._get_logits_processor(generation_config=config, input_ids_seq_length=len(HISTORY), device="cpu")
    scores = processors(torch.tensor([HISTORY]), logits.unsqueeze(0).clone())
    return torch.softmax(scores, -1)[0]


def main():
    torch.manual_seed(4)
    model = tiny_model()
    logits = torch.randn(len(CASES), VOCAB, dtype=torch.float64) * 2
    out = {
        "logits": logits.numpy(),
        "history": np.array(HISTORY, dtype=np.int32),
        "options": np.array(
            [
                [
                    case.get("temperature", 1.0),
                    case.get("top_k", 0),
                    case.get("top_p", 1.0),
                    case.get("min_p", 0.0),
                    case.get("repetition_penalty", 1.0),
                ]
                for case in CASES
            ]
        ),
        "probabilities": torch.stack([distribution(model, row, case) for row, case in zip(logits, CASES)]).numpy(),
    }
    for i, case in enumerate(CASES):
        out[f"bias_ids.{i}"] = np.array(list(case.get("bias", {})), dtype=np.int32)
        out[f"bias.{i}"] = np.array(list(case.get("bias", {}).values()), dtype=np.float64)
        words = case.get("bad_words", [])
        out[f"bad_word_ids.{i}"] = np.array([token for word in words for token in word], dtype=np.int32)
        out[f"bad_word_offsets.{i}"] = np.cumsum([0, *map(len, words)], dtype=np.int32)
    path = pathlib.Path(__file__).parent / "sampling.safetensors"
    save_file(out, path, {"transformers": transformers.__version__, "torch": torch.__version__})
    print(path, path.stat().st_size)


main()
