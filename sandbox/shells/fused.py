"""The fused shell: each tensor moves during backward, as soon as its gradient is complete, and the gradient is freed.

The gradient memory falls from all tensors to the largest one, which is the idea of LOMO (Lv et al. 2023,
https://arxiv.org/abs/2306.09782, section 3.1). The numbers are those of the stepwise shell, bit for bit.

    optimizer = Fused(model.named_parameters(), GradientDescent(lr=1e-2))
    loss.backward()        # moves the weights
    optimizer.step()       # moves nothing; says that this backward is over

It cannot accumulate gradients, for a gradient is gone once it is applied. `step` marks the end of a backward: from its
first call on, a tensor whose gradient arrives twice between two calls is an error (accumulation, or reentrant
checkpointing of a shared tensor); a loop that never calls it takes every backward for a step. Clipping by the global
norm needs all gradients at once: use the stepwise shell. Tied weights are right, but autograd keeps their first part
until the last one, so the memory bound is then larger.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from sandbox.optimizers.base import Rule
from sandbox.shells.slot import groups, restore, scheduled, slots


class Fused(torch.optim.Optimizer):
    """Same arguments, groups, schedules and state_dict as `Stepwise`.

    Raises ValueError where `rules` misses or invents a name, or where a rule cannot take its tensor.
    """

    def __init__(self, named_parameters: Iterable[tuple[str, Tensor]], rules: Rule | Mapping[str, Rule], *, seed: int = 0) -> None:
        self._slots = slots(named_parameters, rules, seed)
        super().__init__(groups(self._slots), {})
        self._moved: set[Tensor] | None = None  # since the last step(); None until step() is used
        self._group_of = {w: i for i, group in enumerate(self.param_groups) for w in group["params"]}
        self._hooks = [w.register_post_accumulate_grad_hook(self._move) for w in self._slots]

    @torch.no_grad()
    def _move(self, w: Tensor) -> None:
        if self._moved is not None and w in self._moved:
            raise RuntimeError(
                f"{self._slots[w].name} got a second gradient before step(): the fused shell has already applied the "
                "first, so it cannot accumulate; call step() after every backward, or use the stepwise shell"
            )
        rule = scheduled(self.param_groups[self._group_of[w]], self._slots)
        self._slots[w].move(w, w.grad, rule, self.state[w])
        w.grad = None
        if self._moved is not None:
            self._moved.add(w)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Ends the backward that has moved the weights; with a closure, runs it first. Moves nothing itself.

        Raises RuntimeError where a gradient is left over, which nothing has applied: hooks removed, or not run.
        """
        loss = closure() if closure is not None else None
        left = [slot.name for w, slot in self._slots.items() if w.grad is not None]
        if left:
            raise RuntimeError(
                f"{len(left)} gradients were not applied during backward, the first of {left[0]}: the fused shell was "
                "removed, or the gradient was not made by backward(); use the stepwise shell for such gradients"
            )
        self._moved = set()
        return loss

    def remove(self) -> None:
        """Takes the hooks away; from then on backward fills gradients as usual."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues where `state_dict` stopped. Raises ValueError where a saved state belongs to another rule."""
        super().load_state_dict(state_dict)
        restore(self, self._slots, state_dict)
