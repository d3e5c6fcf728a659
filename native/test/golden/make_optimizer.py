"""Makes schedules.safetensors beside it: the rate of each optimiser step over a base rate of 1, and what decays.

    python native/test/golden/make_optimizer.py        (torch 2.13.0, transformers 5.23.0)

`pytorch.*` is torch.optim.lr_scheduler's SequentialLR; `transformers.*` its get_*_schedule, whose warm-up starts from 0 and
so lies one step behind. The metadata holds the names that transformers' Trainer decays.
"""

import pathlib

import safetensors.torch
import torch
import transformers
from torch.optim import lr_scheduler

WARMUP, TOTAL, FRACTION, BEYOND = 4, 20, 0.1, 3


def rates(make):
    parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = make(optimizer)
    values = []
    for _ in range(TOTAL):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return torch.tensor(values, dtype=torch.float64)


def after_warmup(decay):
    def make(optimizer):
        warm = lr_scheduler.LinearLR(optimizer, start_factor=1 / WARMUP, end_factor=1.0, total_iters=WARMUP - 1)
        return lr_scheduler.SequentialLR(optimizer, [warm, decay(optimizer)], milestones=[WARMUP])
    return make


cosine = lambda minimum: after_warmup(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=TOTAL - WARMUP, eta_min=minimum))
linear = lambda minimum: after_warmup(
    lambda o: lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=max(minimum, 1e-300), total_iters=TOTAL - WARMUP))
tensors = {
    "pytorch.linear.0": rates(linear(0.0)), "pytorch.linear.f": rates(linear(FRACTION)),
    "pytorch.cosine.0": rates(cosine(0.0)), "pytorch.cosine.f": rates(cosine(FRACTION)),
    "transformers.constant.0": rates(lambda o: transformers.get_constant_schedule_with_warmup(o, WARMUP)),
    "transformers.linear.0": rates(lambda o: transformers.get_linear_schedule_with_warmup(o, WARMUP, TOTAL)),
    "transformers.cosine.0": rates(lambda o: transformers.get_cosine_schedule_with_warmup(o, WARMUP, TOTAL)),
    "transformers.cosine.f": rates(lambda o: transformers.get_cosine_with_min_lr_schedule_with_warmup(
        o, WARMUP, TOTAL, min_lr_rate=FRACTION)),
}


def decayed(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(pathlib.Path(__file__).parent / folder)
    return " ".join(transformers.Trainer.get_decay_parameter_names(None, model))


metadata = {"decayed.qwen2-tied": decayed("qwen2-tied"), "decayed.llama-untied": decayed("llama-untied"), "torch": torch.__version__, "transformers": transformers.__version__}
safetensors.torch.save_file(tensors, pathlib.Path(__file__).parent / "schedules.safetensors", metadata)
print({name: values.tolist() for name, values in tensors.items()}, metadata)
