"""What a step does during a run, at several widths n: how large it is, how well aligned, how far it moves hidden outputs and words.

With D the step of a hidden matrix W per unit of the base rate (its width factor and the schedule are in it as they were in the run), x what
W is multiplied with on text that the run does not see, and J the derivative of the logits z:

    hidden    = RMS(D x)                                     over tokens and outputs: what a coordinate check looks at
              = size * alignment * input                     size = RMS(D), input = RMS(x), so that slopes in log n add up
    alignment = RMS(D x) / (RMS(D) RMS(x))                   n where D has one direction, that of every x; n^1/2 where D knows nothing of x
    model     = sqrt(mean over tokens of Var_p(J d)),        p = softmax(z), d the step of all tensors per unit of the base rate

Var_p(J d) t^2 / 2 is the Kullback-Leibler divergence between the model's words before and after a step of base rate t, to second order, so
`model` is a coordinate check of what the loss sees. Hidden quantities are geometric means over the hidden matrices.

Phases of a run of 200 steps: "first" is step 0; "peak" the end of the warm-up (steps 9, 14, 19, 24); "later" steps 49, 74, ... 174. Of
the steps of a phase the geometric mean is taken; slopes are least squares in log width.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sandbox.fit import slope
from sandbox.handoff.coordinates import inputs_of
from sandbox.handoff.parametrisation import HIDDEN, Parametrised, at_width
from sandbox.handoff.transfer_runs import Setting, problem_of, rules_of
from sandbox.models.initial import build
from sandbox.run import Schedule, run

PHASES: Mapping[str, tuple[int, ...]] = {"first": (0,), "peak": (9, 14, 19, 24), "later": (49, 74, 99, 124, 149, 174)}
PARTS = ("size", "alignment", "input", "hidden", "model")
FRESH = 1000  # a batch that no run of these lengths sees, and all after it
NEAR = 0.01  # of a full step: logits are differenced over so little of it that the square of the step does not count


@dataclass(frozen=True)
class Path:
    """A run of a sweep at one base rate, at each of the widths, looked at in the three phases."""

    method: str
    lr: float
    widths: tuple[int, ...] = (32, 64, 128, 256)
    steps: int = 200


@dataclass(frozen=True)
class Response:
    """The same at one width and several base rates: how what is seen answers to the rate itself."""

    method: str
    rates: tuple[float, ...]
    width: int = 64
    steps: int = 200


def alignment(step: Tensor, x: Tensor) -> float:
    """RMS(D x) / (RMS(D) RMS(x)), D (outputs, inputs), x (..., inputs): between 0 and the number of inputs."""
    return rms(nn.functional.linear(x, step)) / (rms(step) * rms(x))


def rms(x: Tensor) -> float:
    return float(x.double().square().mean().sqrt())


def spread_under(p: Tensor, change: Tensor) -> float:
    """Root of the mean over tokens of the variance of `change` under p, both (..., vocabulary)."""
    mean = (p * change).sum(-1, keepdim=True)
    return float((p * (change - mean).square()).sum(-1).mean().sqrt())


def model_change(module: nn.Module, params: Mapping[str, Tensor], step: Mapping[str, Tensor], tokens: Tensor, near: float) -> float:
    """How far the step moves the words that the model gives, per unit of the step, by a central difference over `near` of it."""
    at = lambda t: functional_call(module, {name: w + t * step[name] for name, w in params.items()}, (tokens,))  # noqa: E731
    with torch.no_grad():
        return spread_under(at(0.0).softmax(-1), (at(near) - at(-near)) / (2 * near))


def look(problem: Parametrised, before: Mapping[str, Tensor], after: Mapping[str, Tensor], rate: float, batch: Tensor) -> dict[str, float]:
    """The parts of one step that was made at this base rate, on a batch of windows of T + 1 tokens, in float64."""
    module, tokens = build(problem.problem.model, 0).double(), batch[:, :-1]
    params = {name: w.double() for name, w in before.items()}
    step = {name: (after[name].double() - w) / rate for name, w in params.items()}
    x = inputs_of(module, params, tokens)
    hidden = [name for name, role in problem.problem.roles.items() if role.kind in HIDDEN]
    parts = {
        "size": geometric_mean([rms(step[name]) for name in hidden]),
        "alignment": geometric_mean([alignment(step[name], x[name]) for name in hidden]),
        "input": geometric_mean([rms(x[name]) for name in hidden]),
        "model": model_change(module, params, step, tokens, NEAR * rate),
    }
    return parts | {"hidden": parts["size"] * parts["alignment"] * parts["input"]}


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(math.log(value) for value in values) / len(values))


def looks(setting: Setting, seed: int) -> dict[str, float]:
    """Part_phase -> geometric mean over the steps of the phase, of one run."""
    problem, n = problem_of(setting), setting.steps
    rules = at_width(rules_of(setting, problem.problem), problem.problem.roles, setting.width, problem.parametrisation)
    schedule, wanted = Schedule(n, warmup=n // 10, floor=0.1), {k for steps in PHASES.values() for k in steps if k < n}
    kept: dict[int, dict[str, Tensor]] = {}
    seen: dict[int, dict[str, float]] = {}

    def watch(k: int, params: Mapping[str, Tensor]) -> None:
        if before := kept.pop(k - 1, None):
            batch = problem.batch(seed, FRESH + k)
            seen[k - 1] = look(problem, before, params, setting.lr * schedule(k - 1), batch)
        if k in wanted:
            kept[k] = {name: w.clone() for name, w in params.items()}

    run(problem, rules, steps=n, seed=seed, schedule=schedule, watch=watch)
    steps_of = {phase: [k for k in steps if k in seen] for phase, steps in PHASES.items()}
    return {f"{part}_{phase}": geometric_mean([seen[k][part] for k in ks]) for phase, ks in steps_of.items() if ks for part in PARTS}


def slopes(points: Sequence[float], each: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """By name, the slope of the logarithm of what was seen in that of the points."""
    return {name: slope([math.log(x) for x in points], [math.log(one[name]) for one in each]) for name in each[0]}


def path(setting: Path | Response, seed: int) -> dict[str, float]:
    """Slopes in width (Path) or in the base rate (Response), and what they come from: `model_later_256`, ..."""
    if isinstance(setting, Path):
        runs = {width: Setting(setting.method, width=width, lr=setting.lr, steps=setting.steps) for width in setting.widths}
    else:
        runs = {rate: Setting(setting.method, width=setting.width, lr=rate, steps=setting.steps) for rate in setting.rates}
    each = {point: looks(one, seed) for point, one in runs.items()}
    shown = {
        f"{name}_{point:g}": value
        for point, one in each.items()
        for name, value in one.items()
        if name.split("_")[0] in ("hidden", "model")
    }
    return slopes(list(each), list(each.values())) | shown


def measure(setting: Path | Response, seeds: Sequence[int]) -> list[dict[str, float]]:
    return [path(setting, seed) for seed in seeds]
