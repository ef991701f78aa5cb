"""Question: on two minima in the plane, does the second moment help more than momentum to reach the deeper one?

Claims: adalomo.second-moment-basins              more starts reach the global minimum by SGD with variance than with
                                                  momentum
                                                  (momentum as a running average), for lr 5e-3, 1e-2 and 3e-2
        adalomo.second-moment-basins.heavy-ball   the same against undamped momentum, as torch.optim.SGD has it: not
                                                  for 1e-2, 3e-2
        adalomo.second-moment-basins.adam         adding momentum to the second moment changes little (at most 0.05 of
                                                  the starts)
Proof:  none
Cost:   8 s on one CPU core
Run:    sandbox check adalomo.second-moment-basins adalomo.second-moment-basins.heavy-ball

The function is recalled and the starts of the paper are unknown, so all of a 41 x 41 grid on [-1.5, 1.5]^2 are taken;
a start counts where the last point lies within 0.1 of the global minimum. Nothing is random. "SGD with variance" is
not defined in the paper; here it is Adam with betas = (0, 0.999). The running average m <- 0.9 m + 0.1 g is heavy
ball with a tenth of the learning rate. All starts and all learning rates of one method run at once in the ensemble
shell; each run makes 6 / lr steps, a path of length 6 in the time of gradient flow.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch

from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import Rule
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.problems.two_minima import TwoMinima, grid, reached_global
from sandbox.shells.ensemble import Runs, ensemble
from sandbox.verdict import Outcome

Method = Literal["variance", "running average", "heavy ball", "adam"]


@dataclass(frozen=True)
class Setting:
    """first, second: two methods on the same starts.  lr: of both.  points: starts a side."""

    first: Method
    second: Method
    lr: float
    points: int = 41


def rule_of(method: Method, lr: float) -> Rule:
    return {
        "variance": Adam(lr, betas=(0.0, 0.999)),
        "adam": Adam(lr, betas=(0.9, 0.999)),
        "heavy ball": GradientDescent(lr, momentum=0.9),
        "running average": GradientDescent(0.1 * lr, momentum=0.9),
    }[method]


@lru_cache(maxsize=32)
def share(method: Method, lr: float, points: int) -> float:
    """The share of the starts that end at the global minimum."""
    problem = TwoMinima()
    starts = grid(problem, points)
    gradient = torch.func.grad_and_value(lambda params: problem.loss(params, None))
    runs = Runs(starts, tuple(range(points**2)))
    steps = round(6 / lr)
    made = ensemble(lambda params, _: gradient(params)[::-1], rule_of(method, lr), runs, steps=steps, record_every=steps)
    return float(reached_global(made.params["xy"]).double().mean())


def measure(setting: Setting, seed: int) -> dict[str, float]:
    first, second = (share(method, setting.lr, setting.points) for method in (setting.first, setting.second))
    return {"first": first, "second": second, "difference": first - second, "distance": abs(first - second)}


SHARED = dict(
    source="AdaLomo (arXiv:2310.10195), section 2.2 and Figure 1",
    known="recalled",
    dossier="lomo C7, 2.3",
    tier="quick",
    measure=per_seed(measure),
)
CLAIMS = (
    Claim(
        id="adalomo.second-moment-basins",
        statement=("The second moment matters more than momentum: SGD with variance reaches the global minimum from more starts."),
        kind="ordering",
        quantity="share of starts that reach the global minimum, momentum - variance",
        plan=Grid(tuple(Setting("running average", "variance", lr) for lr in (5e-3, 1e-2, 3e-2)), seeds=(0,)),
        estimate=Range("difference"),
        predicted=Outcome.HOLDS,
        cost_s=6,
        **SHARED,
    ),
    Claim(
        id="adalomo.second-moment-basins.heavy-ball",
        statement=("The second moment matters more than momentum also where momentum is not damped, as torch.optim.SGD has it."),
        kind="ordering",
        quantity="share of starts that reach the global minimum, momentum - variance",
        plan=Grid(tuple(Setting("heavy ball", "variance", lr) for lr in (1e-2, 3e-2)), seeds=(0,)),
        estimate=Range("difference"),
        predicted=Outcome.VIOLATED,
        cost_s=1,
        **SHARED,
    ),
    Claim(
        id="adalomo.second-moment-basins.adam",
        statement=("On top of the second moment, momentum changes little: Adam reaches the global minimum from about as many starts."),
        kind="upper",
        quantity="distance of the shares of starts that reach the global minimum, Adam and SGD with variance",
        plan=Grid(tuple(Setting("adam", "variance", lr) for lr in (1e-2, 3e-2)), seeds=(0,)),
        estimate=Range("distance"),
        limit=0.05,  # half of what separates variance from the running average in the dossier's grid
        predicted=Outcome.HOLDS,
        cost_s=1,
        **SHARED,
    ),
)
