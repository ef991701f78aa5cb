"""The stepwise shell: rules as a real `torch.optim.Optimizer`. Backward fills every gradient, then `step` moves every
tensor.

    optimizer = Stepwise(model.named_parameters(), Adam(lr=1e-3))
    optimizer = Stepwise(model.named_parameters(), {"head.weight": AdamMini(lr=1e-3, n_blocks=4), ...})

One parameter group per distinct rule. `group["lr"]` is the learning rate that is used, so schedulers of
torch.optim.lr_scheduler work; the other settings stand in the rule, which is frozen.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from sandbox.optimizers.base import Rule
from sandbox.shells.slot import groups, restore, scheduled, slots


class Stepwise(torch.optim.Optimizer):
    """Draws of frames come from (seed, position of the tensor, steps that it has taken); nothing reads a global seed.

    Raises ValueError where `rules` misses or invents a name, or where a rule cannot take its tensor.
    """

    def __init__(self, named_parameters: Iterable[tuple[str, Tensor]], rules: Rule | Mapping[str, Rule], *, seed: int = 0) -> None:
        self._slots = slots(named_parameters, rules, seed)
        super().__init__(groups(self._slots), {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Moves every tensor that has a gradient; returns what `closure` returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            rule = scheduled(group, self._slots)
            for w in group["params"]:
                if w.grad is not None:
                    self._slots[w].move(w, w.grad, rule, self.state[w])
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues where `state_dict` stopped. Raises ValueError where a saved state belongs to another rule."""
        super().load_state_dict(state_dict)
        restore(self, self._slots, state_dict)
