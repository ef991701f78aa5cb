"""Question: do settings that were measured at widths 32 to 256 hold at full size on a GPU, and does what was foretold of it come true?

Claims: METHOD.full-scale.lr        at 60M the predicted rate is within 0.02 nats of the best of half, predicted and double, on each seed
        METHOD.full-scale.memory    the forecast of `sandbox preflight` is within 5 % of the allocator's peak, 60M and 130M
        METHOD.full-scale.canaries  neither the card's ten losses nor the bands foreseen from narrow models stop a good run, 60M and 130M
        METHOD.full-scale.mfu       at least 2 % of the device's peak, 60M and 130M, without torch.compile
        for METHOD adamw, adam-mini, adalomo, galore, rso
Proof:  none
Cost:   study tier, about 20 minutes of one GPU with 40 GB, at most 60 s a training; nothing runs without one
Run:    sandbox check adamw.full-scale.lr adamw.full-scale.memory --tier study

Every training is `sandbox train CARD --model llama-60m --text ... --device cuda --precision bfloat16`, called from Python: the card of the
sweep (experiments/records/cards/METHOD-width.json), a Llama of Hugging Face whose numbers are drawn as the sweeps drew theirs, ranks of
width / 4, each window of the text at most once. The text is the packaged one; SANDBOX_TEXT names a file or a folder of .txt or .parquet
in its place, and its rows are rows of their own.

Rates are asked for with the 256 tokens a step and the 200 steps of the sweeps, so that the width is what is new, with 8 layers and 32,000
rows in the table where the sweeps had 2 and 512. Memory, canaries and pace have 64 windows of 256 for 40 steps; bands are foreseen on the
same GPU. tokens_per_second and mfu are of the steps after the eleventh, and so is the peak.

Predictions were committed before any run. Never run so far: there was no GPU.
"""

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from sandbox.fit import Range
from sandbox.handoff.preflight.asked import Ask
from sandbox.handoff.preflight.hardware import Card, card_of
from sandbox.handoff.preflight.preflight import Flight, of_card
from sandbox.handoff.preflight.targets import target_of
from sandbox.handoff.reading import read
from sandbox.handoff.target_rules import predicted_lr
from sandbox.ledger.claim import Claim, Grid, Values, per_seed
from sandbox.models.text import KJV, corpus
from sandbox.scale.loop import peak_of
from sandbox.scale.train import CanaryFailed, Trained, train
from sandbox.verdict import Outcome

CARDS_IN = Path(__file__).parent / "records" / "cards"
METHODS = ("adamw", "adam-mini", "adalomo", "galore", "rso")
NAMES = {"adamw": "AdamW", "adam-mini": "Adam-mini", "adalomo": "AdaLomo", "galore": "GaLore", "rso": "RSO"}
AROUND = {"half": 0.5, "predicted": 1.0, "double": 2.0}
MOST_SECONDS = 60.0  # of one training
WITHIN, COST, LEAST_MFU = 0.05, 0.02, 0.02  # relative; nats per token; of the peak


@dataclass(frozen=True)
class Rates:
    """Three rates around the predicted one. model: see `sandbox.scale.model`.  text: KJV, a file or a folder."""

    method: str
    model: str = "llama-60m"
    batch: int = 8
    context: int = 32
    steps: int = 200
    text: str = KJV


@dataclass(frozen=True)
class Full:
    """One training at the predicted rate, held to bands that are foreseen first."""

    method: str
    model: str = "llama-60m"
    batch: int = 64
    context: int = 256
    steps: int = 40
    text: str = KJV


@dataclass(frozen=True)
class Place:
    """Where it runs: this, or a CPU in the tests."""

    device: str = "cuda"
    precision: str = "bfloat16"


def clock(seconds: float = MOST_SECONDS) -> Callable[[str], None]:
    """What a training speaks to, which ends it when its time is up. Raises ValueError."""
    start = time.perf_counter()

    def say(line: str) -> None:
        spent = time.perf_counter() - start
        if spent > seconds:
            raise ValueError(f"a training may take {seconds:g} s here and has taken {spent:.0f} s at: {line}")

    return say


def require_gpu() -> None:
    """Raises ValueError where torch sees no CUDA device, or one whose peak nobody has written down."""
    if not torch.cuda.is_available():
        raise ValueError(
            f"METHOD.full-scale.* train 60M and 130M models on a CUDA device and torch {torch.__version__} sees none here; "
            "run `sandbox check adamw.full-scale.lr --tier study`, and those of the other methods, on a machine with an NVIDIA GPU"
        )
    if peak_of(torch.device("cuda"), "bfloat16", None) is None:
        raise ValueError(f"MFU needs the peak of {torch.cuda.get_device_name()}; write it into PEAK of sandbox/scale/loop.py")


def card_path(method: str) -> Path:
    return CARDS_IN / f"{method}-width.json"


def options(setting: Rates | Full, seed: int, folder: Path, place: Place) -> dict[str, Any]:
    """Of `sandbox train`. The packaged text is written out, for a text that is named is read at most once."""
    text = setting.text
    if text == KJV:
        text = str(folder / "kjv.txt")
        Path(text).write_text(corpus(KJV).content, encoding="utf-8")
    shape = {"model": setting.model, "batch": setting.batch, "context": setting.context, "steps": setting.steps}
    return shape | {"text": text, "seed": seed, "device": place.device, "precision": place.precision, "checkpoint_every": 0}


def width_of(model: str) -> int:
    return target_of(model, None).config.width


