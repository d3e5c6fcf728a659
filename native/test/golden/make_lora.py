"""Golden files of LoRA: PEFT itself on the models that make.py wrote. Run make.py first.

    OMP_NUM_THREADS=1 python make_lora.py

Versions: README.md. An adapter folder is PEFT's save_pretrained; logits are of PEFT on transformers in float32; gradients
are of PEFT on the plain nn.Module below in float64, since transformers computes norms, softmax and rotations in float32 in
every dtype. The script asserts that the plain module agrees with transformers.
"""
import json
import math
import pathlib
import platform
import shutil

import peft
import safetensors
import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).parent
ADAPTERS = {
    # base, and what PEFT is asked for
    "lora-all": ("qwen2-tied", dict(r=4, lora_alpha=6, target_modules="all-linear")),
    "lora-some": ("llama-untied", dict(r=3, lora_alpha=5, target_modules=["q_proj", "v_proj", "up_proj", "down_proj"], use_rslora=True)),
}


class Part(torch.nn.Module):
    """A container of named modules and parameters."""


class Plain(torch.nn.Module):
    """The llama family with nn.Linear modules of transformers' names; every step in the dtype of the weights."""

    def __init__(self, config, weights):
        super().__init__()
        self.shape = config
        self.model = Part()
        self.model.layers = torch.nn.ModuleList()
        self.rest = {}
        for layer in range(config.num_hidden_layers):
            block = Part()
            for group, names in dict(self_attn="qkvo", mlp=["gate", "up", "down"]).items():
                part = Part()
                for name in names:
                    path = f"model.layers.{layer}.{group}.{name}_proj"
                    weight, bias = weights[path + ".weight"], weights.get(path + ".bias")
                    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
                    with torch.no_grad():
                        linear.weight.copy_(weight)
                        if bias is not None:
                            linear.bias.copy_(bias)
                    setattr(part, name + "_proj", linear)
                setattr(block, group, part)
            self.model.layers.append(block)
        self.rest = {n: w for n, w in weights.items() if "_proj" not in n}

    def norm(self, x, name):
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + self.shape.rms_norm_eps) * self.rest[name]

    def rotate(self, x):
        width = x.shape[-1]
        frequencies = self.shape.rope_parameters["rope_theta"] ** (-torch.arange(0, width, 2, dtype=x.dtype) / width)
        angles = torch.arange(len(x), dtype=x.dtype)[:, None] * frequencies
        cos, sin = torch.cos(angles)[:, None], torch.sin(angles)[:, None]
        first, second = x.chunk(2, -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)

    def forward(self, ids):
        c, tokens = self.shape, len(ids)
        width = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
        x = self.rest["model.embed_tokens.weight"][ids]
        future = torch.full((tokens, tokens), -math.inf, dtype=x.dtype).triu(1)
        for layer, block in enumerate(self.model.layers):
            own = block.self_attn
            y = self.norm(x, f"model.layers.{layer}.input_layernorm.weight")
            q = self.rotate(own.q_proj(y).view(tokens, -1, width))
            k = self.rotate(own.k_proj(y).view(tokens, -1, width))
            v = own.v_proj(y).view(tokens, -1, width)
            groups = c.num_attention_heads // c.num_key_value_heads
            k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
            weights = torch.softmax(torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(width) + future, -1)
            x = x + own.o_proj(torch.einsum("hqk,khd->qhd", weights, v).reshape(tokens, -1))
            y = self.norm(x, f"model.layers.{layer}.post_attention_layernorm.weight")
            x = x + block.mlp.down_proj(torch.nn.functional.silu(block.mlp.gate_proj(y)) * block.mlp.up_proj(y))
        head = self.rest["model.embed_tokens.weight" if c.tie_word_embeddings else "lm_head.weight"]
        return self.norm(x, "model.norm.weight") @ head.T


def load(base):
    return transformers.AutoModelForCausalLM.from_pretrained(HERE / base, dtype=torch.float32, attn_implementation="eager").eval()


def write_folder(name, base, settings, seed):
    """An adapter whose every tensor is drawn, at a scale that changes the logits much; saved by PEFT."""
    model = peft.get_peft_model(load(base), peft.LoraConfig(task_type="CAUSAL_LM", **settings))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for path, parameter in sorted(model.named_parameters()):
            if "lora_" in path:
                parameter.normal_(0, 0.5 / math.sqrt(parameter.shape[1]), generator=generator)
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = f"../{base}"
    config["target_modules"].sort()  # a set, whose order changes from run to run
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return safetensors.torch.load_file(folder / "adapter_model.safetensors")


