"""The base model that the fine-tuning problems start from: about a million parameters, trained here by one
deterministic command.

Run:    .venv/bin/python experiments/base_model.py            (10 minutes on one core, 20 at most)
Makes:  experiments/records/base_model/ with model.safetensors, tokenizer.json, card.json, loss.csv, loss.png

A Llama-like model reads the pretraining part of the packaged text (Genesis to nearly all of Matthew), never the part
that fine-tuning uses. AdamW of torch.optim, linear warm-up, cosine to a tenth. One thread, because the order of a sum
depends on their number: on another processor or another torch the weights differ in the last bits and the kept file is
not reproduced byte for byte. This file makes no claim, so the ledger collects nothing from it.
"""

import csv
import datetime
import hashlib
import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from sandbox.models.language import LanguageProblem, mean_loss
from sandbox.models.llama import LlamaConfig
from sandbox.models.text import corpus, write_atomically
from sandbox.models.tokenizers import BytePairs
from sandbox.problems.base import Params

FOLDER = Path(__file__).parent / "records" / "base_model"
PROBLEM = LanguageProblem(
    LlamaConfig(vocab=1024, width=128, layers=5, heads=4, kv_heads=2, ffn=352, context=128, tied=True),
    tokenizer=BytePairs(1024),
    part="pretrain",
    batch_size=8,
    held_out_tokens=32768,
)
SLICE = 16  # held-out windows whose loss a fast test recomputes


@dataclass(frozen=True)
class Setting:
    seed: int = 0
    steps: int = 5000
    warmup: int = 200
    lr: float = 3e-3  # highest, reached after the warm-up
    floor: float = 0.1  # last learning rate over the highest
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1


def rate(setting: Setting, step: int) -> float:
    """Learning rate of step 0 .. steps - 1."""
    if step < setting.warmup:
        return setting.lr * (step + 1) / setting.warmup
    done = (step - setting.warmup) / (setting.steps - setting.warmup)
    return setting.lr * (setting.floor + (1 - setting.floor) * (1 + math.cos(math.pi * done)) / 2)


def train(problem: LanguageProblem, setting: Setting) -> tuple[Params, list[tuple[int, float, float | None]]]:
    """Weights after the last step, and rows of (step, training loss averaged since the last row, held-out loss every
    500 steps).
    """
    params = {name: value.requires_grad_() for name, value in problem.start(setting.seed).items()}
    optimizer = torch.optim.AdamW(params.values(), lr=setting.lr, betas=setting.betas, weight_decay=setting.weight_decay)
    rows, recent = [], []
    for step in range(setting.steps):
        optimizer.param_groups[0]["lr"] = rate(setting, step)
        loss = problem.loss(params, problem.batch(setting.seed, step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        recent.append(loss.item())
        if (step + 1) % 50 == 0 or step + 1 == setting.steps:
            rows.append((step + 1, sum(recent) / len(recent), held_out_now(problem, params, step + 1, setting)))
            recent.clear()
            print(*rows[-1], flush=True)
    return {name: value.detach() for name, value in params.items()}, rows


def held_out_now(problem: LanguageProblem, params: Params, step: int, setting: Setting) -> float | None:
    return problem.held_out(params) if step % 500 == 0 or step == setting.steps else None


def unigram_entropy(tokens: Tensor, vocab: int) -> float:
    """Entropy of the frequencies of tokens, in nats: what a model that ignores its context cannot beat."""
    share = torch.bincount(tokens.flatten(), minlength=vocab).double() / tokens.numel()
    return float(-(share[share > 0] * share[share > 0].log()).sum())


def card(problem: LanguageProblem, setting: Setting, params: Params, weights: bytes) -> dict:
    """Everything that is needed to repeat the training and to check the kept files."""
    held_out = problem.held_out_batch()
    return {
        "model": asdict(problem.model),
        "text": {"name": problem.text, "part": problem.part, "sha256": corpus(problem.text).digest},
        "tokenizer": {
            "vocab": problem.model.vocab,
            "sha256": hashlib.sha256(problem.codec().state.encode()).hexdigest(),
        },
        "batch_size": problem.batch_size,
        "training": asdict(setting),
        "parameters": sum(value.numel() for value in params.values()),
        "held_out": {"windows": len(held_out), "loss": problem.held_out(params)},
        "slice": {"windows": SLICE, "loss": mean_loss(problem, params, held_out[:SLICE])},
        "unigram_entropy": unigram_entropy(held_out[:, 1:], problem.model.vocab),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "cpu_seconds": round(time.process_time()),
        "torch": torch.__version__,
        "command": "python experiments/base_model.py",
        "date": datetime.date.today().isoformat(),
    }


def picture(rows: list[tuple[int, float, float | None]], path: Path) -> None:
    """Training and held-out loss over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="nats per token", title="base model")
    axes.plot([r[0] for r in rows], [r[1] for r in rows], label="training, mean of 50 steps")
    marks = [r for r in rows if r[2] is not None]
    axes.plot([r[0] for r in marks], [r[2] for r in marks], "o", label="held out")
    axes.legend()
    figure.savefig(path, dpi=110)


def main(folder: Path = FOLDER, setting: Setting = Setting()) -> None:  # noqa: B008
    from safetensors.torch import save

    torch.set_num_threads(1)
    params, rows = train(PROBLEM, setting)
    weights = save({name: value.contiguous() for name, value in params.items()})
    record = card(PROBLEM, setting, params, weights)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "model.safetensors", weights)
    write_atomically(folder / "tokenizer.json", PROBLEM.codec().state.encode())
    write_atomically(folder / "card.json", json.dumps(record, indent=2).encode() + b"\n")
    with (folder / "loss.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("step", "training", "held_out"), *rows])
    picture(rows, folder / "loss.png")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