def around(setting: Rates, seed: int, place: Place = Place()) -> dict[str, float]:  # noqa: B008
    """Held-out losses at half, predicted and double rate, inf where one diverged, and what the predicted one costs."""
    path = card_path(setting.method)
    lr = predicted_lr(read(path)[0], width_of(setting.model))
    with TemporaryDirectory() as folder:
        job = options(setting, seed, Path(folder), place)
        losses = {name: held_out(partial(train, path, say=clock(), lr=lr * times, **job)) for name, times in AROUND.items()}
    return losses | {"lr": lr, "cost": cost(losses)}


def cost(losses: Mapping[str, float]) -> float:
    """Of the predicted rate against the best of the three; inf where it diverged."""
    return math.inf if math.isinf(losses["predicted"]) else losses["predicted"] - min(losses.values())


def held_out(training: Callable[[], Trained]) -> float:
    """inf where the run diverged. Raises ValueError where the card's ten losses do not come out here."""
    try:
        return float(training().held_out)
    except CanaryFailed as failure:
        if " steps were made, " in str(failure):  # a loss that is not finite
            return math.inf
        raise ValueError(str(failure)) from failure


def full(setting: Full, seed: int, place: Place = Place()) -> dict[str, Any]:  # noqa: B008
    """Canaries, memory and pace of one training, and its loss."""
    start, path = time.perf_counter(), card_path(setting.method)
    told = forecast(setting, path, place)
    with TemporaryDirectory() as folder:
        job, banded = options(setting, seed, Path(folder), place), Path(folder) / "banded.json"
        train(path, say=clock(), **job | {"precision": "card", "foresee": banded})
        done, why = guarded(partial(train, say=clock(), **job), banded, path)
    pace = done.pace
    return {
        "stopped": float(why is not None),
        "why": why or "",
        "loss": done.held_out,
        "tokens_per_second": pace.tokens_per_second,
        "mfu": pace.mfu,
        "peak_bytes": pace.peak_bytes,
        "forecast_bytes": told,
        "off": None if pace.peak_bytes is None else abs(told / pace.peak_bytes - 1),
        "seconds": time.perf_counter() - start,
    }


def guarded(training: Callable[[Path], Trained], banded: Path, path: Path) -> tuple[Trained, str | None]:
    """The run held to its bands, and what stopped it; where that was a band, the same run without any, for its pace and memory."""
    try:
        return training(banded), None
    except CanaryFailed as failure:
        return training(path), str(failure)


def forecast(setting: Full, path: Path, place: Place) -> int:
    """Bytes at the peak, before anything is allocated."""
    compute = "bfloat16" if place.precision == "bfloat16" else "float32"
    ask = Ask(target_of(setting.model, setting.context), here(place), batch=setting.batch, compute=compute)
    flight = Flight(ask)
    return flight.of(of_card(path, flight.model, ask), exact=False).peak


def here(place: Place) -> Card | None:
    """The GPU of this machine: its memory, and the workspace of its generation; speeds are of no matter."""
    if place.device != "cuda":
        return None
    hopper = torch.cuda.get_device_capability()[0] >= 9
    return replace(card_of("h100" if hopper else "a100-80gb"), memory=torch.cuda.get_device_properties(0).total_memory)


def on_gpu(setting: Rates | Full, seed: int) -> Values:
    require_gpu()
    return around(setting, seed) if isinstance(setting, Rates) else full(setting, seed)


TEXT = os.environ.get("SANDBOX_TEXT", KJV)
SIZES = ("llama-60m", "llama-130m")
COSTS = f"at 60M the predicted rate of {{}} costs at most {COST} nats against half and double of it, on each seed"
KINDS = {  # statement, kind, limit, quantity, what is looked at
    "lr": (COSTS, "upper", COST, "held-out loss at the predicted rate above the least of the three, nats per token", "cost"),
    "memory": ("preflight foretells the peak of a training with {} within 5 %", "upper", WITHIN, "|forecast / measured peak - 1|", "off"),
    "canaries": ("a good run of {} passes both canaries", "equality", 0.0, "good runs that a canary stops", "stopped"),
    "mfu": ("{} trains at 2 % of the device's peak or more", "lower", LEAST_MFU, "model FLOP per second / peak in bfloat16", "mfu"),
}
PREDICTED = {
    "lr": dict.fromkeys(METHODS, Outcome.HOLDS),
    "memory": dict.fromkeys(METHODS, Outcome.HOLDS),
    "canaries": dict.fromkeys(METHODS, Outcome.HOLDS),
    "mfu": dict.fromkeys(METHODS, Outcome.HOLDS),
}


def claim(method: str, kind: str) -> Claim:
    rates = Grid((Rates(method, text=TEXT),), seeds=(0, 1))
    sizes = Grid(tuple(Full(method, size, text=TEXT) for size in SIZES), seeds=(0,))
    statement, judged, limit, quantity, key = KINDS[kind]
    return Claim(
        id=f"{method}.full-scale.{kind}",
        statement=statement.format(NAMES[method]),
        source="derived: the sandbox's own promise for a card that is handed on",
        known="derived",
        dossier="transfer T4",
        kind=judged,
        limit=limit,
        tier="study",
        cost_s=100 if kind == "lr" else 90,
        quantity=quantity,
        plan=rates if kind == "lr" else sizes,
        measure=MEASURE,
        estimate=Range(key),
        predicted=PREDICTED[kind][method],
        subject=f"full-scale.{method}",
    )


MEASURE = per_seed(on_gpu)
CLAIMS = tuple(claim(method, kind) for kind in KINDS for method in METHODS)
