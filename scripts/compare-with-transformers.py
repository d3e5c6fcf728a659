"""Loads the models that scripts/real-shapes.mjs or scripts/families.mjs saved in transformers (float32) and compares log-probs
token by token.

    python scripts/compare-with-transformers.py runs/real-shapes        # needs torch and transformers

Exit code 1 where a log-prob differs by more than 1e-4 or is not finite, or the tokenizer does not load.
"""

import json
import math
import pathlib
import sys

import torch
import transformers

TOLERANCE = 1e-4


def compare(run: pathlib.Path, name: str) -> float:
    agent = run / "ilr" / "final" / name
    folder = agent if agent.exists() else run / name
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    if (folder / "tokenizer.json").exists():
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        assert tokenizer.decode(tokenizer("What is 2+2?").input_ids) == "What is 2+2?"
    worst = 0.0
    for sequence in json.loads((run / f"logprobs-{name}.json").read_text()):
        ids = torch.tensor([sequence["ids"]])
        with torch.no_grad():
            logp = model(ids).logits[0, :-1].log_softmax(-1)
        theirs = logp.gather(1, ids[0, 1:, None]).squeeze(1)
        difference = (theirs - torch.tensor(sequence["logprobs"])).abs().max().item()
        # max() would drop a NaN.
        worst = max(worst, difference if math.isfinite(difference) else math.inf)
    return worst


def main() -> None:
    run = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "runs/real-shapes")
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    names = sorted(file.stem.removeprefix("logprobs-") for file in run.glob("logprobs-*.json"))
    if not names:
        sys.exit(f"expected logprobs-<name>.json in {run}, got none")
    differences = {name: compare(run, name) for name in names}
    for name, worst in differences.items():
        print(f"{name}: largest difference of a log-prob {worst:.2e} nats")
    if max(differences.values()) > TOLERANCE:
        sys.exit(f"expected at most {TOLERANCE}")


if __name__ == "__main__":
    main()
