"""Question: is AdaLomo's update Adafactor's, and what does torch's default eps change?

Claims: adalomo.is-adafactor                         the same weights as torch.optim.Adafactor with eps = (1e-30, 1e-3)
        adalomo.scale-invariance                     gradients times 1e-4 or 1e6 change nothing
        adafactor.scale-invariance.torch-default     with torch's default eps they do
Proof:  none; an identity of two programs, and a division that cancels
Cost:   1 s on one CPU core
Run:    sandbox check adalomo.is-adafactor adalomo.scale-invariance adafactor.scale-invariance.torch-default

torch's default eps1 is the machine epsilon (1.2e-7 in float32). It replaces the mean of the row statistics from
below, so mean squares of gradients under 1e-7 are treated as if they were larger.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.shells.stepwise import Stepwise
from sandbox.verdict import Outcome

OPTIMIZERS = {
    "adalomo": lambda w, lr: Stepwise([("w", w)], AdaLomo(lr)),
    "adafactor": lambda w, lr: torch.optim.Adafactor([w], lr=lr, eps=(1e-30, 1e-3)),
    "adafactor, torch's eps": lambda w, lr: torch.optim.Adafactor([w], lr=lr),
}
Name = Literal["adalomo", "adafactor", "adafactor, torch's eps"]


@dataclass(frozen=True)
class Pair:
    """Two walks over the same Gaussian gradients, those of the second one times `scale`. lr: relative to RMS(w)."""

    first: Name
    second: Name
    scale: float
    dtype: Literal["float32", "float64"]
    shape: tuple[int, ...] = (12, 20)
    lr: float = 0.01
    steps: int = 100


def walk(setting: Pair, name: Name, scale: float, seed: int) -> Tensor:
    """The weight after `steps` steps, float64."""
    dtype = getattr(torch, setting.dtype)
    w = torch.nn.Parameter(normal(setting.shape, generator(seed)).to(dtype))
    optimizer = OPTIMIZERS[name](w, setting.lr)
    for k in range(setting.steps):
        w.grad = (scale * normal(setting.shape, generator(seed, k + 1))).to(dtype)
        optimizer.step()
    return w.detach().double()


def measure(setting: Pair, seed: int) -> dict[str, float]:
    """Distance of the two last weights, relative to the first one."""
    first = walk(setting, setting.first, 1.0, seed)
    second = walk(setting, setting.second, setting.scale, seed)
    return {"difference": float((first - second).norm() / first.norm())}


QUICK = dict(kind="upper", tier="quick", cost_s=0.3, measure=per_seed(measure), estimate=Range("difference"))
CLAIMS = (
    Claim(
        id="adalomo.is-adafactor",
        statement="The update of AdaLomo is that of Adafactor with an external learning rate, exactly.",
        source="AdaLomo (arXiv:2310.10195), reference code; said by a reviewer of its ICLR submission",
        known="second-hand",
        dossier="lomo C9",
        quantity="|w - w of torch.optim.Adafactor| / |w| after 100 steps",
        plan=Grid(tuple(Pair("adalomo", "adafactor", 1.0, "float64", shape) for shape in ((12, 20), (30,))), seeds=(0, 1)),
        limit=1e-12,  # 100 float64 steps of rounding, 1e-16 each, and a margin of 100
        predicted=Outcome.HOLDS,
        **QUICK,
    ),
    Claim(
        id="adalomo.scale-invariance",
        statement="AdaLomo does not feel the scale of the loss.",
        source="derived; while |g| >> sqrt(eps1) = 1e-15",
        known="derived",
        dossier="lomo T14",
        quantity="|w - w with gradients rescaled| / |w| after 100 steps",
        plan=Grid(tuple(Pair("adalomo", "adalomo", scale, "float32") for scale in (1e-4, 1e6)), seeds=(0, 1)),
        limit=1e-4,  # 100 float32 steps of rounding, 1e-7 each, and a margin of 10
        predicted=Outcome.HOLDS,
        **QUICK,
    ),
    Claim(
        id="adafactor.scale-invariance.torch-default",
        statement="Adafactor as torch.optim ships it does not feel the scale of the loss.",
        source="Adafactor (arXiv:1804.04235), section 3, with torch's default eps",
        known="second-hand",
        dossier="lomo 4.2",
        quantity="|w - w with gradients rescaled| / |w| after 100 steps",
        plan=Grid((Pair("adafactor, torch's eps", "adafactor, torch's eps", 1e-4, "float32"),), seeds=(0, 1)),
        limit=1e-4,
        predicted=Outcome.VIOLATED,
        subject="adalomo.scale-invariance",
        **QUICK,
    ),
)
