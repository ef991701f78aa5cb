"""Question: on two minima in the plane, does the second moment help more than momentum to reach the deeper one?

Claims: adalomo.second-moment-basins              more starts reach the global minimum by SGD with variance than with
                                                  momentum (a running average), at every lr from 1e-3 to 3e-2
          ...second-moment-basins.large-rate      ... and at 1e-1: no
        adalomo.second-moment-basins.heavy-ball   the same against undamped momentum, as torch.optim.SGD has it, at
                                                  every lr from 1e-3 to 1e-1: no
          ...heavy-ball.ends                      ... but at both ends of that range
        adalomo.second-moment-basins.adam         adding momentum to the second moment changes little (at most 0.05 of
                                                  the starts), for lr 1e-2 and 3e-2
Proof:  none
Cost:   4 s on one CPU core
Run:    sandbox check adalomo.second-moment-basins adalomo.second-moment-basins.heavy-ball

The function is recalled and the starts of the paper are unknown, so all of a 41 x 41 grid on [-1.5, 1.5]^2 are taken;
a start counts where the last point lies within 0.1 of the global minimum. Nothing is random. "SGD with variance" is
not defined in the paper; here it is Adam with betas = (0, 0.999). The running average m <- 0.9 m + 0.1 g is heavy
ball with a tenth of the learning rate. The rules are entrywise, so all starts are one tensor. Each run makes 6 / lr
steps, a path of length 6 in the time of gradient flow, and at least 600.

The shares at 1e-3, 1e-2, 3e-2 and 1e-1 were known from a table that an own earlier run had made of the same grid, so
what is predicted there is that the table repeats; 3e-3 and 5e-3 are not in it. Changed after a first run: the rates,
5e-3, 1e-2, 3e-2 and (heavy ball) 1e-2, 3e-2 -> all six, with a claim for each place where the answer turns, because
the first choice had left out where it turns; at least 600 steps, because 60 are too few at 1e-1.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import Rule
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.problems.two_minima import TwoMinima, grid, reached_global
from sandbox.verdict import Outcome

PATH, LEAST_STEPS = 6, 600
SMALL, LARGE = (1e-3, 3e-3, 5e-3, 1e-2, 3e-2), 1e-1  # learning rates
Method = Literal["variance", "running average", "heavy ball", "adam"]


@dataclass(frozen=True)
class Setting:
    """lr: of all methods, which run from the same starts.  points: starts a side."""

    lr: float
    methods: tuple[Method, ...] = ("variance", "running average", "heavy ball")
    points: int = 41


def rule_of(method: Method, lr: float) -> Rule:
    return {
        "variance": Adam(lr, betas=(0.0, 0.999)),
        "adam": Adam(lr, betas=(0.9, 0.999)),
        "heavy ball": GradientDescent(lr, momentum=0.9),
        "running average": GradientDescent(0.1 * lr, momentum=0.9),
    }[method]


def shares(setting: Setting) -> dict[Method, float]:
    """The share of the starts that end at the global minimum. One gradient a step for all methods and starts: (2, methods, starts)."""
    problem, rules = TwoMinima(), [rule_of(method, setting.lr) for method in setting.methods]
    starts = grid(problem, setting.points)["xy"].T
    xy = starts[:, None].repeat(1, len(rules), 1)
    states = [rule.init(starts) for rule in rules]
    for _ in range(max(LEAST_STEPS, round(PATH / setting.lr))):
        g = gradient(problem, xy)
        moved = [rule.step(g[:, i], state, xy[:, i]) for i, (rule, state) in enumerate(zip(rules, states, strict=True))]
        states = [state for _, state in moved]
        xy = xy + torch.stack([delta for delta, _ in moved], dim=1)
    return {method: float(reached_global(xy[:, i].T).double().mean()) for i, method in enumerate(setting.methods)}


def gradient(problem: TwoMinima, xy: Tensor) -> Tensor:
    """Of every start's own loss."""
    leaf = xy.detach().requires_grad_()
    return torch.autograd.grad(problem.loss({"xy": leaf}, None).sum(), leaf)[0]


def measure(setting: Setting, seed: int) -> dict[str, float]:
    """The shares, and how far each of the others is above variance and from it."""
    share = shares(setting)
    above = {method: share[method] - share["variance"] for method in setting.methods if method != "variance"}
    return share | {f"{m} - variance": x for m, x in above.items()} | {f"{m} from variance": abs(x) for m, x in above.items()}


SHARED = dict(
    source="AdaLomo (arXiv:2310.10195), section 2.2 and Figure 1",
    known="recalled",
    dossier="lomo C7, 2.3",
    tier="quick",
    measure=per_seed(measure),
    subject="adalomo.second-moment-basins",
)
CLAIMS = (
    Claim(
        id="adalomo.second-moment-basins",
        statement="The second moment matters more than momentum: SGD with variance ends there from more starts, lr 1e-3 to 3e-2.",
        kind="ordering",
        quantity="share of starts that reach the global minimum, momentum - variance",
        plan=Grid(tuple(map(Setting, SMALL)), seeds=(0,)),
        estimate=Range("running average - variance"),
        predicted=Outcome.HOLDS,
        cost_s=2,
        **SHARED,
    ),
    Claim(
        id="adalomo.second-moment-basins.large-rate",
        statement="The second moment matters more than momentum also at lr 1e-1.",
        kind="ordering",
        quantity="share of starts that reach the global minimum, momentum - variance",
        plan=Grid((Setting(LARGE),), seeds=(0,)),
        estimate=Range("running average - variance"),
        predicted=Outcome.VIOLATED,  # 0.696 against 0.647 in the earlier table
        cost_s=0.1,
        **SHARED,
    ),
    Claim(
        id="adalomo.second-moment-basins.heavy-ball",
        statement="The second moment matters more than momentum also where that is undamped (torch.optim.SGD): every lr from 1e-3 to 1e-1.",
        kind="ordering",
        quantity="share of starts that reach the global minimum, momentum - variance",
        plan=Grid(tuple(map(Setting, (*SMALL, LARGE))), seeds=(0,)),
        estimate=Range("heavy ball - variance"),
        predicted=Outcome.VIOLATED,
        cost_s=2.1,
        **SHARED,
    ),
    Claim(
        id="adalomo.second-moment-basins.heavy-ball.ends",
        statement="The second moment matters more than undamped momentum at the ends of that range, lr 1e-3 and 1e-1.",
        kind="ordering",
        quantity="share of starts that reach the global minimum, momentum - variance",
        plan=Grid((Setting(SMALL[0]), Setting(LARGE)), seeds=(0,)),
        estimate=Range("heavy ball - variance"),
        predicted=Outcome.HOLDS,  # 0.556 and 0.360 against 0.641 and 0.647 in the earlier table
        cost_s=0,
        **SHARED,
    ),
    Claim(
        id="adalomo.second-moment-basins.adam",
        statement=(
            "On top of the second moment momentum changes little: Adam reaches the deeper minimum from about as many starts, lr 1e-2, 3e-2."
        ),
        kind="upper",
        quantity="distance of the shares of starts that reach the global minimum, Adam and SGD with variance",
        plan=Grid(tuple(Setting(lr, ("variance", "adam")) for lr in (1e-2, 3e-2)), seeds=(0,)),
        estimate=Range("adam from variance"),
        limit=0.05,  # half of what separates variance from the running average in the dossier's grid
        predicted=Outcome.HOLDS,
        cost_s=0.4,
        **SHARED,
    ),
)
