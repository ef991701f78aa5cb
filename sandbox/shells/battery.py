"""The same questions to any `torch.optim.Optimizer`, ours or another's: what it does, in one sentence each.

    for finding in battery(foreign(torch.optim.AdamW, lr=0.01).build):
        print(finding.name, finding.outcome.value, finding.sentence)

The optimizer moves two matrices under gradients that are known exactly (the loss is linear in the weights), in float32.
An exception is an answer: the finding then fails, and its sentence quotes it.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from sandbox.shells.trial import Advance, Make, Trial, plain

TINY = 1e-6  # cosine between a step and -w: float32 rounds the step to about 1e-7 of the weight


class Outcome(Enum):
    HOLDS = "holds"
    FAILS = "does not hold"
    REPORTED = "is reported"


@dataclass(frozen=True)
class Finding:
    name: str
    outcome: Outcome
    sentence: str


def battery(make: Make, *, advance: Advance = plain) -> tuple[Finding, ...]:
    """make: (name, parameter) pairs, or torch groups of them -> optimizer.  advance: (optimizer, loss) -> one whole step.

    advance is for optimizers that step inside backward in their own way; the default clears gradients, differentiates, steps.
    """
    trial = Trial(make, advance)
    return tuple(_asked(name, question, trial) for name, question in QUESTIONS.items())


def _asked(name: str, question: Callable[[Trial], tuple[Outcome, str]], trial: Trial) -> Finding:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Finding(name, *question(trial))
    except Exception as error:  # whatever foreign code raises is what is to be reported
        return Finding(name, Outcome.FAILS, f"raises {type(error).__name__}: {' '.join(str(error).split())[:200]}")


def _judged(good: bool, sentence: str) -> tuple[Outcome, str]:
    return (Outcome.HOLDS if good else Outcome.FAILS), sentence


def _distance(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """Of the two entries that differ most."""
    return max((a[key].detach() - b[key].detach()).abs().max().item() for key in a)


def downhill(trial: Trial) -> tuple[Outcome, str]:
    w, g = trial.weights(), trial.gradients(0)
    before = trial.copies(w)
    trial.step(trial.make(trial.named(w)), w, g)
    slope = sum(((w[key].detach() - before[key]) * g[key]).sum().item() for key in w)
    return _judged(slope < 0, f"the first step changes the loss by {slope:.3g} to first order")


def zero_gradient(trial: Trial) -> tuple[Outcome, str]:
    w = trial.weights()
    before = trial.copies(w)
    trial.step(trial.make(trial.named(w)), w, {key: torch.zeros_like(x) for key, x in w.items()})
    moves = {key: (w[key].detach() - before[key]).flatten().double() for key in w}
    if not any(move.any() for move in moves.values()):
        return Outcome.HOLDS, "a zero gradient moves nothing"
    origin = {key: -start.flatten().double() for key, start in before.items()}
    cosine = min(torch.nn.functional.cosine_similarity(move, origin[key], dim=0).item() for key, move in moves.items())
    size = max((move.norm() / origin[key].norm()).item() for key, move in moves.items())
    what = (
        "towards the origin: weight decay"
        if cosine > 1 - TINY
        else f"at cosine {cosine:.3g} to the direction of the origin: not weight decay alone"
    )
    return _judged(cosine > 1 - TINY, f"a zero gradient moves the weights by {size:.3g} of themselves {what}")


def deterministic(trial: Trial) -> tuple[Outcome, str]:
    first, second = (trial.trained(range(6)) for _ in range(2))
    worst = _distance(first, second)
    return _judged(worst == 0, f"two runs of 6 steps end {worst:.3g} apart")


def saved(trial: Trial) -> tuple[Outcome, str]:
    worst = _distance(trial.trained(range(10)), trial.broken(5, 10))
    return _judged(worst == 0, f"5 steps, state_dict through a file, 5 steps: off by {worst:.3g} from 10 steps")


def schedule(trial: Trial) -> tuple[Outcome, str]:
    w = trial.weights()
    optimizer = trial.make(trial.named(w))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1.0 if k == 0 else 0.0)
    trial.step(optimizer, w, trial.gradients(0))
    schedule.step()
    before = trial.copies(w)
    trial.step(optimizer, w, trial.gradients(1))
    moved = _distance(w, before)
    return _judged(moved == 0, f"with a learning rate that a scheduler has set to 0, an entry moves by {moved:.3g}")


def group_rates(trial: Trial) -> tuple[Outcome, str]:
    w = trial.weights()
    before = trial.copies(w)
    (a, b) = w
    optimizer = trial.make([{"params": [(a, w[a])]}, {"params": [(b, w[b])], "lr": 0.0}])
    trial.step(optimizer, w, trial.gradients(0))
    moves = [not torch.equal(w[key], before[key]) for key in (a, b)]
    return _judged(moves == [True, False], f"of two groups with its own rate and with 0, the tensors move: {moves[0]} and {moves[1]}")


def missing_gradient(trial: Trial) -> tuple[Outcome, str]:
    w = trial.weights()
    before = trial.copies(w)
    (a, b) = w
    optimizer = trial.make(trial.named(w))
    for k in range(2):
        trial.step(optimizer, w, {a: trial.gradients(k)[a]})
    still, moves = torch.equal(w[b], before[b]), not torch.equal(w[a], before[a])
    return _judged(still and moves, f"of a tensor with gradients and one without, the first moves: {moves}, the second: {not still}")


def nonfinite_gradient(trial: Trial) -> tuple[Outcome, str]:
    w, g = trial.weights(), trial.gradients(0)
    before, said = trial.copies(w), ""
    g["a"][0, 0] = torch.nan
    try:
        trial.step(trial.make(trial.named(w)), w, g)
    except Exception as error:  # a refusal is one of the answers
        said = f"raises {type(error).__name__}; "
    bad, total = (sum(n(x) for x in w.values()) for n in (lambda x: int((~x.isfinite()).sum()), lambda x: x.numel()))
    moved = [key for key in w if not torch.equal(w[key], before[key])]
    return (
        Outcome.REPORTED,
        f"{said}after one nan in a gradient {bad} of {total} weights are not finite, and {len(moved)} of {len(w)} tensors moved",
    )


def state(trial: Trial) -> tuple[Outcome, str]:
    w = trial.weights()
    optimizer = trial.make(trial.named(w))
    trial.step(optimizer, w, trial.gradients(0))
    leaves = [x for x in tree_leaves(list(optimizer.state.values())) if isinstance(x, Tensor)]
    storages = {x.untyped_storage()._cdata: x.untyped_storage().nbytes() for x in leaves}
    total, own = sum(storages.values()), sum(x.numel() * x.element_size() for x in w.values())
    return Outcome.REPORTED, f"{total} bytes in optimizer.state beside {own} bytes of weights"


QUESTIONS = {
    "first step goes downhill": downhill,
    "zero gradient moves nothing but decay": zero_gradient,
    "same run, same bits": deterministic,
    "saved run continues with the same bits": saved,
    "scheduler is obeyed": schedule,
    "rates of groups are obeyed": group_rates,
    "missing gradient is tolerated": missing_gradient,
    "gradient that is not finite": nonfinite_gradient,
    "bytes of state": state,
}
