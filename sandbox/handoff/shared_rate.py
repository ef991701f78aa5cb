"""Who moves the best base rate of a sweep with the width: the hidden matrices, or all the tensors that share it with them?

At each width n seven runs: at the base rate of the sweep's middle, and with half and twice the rate of the hidden matrices alone, of all
other tensors alone (tables, head, gains), and of both together. In octaves of the rate, of a group g,

    slope      s_g(n) = (L(2) - L(1/2)) / 2                 what an octave more costs, in nats
    curvature  c_g(n) = (L(2) + L(1/2) - 2 L(1)) / 2
    pull_g     = -(d s_g / d log2 n) / (2 C),               C = mean of c_both over the widths

The best base rate solves s_both(n) + 2 C x = 0 in octaves x, so its exponent is pull_both. To first order a change of all rates is the sum
of the changes of its parts, s_both = s_hidden + s_others, and then so are the pulls: the exponent of a sweep falls into what the hidden
matrices ask for and what the tensors ask for that are swept along. A coordinate check of hidden matrices speaks of the first alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox.fit import slope
from sandbox.handoff.parametrisation import HIDDEN, at_width
from sandbox.handoff.transfer import capped
from sandbox.handoff.transfer_runs import VOCAB, Setting, problem_of, rules_of
from sandbox.optimizers.base import with_fields
from sandbox.optimizers.settings import learning_rate
from sandbox.run import Schedule, run

GROUPS = ("hidden", "others", "both")
FACTORS = {"half": 0.5, "double": 2.0}
Losses = Mapping[str, float]  # "middle", "hidden_half", "hidden_double", "others_half", ...


@dataclass(frozen=True)
class Shared:
    """lr: the base rate of the middle."""

    method: str
    lr: float
    widths: tuple[int, ...] = (32, 128)
    steps: int = 200


def final_loss(setting: Setting, seed: int, group: str, factor: float) -> float:
    """Held-out loss at the end of a run of a sweep, the rates of a group times this; what guessing costs where it diverged."""
    problem, n = problem_of(setting), setting.steps
    roles = problem.problem.roles
    rules = at_width(rules_of(setting, problem.problem), roles, setting.width, problem.parametrisation)
    mine = [name for name, role in roles.items() if group == "both" or (role.kind in HIDDEN) == (group == "hidden")]
    rules |= {name: with_fields(rules[name], lr=learning_rate(rules[name]) * factor) for name in mine}
    watch = lambda k, params: {"loss": problem.held_out(params)} if k == n else None  # noqa: E731
    trace = run(problem, rules, steps=n, seed=seed, schedule=Schedule(n, warmup=n // 10, floor=0.1), watch=watch)
    return capped(trace.watched[n]["loss"] if trace.status == "finished" else math.inf, math.log(VOCAB))


def losses(setting: Setting, seed: int) -> dict[str, float]:
    around = {f"{group}_{name}": final_loss(setting, seed, group, factor) for group in GROUPS for name, factor in FACTORS.items()}
    return {"middle": final_loss(setting, seed, "both", 1.0)} | around


def parabola(of: Losses, group: str) -> tuple[float, float]:
    """(slope, curvature) in octaves of a group's rate."""
    low, high = of[f"{group}_half"], of[f"{group}_double"]
    return (high - low) / 2, (high + low - 2 * of["middle"]) / 2


def pulls(each: Mapping[int, Losses]) -> dict[str, float]:
    """each: losses by width. Raises ValueError where the losses do not bend upwards: there is no best rate then."""
    log_n = [math.log2(width) for width in each]
    fits = {group: [parabola(of, group) for of in each.values()] for group in GROUPS}
    bend = sum(c for _, c in fits["both"]) / len(each)
    if not bend > 0:
        raise ValueError(f"the losses around the middle bend by {bend:.3g} nats per octave squared; a best rate needs more than 0")
    return {f"pull_{group}": -slope(log_n, [s for s, _ in both]) / (2 * bend) for group, both in fits.items()} | {"bend": bend}


def measured(setting: Shared, seed: int) -> dict[str, float]:
    each = {n: losses(Setting(setting.method, width=n, lr=setting.lr, steps=setting.steps), seed) for n in setting.widths}
    return pulls(each) | {f"{name}_{width}": loss for width, of in each.items() for name, loss in of.items()}


def measure(setting: Shared, seeds: Sequence[int]) -> list[dict[str, float]]:
    return [measured(setting, seed) for seed in seeds]
