"""The stepwise shell: rules as a real `torch.optim.Optimizer`. Backward fills every gradient, then `step` moves every
tensor.

    optimizer = Stepwise(model.named_parameters(), Adam(lr=1e-3))
    optimizer = Stepwise(model.named_parameters(), {"head.weight": AdamMini(lr=1e-3, n_blocks=4), ...})
    optimizer = Stepwise([{"params": body, "lr": 1e-4}, {"params": norms, "weight_decay": 0.0}], AdamW(lr=1e-3, weight_decay=0.1))

One parameter group per distinct rule and group of the caller. A group lists every number of its rule, and what stands
there is what is used, so schedulers of torch.optim.lr_scheduler work, those of momentum included; counts (rank,
update_gap, ...) stand in the rule, which is frozen. `lr` may be a 0-dim tensor.

bfloat16 weights: `state_dtype=torch.float32` gives the rule float32 copies of g and w and a float32 state;
`rounding="stochastic"` lets steps below half a unit in the last place arrive on average.
"""

from collections.abc import Callable
from typing import Any

import torch

from sandbox.shells.continued import Skipped, resumed
from sandbox.shells.gradients import Nonfinite, require_policy
from sandbox.shells.grouping import Parameters, Rules
from sandbox.shells.moving import moves_of
from sandbox.shells.rounding import Precision, Rounding
from sandbox.shells.slot import bad_gradients, groups, more, restored, shared, slots
from sandbox.shells.ways import Execution, Ways


class Stepwise(torch.optim.Optimizer):
    """Draws of frames come from (seed, position of the tensor, steps that it has taken); nothing reads a global seed.

    nonfinite: what a gradient that is not finite does; all tensors are looked at before the first moves, so "raise" and
    "skip" leave every weight and state as it was. skipped: how many steps were left out. execution: how the steps are run (see
    `ways`); the numbers are the same to rounding.

    Raises ValueError where `rules` misses or invents a name, where a rule cannot take its tensor, and where an average would
    stand still in the dtype of its state.
    """

    skipped = Skipped()

    def __init__(
        self,
        named_parameters: Parameters,
        rules: Rules,
        *,
        seed: int = 0,
        nonfinite: Nonfinite = "raise",
        state_dtype: torch.dtype | None = None,
        rounding: Rounding = "nearest",
        execution: Execution = "plain",
    ) -> None:
        require_policy(nonfinite)
        self._rules, self._seed, self._precision = rules, seed, Precision(state_dtype, rounding)
        self._slots = slots(named_parameters, rules, seed, precision=self._precision)
        self.nonfinite = nonfinite
        self._ways = Ways(execution)
        self._made = False
        super().__init__(made := groups(self._slots), shared(made))
        self._made = True

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Takes more tensors: {"params": ..., "lr": ...}, with a "rule" of its own where the shell has a table of rules.

        Raises ValueError as the shell does when it is made, and for a tensor that it has already.
        """
        rest = dict(seed=self._seed, precision=self._precision)
        for group in more(self._slots, param_group, self._rules, **rest) if self._made else [param_group]:
            super().add_param_group(group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Moves every tensor that has a gradient; returns what `closure` returned.

        Raises FloatingPointError for a gradient that is not finite, ValueError for a sparse one.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        bad = bad_gradients(self, self._slots, self.nonfinite)
        if bad and self.nonfinite == "skip":
            self.skipped += 1
            return loss
        self._ways.move(moves_of(self, self._slots, bad))
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues where `state_dict` stopped.

        Raises ValueError where a saved state belongs to another rule, shape, order of the tensors or seed; nothing is changed then.
        """
        states = restored(self, self._slots, state_dict)
        super().load_state_dict(state_dict)
        resumed(self, states, self._seed)

    def __getstate__(self) -> dict[str, Any]:
        own = ("_rules", "_seed", "_precision", "_slots", "_made", "_ways", "nonfinite")
        return super().__getstate__() | {name: self.__dict__[name] for name in own}
