"""The fused shell: each tensor moves during backward, as soon as its gradient is complete, and the gradient is freed.

The gradient memory falls from all tensors to the largest one, which is the idea of LOMO (Lv et al. 2023,
https://arxiv.org/abs/2306.09782, section 3.1). The numbers are those of the stepwise shell, bit for bit.

    optimizer = Fused(model.named_parameters(), GradientDescent(lr=1e-2))
    loss.backward()        # moves the weights
    optimizer.step()       # moves nothing; says that this backward is over

It cannot accumulate gradients, for a gradient is gone once it is applied. A tensor whose gradient arrives twice between two calls of
`step` is an error, whether in one backward (re-entrant checkpointing of a shared tensor) or in two (accumulation, a loop without `step`).

Clipping by the global norm needs all gradients at once, and so a backward more (section 3.3.1 there):

    with optimizer.measuring(max_norm=1.0):
        loss.backward(retain_graph=True)   # moves nothing, keeps one norm per tensor and no gradient
    loss.backward()                        # moves with g min(1, max_norm / (norm + 1e-6)), as clip_grad_norm_ does
    optimizer.step()

Keeping the graph keeps the activations. A second forward inside the `with` frees them, but must repeat its dropout masks: put it under
torch.random.fork_rng(), or the norm is of another gradient. Tied weights are right, but autograd keeps their first part until the last
one, so the memory bound is then larger.
A backward that breaks off (an exception out of a hook, or no memory) is over where it breaks: what has moved has moved, gradients
that nothing has applied are dropped, a norm that was measured for it serves no other, and the next backward, after `step` or without, is
a new one with the rates of its time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from sandbox.optimizers.base import Rule
from sandbox.optimizers.sharding import local
from sandbox.shells.arrivals import Arrivals
from sandbox.shells.backward_end import Backward
from sandbox.shells.continued import Skipped, resumed
from sandbox.shells.gradients import Nonfinite, bad_count, complaint, require_policy, sanitised
from sandbox.shells.grouping import Parameters, Rules
from sandbox.shells.norm import coefficient, norm_of, require_norm, total
from sandbox.shells.rounding import Precision, Rounding
from sandbox.shells.slot import Slot, groups, more, restored, scheduled, shared, slots
from sandbox.shells.ways import Execution, MoveOne, Ways


class Fused(torch.optim.Optimizer):
    """Same arguments, groups, schedules and state_dict as `Stepwise`.

    nonfinite: "raise" and "skip" are decided tensor by tensor, when earlier tensors of the backward have moved already; after
    `measuring` they hold for the whole step (max_norm=inf measures without clipping). skipped: how many steps left out at
    least one tensor. total_norm: the last that was measured, 0-dim.

    Raises ValueError as `Stepwise` does.
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
        self.nonfinite, self.total_norm = nonfinite, None
        self._ways = Ways(execution)
        self._made = False
        super().__init__(made := groups(self._slots), shared(made))
        self._made = True
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._backward = Backward(self._broke_off)
        self._reset()
        self._attach()

    def _reset(self) -> None:
        self._arrived = Arrivals()
        self._norms: dict[int, Tensor] | None = None  # while measuring
        self._factor: Tensor | None = None  # of the gradients of the next backward
        self._now: dict[int, Rule] = {}  # the rule of every group, in this backward
        self._leave_out_all = self._norm_is_spent = False

    def _attach(self) -> None:
        group_of = {w: i for i, group in enumerate(self.param_groups) for w in group["params"]}
        self._calls = {w: self._hook(slot, group_of[w], self._ways.alone(slot, w)) for w, slot in self._slots.items()}
        moving = {w: call for w, call in self._calls.items() if w.requires_grad}
        self._early = [w.register_hook(self._opens) for w in moving if w._post_accumulate_grad_hooks]  # those may fail before ours
        self._hooks = {w: w.register_post_accumulate_grad_hook(call) for w, call in moving.items()}

    def _opens(self, g: Tensor) -> None:
        """Before the gradient lies in `.grad`, so that a backward which breaks off there is known."""
        if self._backward.goes_on() is None:
            self._enter()

    def _hook(self, slot: Slot, group: int, move: MoveOne) -> Callable[[Tensor], None]:
        """Of one tensor. What never changes is looked up here, for a hook is cold code: it runs once a backward, after much else."""
        backward, index, kept, recording = self._backward, slot.index, slot.kept, torch.is_grad_enabled

        def arrives(w: Tensor) -> None:
            if recording():  # create_graph; no_grad costs as much as all the rest
                with torch.no_grad():
                    return arrives(w)
            g = w.grad
            w.grad = None
            if backward.goes_on() is None:
                self._enter()
            of = self._arrived.of
            if g is None or index in of:
                raise RuntimeError(self._arrived.refusal(slot, g, backward.number))
            of[index] = backward.number
            slot.require_usable(w, g)
            if self.nonfinite != "pass" and (n := bad_count(g, kept)):
                g = self._instead(slot, w, g, n)
            if g is None or self._norms is not None or self._leave_out_all:
                return self._move_nothing(index, g)
            if self._factor is not None:
                g.mul_(self._factor.to(g.device))
            move(w, g, self._now.get(group) or self._rule_now(group), self.state[w])

        return arrives

    def _move_nothing(self, index: int, g: Tensor | None) -> None:
        """g: None where it is left out; otherwise it is measured, or its whole step is left out."""
        if g is None:
            self._arrived.left_out.add(self._backward.number)
        elif self._norms is not None:
            self._norms[index] = norm_of(g)

    def _enter(self) -> None:
        """A hook in a backward that is not the one known so far."""
        if self._norm_is_spent and self._norms is None:
            raise RuntimeError("the norm was measured for a backward that broke off; measure again, or go on unclipped after step()")
        if not self._backward.met():  # a new one
            self._now = {}

    def _rule_now(self, group: int) -> Rule:
        """Read once in a backward, whatever the number of tensors."""
        self._now[group] = scheduled(self.param_groups[group], self._slots)
        return self._now[group]

    def _instead(self, slot: Slot, w: Tensor, g: Tensor, n: int) -> Tensor | None:
        """What takes the place of a gradient with n bad entries; None where its tensor is left out."""
        if self.nonfinite == "raise":
            outcome = "no weight was moved" if self._norms is not None else f"{len(self._arrived.of) - 1} tensors have moved in this step"
            raise FloatingPointError(complaint({slot.name: (n, g.numel(), self.state.get(w, {}).get("step", 0))}, slot.kept, outcome))
        return None if self.nonfinite == "skip" else sanitised(g, slot.kept)

    def _broke_off(self) -> None:
        """The backward is over without an end: forgets what stands here for it, and drops what it has left in `.grad`."""
        self._arrived.forget(self._backward.number)
        self._norm_is_spent |= self._factor is not None
        self._factor, self._leave_out_all = None, False
        if self._norms is not None:
            self._norms = {i: norm for i, norm in self._norms.items() if i in self._arrived.of}
        for leaf in self._hooks:
            leaf.grad = None

    @contextmanager
    def measuring(self, max_norm: float) -> Iterator[None]:
        """A backward inside moves nothing; the next one moves with its gradients clipped to the global norm `max_norm`.

        Raises ValueError unless max_norm > 0, RuntimeError where weights have moved since step(), FloatingPointError as `step`
        of the stepwise shell does.
        """
        require_norm(max_norm)
        self._backward.settle()
        if self._arrived.of or self._factor is not None:
            raise RuntimeError("measuring must come before the backward that moves the weights, and once; call step() first")
        self._norms, self._norm_is_spent = {}, False
        try:
            yield
            self._take(max_norm, [self._norms[slot.index] for slot in self._slots.values() if slot.index in self._norms])
        finally:
            self._norms, self._arrived = None, Arrivals()

    def _take(self, max_norm: float, norms: list[Tensor]) -> None:
        if not norms and not self._arrived.left_out:
            raise RuntimeError("no gradient arrived while measuring; run the first backward inside the `with`")
        self.total_norm = total(norms)
        finite = self.nonfinite == "pass" or bool(self.total_norm.isfinite())
        if not finite and self.nonfinite != "skip":
            raise FloatingPointError(f"the norm of {len(norms)} finite gradients overflows {self.total_norm.dtype}; no weight was moved")
        self._leave_out_all = bool(self._arrived.left_out) or not finite
        self._factor = coefficient(self.total_norm, max_norm)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Ends the backward that has moved the weights; with a closure, runs it first. Moves nothing itself.

        Raises RuntimeError where a gradient is left over, which nothing has applied: hooks removed, or not run; and where the
        norm was measured and no backward came after it.
        """
        loss = closure() if closure is not None else None
        if not self.state and self._hooks:
            self._prepare()
        left = [slot.name for w, slot in self._slots.items() if w.grad is not None]
        if left:
            raise RuntimeError(
                f"{len(left)} gradients were not applied during backward, the first of {left[0]}: the fused shell was "
                "removed, or the gradient was not made by backward(); use the stepwise shell for such gradients"
            )
        if self._factor is not None and not self._arrived.of:
            raise RuntimeError("the norm was measured, but no backward has moved the weights since; call backward() again before step()")
        self.skipped += self._leave_out_all or bool(self._arrived.left_out)
        self._reset()
        return loss

    def _prepare(self) -> None:
        """Takes the zero gradients with which torch.distributed.checkpoint lets a fresh optimizer fill its state."""
        for w in [w for w in self._slots if w.grad is not None and not local(w.grad).any()]:
            self._calls[w](w)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As the stepwise shell's."""
        rest = dict(seed=self._seed, precision=self._precision)
        for group in more(self._slots, param_group, self._rules, **rest) if self._made else [param_group]:
            super().add_param_group(group)
        if self._made:
            self.remove()
            self._attach()

    def remove(self) -> None:
        """Takes the hooks away; from then on backward fills gradients as usual."""
        for hook in (*self._early, *self._hooks.values()):
            hook.remove()
        self._early, self._hooks = [], {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As the stepwise shell's, whose state_dict it may be."""
        states = restored(self, self._slots, state_dict)
        super().load_state_dict(state_dict)
        resumed(self, states, self._seed)

    def __getstate__(self) -> dict[str, Any]:
        own = ("_rules", "_seed", "_precision", "_slots", "_made", "_ways", "nonfinite", "total_norm")
        return super().__getstate__() | {name: self.__dict__[name] for name in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_slots" in state:  # a copy; torch also comes here to load a state_dict
            self._begin_anew()
