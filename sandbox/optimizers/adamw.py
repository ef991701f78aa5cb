"""AdamW: Adam with decoupled weight decay. Loshchilov & Hutter (2019), https://arxiv.org/abs/1711.05101, Algorithm 2.

    w <- (1 - lr wd) w              decay first
    w <- w - (the step of Adam)     which does not look at w

Departures from the paper: the decay is multiplied by the learning rate, as torch.optim.AdamW does; in the paper it is
multiplied by the schedule factor alone. The default 0.01 is torch's.
Letters: wd = weight_decay.
"""

from dataclasses import dataclass

from torch import Tensor

from sandbox.optimizers.adam import Adam, AdamState
from sandbox.optimizers.settings import require_at_least_zero, require_betas


@dataclass(frozen=True)
class AdamW:
    lr: float  # param
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8  # loss / param
    weight_decay: float = 0.01  # 1 / param

    def __post_init__(self) -> None:
        require_at_least_zero(self, "lr", "eps", "weight_decay")
        require_betas(self)

    def init(self, w: Tensor) -> AdamState:
        return Adam.init(self, w)

    def step(self, g: Tensor, state: AdamState, w: Tensor) -> tuple[Tensor, AdamState]:
        delta, state = Adam.step(self, g, state, w)  # reads lr, betas and eps, which are ours
        return delta - (self.lr * self.weight_decay) * w, state
