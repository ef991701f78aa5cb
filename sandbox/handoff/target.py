"""Target canary: what must be seen in the first ten steps at the size that a card is for, foreseen from small widths.

    loss before step 0                             over widths n: a line in log n, and its prediction interval at the target's width
    RMS(update) / RMS(weight), steps 1, 2, 10      the same for its logarithm, of the first tensor of every kind
    loss before step 10                            as the first; losses and ratios of some seeds at each width
    bytes of state and gradients                   sandbox/memory, from shapes

A band is the prediction interval of one new run, mean +- t s sqrt(1 + 1/N + (x - mean x)^2 / S_xx), at the level 1 - 1 % / number of
bands, so that all bands together refuse one good run in a hundred; s holds the spread over seeds and what is not a line. It is widened
by FLOOR and RATIO_FLOOR, for arithmetic in bfloat16 and for laws that no line over the small widths shows.

Kinds whose tensors start at zero (biases) have no ratio. The runs have the text, batch and schedule of the job, its depth and vocabulary,
and narrower residual streams with heads of the same size.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from sandbox.handoff.schema import Band, Loss10Part, TargetPart
from sandbox.models.gpt import GPTConfig
from sandbox.models.llama import LlamaConfig

STEPS = ("1", "2", "10")
FALSE_ALARMS = 0.01
FLOOR = 0.01  # half width that every band of a loss has at least, relative: bfloat16 moved losses by 0.3 %
# The same for the logarithm of a ratio. From widths 32, 64 and 128, ratios of AdamW and GaLore at width 256 lay in their intervals, and
# those of AdaLomo up to 6.4 % outside: its updates are clipped at small widths, so its seeds agree and the line bends. Three times that.
RATIO_FLOOR = 0.2
MOVED, ALIKE = 1.1, 1.5  # all kinds off by more than the first, and by factors closer than the second, have one cause


@dataclass(frozen=True)
class Seen:
    """What a run shows. ratios: kind -> step -> RMS(update) / RMS(weight)."""

    loss_0: float
    loss_10: float
    ratios: Mapping[str, Mapping[str, float]]


def narrowed(config: GPTConfig | LlamaConfig, width: int) -> GPTConfig | LlamaConfig:
    """The same model with another width: heads of the same size where they fit, feed-forward in proportion.

    Raises ValueError where the width is no multiple of 2.
    """
    size = math.gcd(config.width // config.heads, width)
    heads = width // size
    hidden = None if config.ffn is None else max(8, 8 * round(config.ffn * width / config.width / 8))
    if isinstance(config, GPTConfig):
        return replace(config, width=width, heads=heads, ffn=hidden)
    groups = heads // math.gcd(heads, config.heads // config.groups)
    return replace(config, width=width, heads=heads, kv_heads=groups, ffn=hidden)


def foreseen(seen: Mapping[int, Sequence[Seen]], width: int, fixed: Mapping[str, Any]) -> TargetPart:
    """The bands at `width`. seen: by width.  fixed: model, parameters, state_bytes, gradient_bytes.

    Raises ValueError where too few runs are there for an interval.
    """
    xs = np.array([math.log(n) for n, runs in seen.items() for _ in runs])
    runs = [run for group in seen.values() for run in group]
    if len(runs) < 3:
        raise ValueError(f"bands need at least 3 runs, got {len(runs)}; give more seeds or widths")
    kinds = [kind for kind, steps in runs[0].ratios.items() if all(run.ratios[kind][k] > 0 for run in runs for k in steps)]
    level = FALSE_ALARMS / (2 + len(STEPS) * len(kinds))

    def over(values: Sequence[float]) -> tuple[float, float]:
        return interval(xs, np.array(values), math.log(width), level)

    def ratio(kind: str, step: str) -> Band:
        low, high = over([math.log(run.ratios[kind][step]) for run in runs])
        return Band(low=math.exp(low - RATIO_FLOOR), high=math.exp(high + RATIO_FLOOR))

    first, tenth = over([run.loss_0 for run in runs]), over([run.loss_10 for run in runs])
    return TargetPart(
        **fixed,
        loss_0=Band(low=first[0] * (1 - FLOOR), high=first[1] * (1 + FLOOR)),
        update_ratio={kind: {step: ratio(kind, step) for step in STEPS} for kind in kinds},
        loss_10=Loss10Part(low=tenth[0] * (1 - FLOOR), high=tenth[1] * (1 + FLOOR), widths=list(seen)),
    )


def interval(xs: np.ndarray, ys: np.ndarray, x: float, level: float) -> tuple[float, float]:
    """Where the next y at x lies with probability 1 - level: around a line, or around the mean where all x are the same."""
    same = np.ptp(xs) == 0
    slope = 0.0 if same else float(np.polyfit(xs, ys, 1)[0])
    middle = ys.mean() + slope * (x - xs.mean())
    left = len(ys) - (1 if same else 2)
    spread = math.sqrt(float(((ys - ys.mean() - slope * (xs - xs.mean())) ** 2).sum()) / left)
    away = 0.0 if same else (x - xs.mean()) ** 2 / float(((xs - xs.mean()) ** 2).sum())
    half = float(stats.t.ppf(1 - level / 2, left)) * spread * math.sqrt(1 + 1 / len(ys) + away)
    return float(middle - half), float(middle + half)


def loss_problem(band: Band, step: int, loss: float) -> str | None:
    """The sentence for a loss outside its band."""
    if band.low <= loss <= band.high:
        return None
    start = ("the initial scale of head or table", "a tokenizer or a vocabulary other than the one foreseen", "another text")
    later = ("another learning rate", "another text, batch or order of windows", "another weight decay, warm-up or beta")
    what = f"the loss before step {step}"
    return sentence(what, band, loss, start if step == 0 else later)


def ratio_problem(bands: Mapping[str, Mapping[str, Band]], step: str, ratios: Mapping[str, float], framed: Sequence[str]) -> str | None:
    """The sentence for the kind whose update is furthest outside its band. framed: kinds with a frame."""
    off = {kind: _off(bands[kind][step], ratios[kind]) for kind in bands if kind in ratios}
    bad = {kind: factor for kind, factor in off.items() if not _within(bands[kind][step], ratios[kind])}
    if not bad:
        return None
    worst = max(bad, key=lambda kind: abs(math.log(bad[kind])) if bad[kind] > 0 else math.inf)
    what = f"RMS(update) / RMS(weight) of the first {worst} at step {step}"
    return sentence(what, bands[worst][step], ratios[worst], _causes(bad, off, step, framed))


def bytes_problem(what: str, expected: int, most: int, found: int, ranks: int) -> str | None:
    """The sentence for states or gradients that take other bytes than from shapes. most: with what every rank holds whole."""
    if expected <= found <= most:
        return None
    times = f", {found / expected:.2f} times" if expected else ""
    more = ("it is whole on every rank, not sharded", "another dtype than the weights'", "a frame is missing, or has more ranks")
    less = ("a rule or a frame on fewer tensors", "a frame on the other side of a matrix", "another dtype than the weights'")
    causes = more if found > most else less
    return (
        f"{what} of all {ranks} ranks together must take {expected:,} to {most:,} bytes after step 1, and {found:,} came{times}; "
        f"likeliest: {'; '.join(causes)}"
    )


def sentence(what: str, band: Band, value: float, causes: Sequence[str]) -> str:
    return f"{what} must lie in [{band.low:.4g}, {band.high:.4g}], and {value:.4g} came; likeliest: {'; '.join(causes[:3])}"


def _within(band: Band, value: float) -> bool:
    return band.low <= value <= band.high


def _off(band: Band, value: float) -> float:
    return value / math.sqrt(band.low * band.high)


def _causes(bad: Mapping[str, float], off: Mapping[str, float], step: str, framed: Sequence[str]) -> tuple[str, ...]:
    """What explains which kinds are off, likeliest first."""
    factor = math.exp(float(np.mean([math.log(x) for x in bad.values() if x > 0] or [0.0])))
    logs = [math.log(x) if x > 0 else -math.inf for x in off.values()]
    together = min(logs) > math.log(MOVED) or max(logs) < -math.log(MOVED)
    alike = together and max(logs) - min(logs) < math.log(ALIKE)
    rate, betas = f"a learning rate {factor:.3g} times the foreseen one", "another beta, or averages that are lost between steps"
    frame = f"a frame whose scale is dropped or doubled (its steps are {factor:.3g} times the foreseen ones)"
    if alike:
        return rate, "another warm-up or schedule", "factors of the learning rate for another width"
    if framed and set(bad) <= set(framed):
        return frame, "a frame on the other side of a matrix that is stored transposed", "a frame of another rank or refresh"
    if step != "1":
        return betas, "another warm-up or schedule", frame
    return "factors of the learning rate or of the initial scale for another width", rate, "blocks that cut these tensors otherwise"