def with_adapter(model, settings, tensors):
    model = peft.get_peft_model(model, peft.LoraConfig(**settings), autocast_adapter_dtype=False)
    missing = peft.set_peft_model_state_dict(model, tensors)
    assert not missing.unexpected_keys, missing
    return model


def gradients(model, batch):
    """Loss and the gradient of each A and B under `nll`: per stage the mean over its trained tokens, times its weight."""
    at = lambda name, i: batch[f"batch.{name}_ids"][batch[f"batch.{name}_offsets"][i]:batch[f"batch.{name}_offsets"][i + 1]].long()
    stages, weights, mask, offsets = (batch[f"batch.{n}"] for n in ("stage", "stage_weights", "mask", "completion_offsets"))
    trained = [mask[offsets[b]:offsets[b + 1]] for b in range(len(stages))]
    counts = [sum(int(m.sum()) for b, m in enumerate(trained) if stages[b] == s) for s in range(len(weights))]
    loss = 0
    for b in range(len(stages)):
        prompt, completion = at("prompt", batch["batch.prompt_index"][b]), at("completion", b)
        logits = model(torch.cat([prompt, completion]))[len(prompt) - 1: -1] / float(batch["option.temperature"])
        logprobs = torch.log_softmax(logits, -1)[torch.arange(len(completion)), completion]
        loss = loss - float(weights[int(stages[b])]) / counts[int(stages[b])] * (logprobs * trained[b]).sum()
    parameters = {n.replace(".default", ""): p for n, p in model.named_parameters() if p.requires_grad}
    assert all("lora_" in n for n in parameters)
    return loss.detach(), dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values()))))


def main():
    torch.set_num_threads(1)
    print(json.dumps(dict(python=platform.python_version(), torch=torch.__version__, transformers=transformers.__version__,
                          peft=peft.__version__, safetensors=safetensors.__version__)))
    batch = {n: t for n, t in safetensors.torch.load_file(HERE / "qwen2-tied.nll.safetensors").items()
             if n.startswith(("batch.", "option."))}
    for seed, (name, (base, settings)) in enumerate(ADAPTERS.items()):
        tensors = write_folder(name, base, settings, 300 + seed)
        model = load(base)
        weights = {n: w.detach().clone() for n, w in model.state_dict().items()}
        generator = torch.Generator().manual_seed(400 + seed)
        out, plain_error, change = {}, 0.0, 0.0
        model = peft.PeftModel.from_pretrained(model, HERE / name)
        plain_settings = dict(settings, target_modules=[n + "_proj" for n in "q k v o gate up down".split()]) \
            if settings["target_modules"] == "all-linear" else settings
        plain = with_adapter(Plain(model.config, weights), plain_settings, tensors)
        for i, length in enumerate([40, 17, 1]):
            ids = torch.randint(0, model.config.vocab_size, (length,), generator=generator)
            with torch.no_grad():
                logits = model(ids[None]).logits[0]
                plain_error = max(plain_error, float((plain(ids) - logits).abs().max() / logits.abs().max()))
                with model.disable_adapter():
                    change = max(change, float((model(ids[None]).logits[0] - logits).abs().max() / logits.abs().max()))
            out[f"{i}.ids"], out[f"{i}.logits"] = ids.to(torch.int32), logits.contiguous()
        assert plain_error < 1e-5 and change > 0.1, (plain_error, change)
        safetensors.torch.save_file(out, HERE / f"{name}.logits.safetensors")
        weights64 = {n: w.double() for n, w in weights.items()}
        loss, grads = gradients(with_adapter(Plain(model.config, weights64), plain_settings, {n: t.double() for n, t in tensors.items()}), batch)
        _, grads32 = gradients(plain, batch)
        error = max(float((grads32[n].double() - g).norm() / g.norm()) for n, g in grads.items())
        safetensors.torch.save_file({**batch, "advantages": torch.zeros(len(batch["batch.stage"]), dtype=torch.float64), "report.loss": loss,
                                     **{f"grad.{n}": g.contiguous() for n, g in grads.items()}}, HERE / f"{name}.nll.safetensors")
        print(f"{name}: {sum(t.numel() for t in tensors.values())} parameters on {base}, logits change by {change:.2f} of the largest; the plain "
              f"module misses transformers by {plain_error:.1e}; float32 gradients miss the float64 ones by {error:.1e}")


main()
