"""Counts the parameters of published configs with transformers on the meta device, for model_config_test.cpp.

    python native/test/golden/counts.py <folder of config.json files, *.json>        (needs torch and transformers; made with 2.13.0 and 5.23.0)
"""

import pathlib
import sys

import torch
import transformers

for file in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    if file.name.endswith("generation_config.json"):
        continue
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(file))
    print(f'      {{"{file.stem}", {sum(p.numel() for p in model.parameters())}}},')
