"""The in-place shell: zeroth-order training that never holds a direction, nor the gradient of more than one tensor.

    optimizer = InPlace(model.named_parameters(), GradientDescent(lr=1e-6), TwoPoint(eps=1e-3), seed=0)
    loss = optimizer.step(lambda: criterion(model(x), y))          # only forward passes; no backward, no zero_grad

A step has two halves. `measure` evaluates the closure where the oracle asks for it, with c z added to a weight when it
is read (`sandbox.perturbations.reading`): the weights are never written, so a step with lr 0 leaves every bit as it
was. `apply` draws z again, tensor by tensor, hands g = sum of c z to the rule, and writes. Beside model, state and one
forward pass it needs one tensor: a perturbed weight, or one gradient with the step that the rule makes of it.

What `measure` returns is one number per direction, and `apply` needs no more: a run is its seed and those numbers
(MeZO, Malladi et al. 2023, 2305.17333, section 2.1). Applying them again in the same order repeats the weights bit by bit.

The numbers are those of the oracle in the stepwise shell. Parts of a model may be left to another optimizer, as in hybrid
training: measure here, run backward and step there, then apply.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from sandbox.draws import generator
from sandbox.optimizers.sharding import placements
from sandbox.perturbations.directions import ORACLE_STREAM, Directions, Draws, Probe, at_step, key_of, require_real
from sandbox.perturbations.in_chunks import InChunks, Multipliers, norm_of
from sandbox.perturbations.reading import AddedAtRead
from sandbox.shells.continued import Skipped, resumed
from sandbox.shells.gradients import Nonfinite, require_policy
from sandbox.shells.grouping import Parameters, Rules
from sandbox.shells.rounding import Precision
from sandbox.shells.slopes import bad_slopes, complaint
from sandbox.shells.slot import AS_GIVEN, Slot, groups, more, restored, scheduled, shared, slots


class LossOracle(Protocol):
    """An oracle that only evaluates losses: `sandbox.oracles.probing` says what its methods return."""

    directions: Directions

    def probes(self, names: tuple[str, ...]) -> tuple[Probe, ...]: ...

    def coefficients(self, loss_at: Callable[[Multipliers], Tensor], count: int, memory: Any) -> Any: ...


class Measurement(NamedTuple):
    """loss: what the oracle reports.  coefficients: one per direction, all that `apply` needs."""

    loss: float
    coefficients: tuple[float, ...]


class InPlace(torch.optim.Optimizer):
    """Groups, schedules and state_dict as in `Stepwise`; "step" and "memory" of the oracle stand in every group.

    nonfinite: what a slope does that is not finite, or that gives a tensor a gradient without a sum of squares in the dtype of
    its state (`sandbox.shells.slopes`): "zero" leaves out its direction, "skip" the step (counted in `skipped`).

    Raises ValueError where `rules` misses or invents a name, where a rule cannot take its tensor, for a tensor that is not
    real or not whole (a DTensor), and for an oracle that needs derivatives.
    """

    skipped = Skipped()

    def __init__(
        self,
        named_parameters: Parameters,
        rules: Rules,
        oracle: LossOracle,
        *,
        seed: int = 0,
        nonfinite: Nonfinite = "raise",
        precision: Precision = AS_GIVEN,
    ) -> None:
        _check(oracle)
        require_policy(nonfinite)
        self._rules, self._oracle, self._seed, self._precision = rules, oracle, seed, precision
        self._slots = slots(named_parameters, rules, seed, precision=precision)
        self._params = _whole(self._slots)
        self.nonfinite = nonfinite
        self._forget()
        self._made = False
        made = [{**group, "step": 0, "memory": None} for group in groups(self._slots)]
        super().__init__(made, shared(made))
        self._made = True

    def _forget(self) -> None:
        self._factors: dict = {}  # subspaces of low-rank directions, kept between their refreshes
        self._here: InChunks | None = None  # the directions of this step, from `measure` until `apply`

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Takes more tensors, from the next step on, as the stepwise shell does."""
        if not self._made:
            return super().add_param_group(param_group)
        of = dict(self._slots)
        made = more(of, param_group, self._rules, seed=self._seed, precision=self._precision)
        self._params, self._slots = _whole(of), of
        for group in made:
            super().add_param_group(group)
        self._set(step=self.param_groups[0]["step"], memory=self.param_groups[0]["memory"])

    @torch.no_grad()
    def measure(self, closure: Callable[[], Tensor]) -> Measurement:
        """The losses that this step needs, and what the oracle makes of them; no weight is written.

        closure: a forward pass, the same at every call (batch, dropout). Raises RuntimeError where it reads no weight.
        """
        self._here = self._directions()
        oracle, memory = self._now(), self.param_groups[0]["memory"]
        measured = oracle.coefficients(lambda c: self._loss(closure, c), len(self._here.probes), memory)
        self._set(memory=None if measured.memory is None else float(measured.memory))
        return Measurement(float(measured.loss), tuple(float(c) for c in measured.coefficients))

    @torch.no_grad()
    def apply(self, coefficients: Sequence[float]) -> float:
        """Moves every tensor that a direction touches, and ends the step; returns the norm of the gradient, in loss / param.

        Raises ValueError where there is not one coefficient per direction, FloatingPointError under "raise" for a bad one,
        before the first tensor moves.
        """
        here = self._here or self._directions()
        if len(coefficients) != len(here.probes):
            raise ValueError(f"this step has {len(here.probes)} directions, so it needs as many coefficients, got {len(coefficients)}")
        used = self._usable(coefficients, here)
        norms = [self._move(w, here, used, rule) for w, rule in self._ruled() if used and here.touching(self._slots[w].name)]
        self._here = None
        self._set(step=self.param_groups[0]["step"] + 1)
        return math.hypot(*norms)

    def step(self, closure: Callable[[], Tensor]) -> float:
        """`measure`, then `apply`; returns the loss that the oracle reports."""
        measured = self.measure(closure)
        self.apply(measured.coefficients)
        return measured.loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues where `state_dict` stopped. Raises ValueError where a saved state does not fit; nothing is changed then."""
        states = restored(self, self._slots, state_dict)
        super().load_state_dict(state_dict)
        resumed(self, states, self._seed)
        self._forget()

    def __getstate__(self) -> dict[str, Any]:
        own = ("_rules", "_oracle", "_seed", "_precision", "_slots", "_params", "_made", "nonfinite")
        return super().__getstate__() | {name: self.__dict__[name] for name in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._forget()

    def _move(self, w: Tensor, here: InChunks, coefficients: Multipliers, rule: Any) -> float:
        slot = self._slots[w]
        g = here.combined(slot.name, w, coefficients)
        norm = norm_of(g)
        slot.move(w, g, rule, self.state[w])
        return norm

    def _ruled(self) -> list[tuple[Tensor, Any]]:
        """Every tensor with its rule, at the settings that its group has now."""
        return [(w, rule) for group in self.param_groups for rule in [scheduled(group, self._slots)] for w in group["params"]]

    def _usable(self, coefficients: Sequence[float], here: InChunks) -> Multipliers:
        """What the policy makes of the coefficients; empty where the step is left out."""
        bad = bad_slopes(coefficients, here, self._slots) if self.nonfinite != "pass" else {}
        if bad and self.nonfinite == "raise":
            raise FloatingPointError(complaint(bad, coefficients, self.param_groups[0]["step"]))
        if bad and self.nonfinite == "skip":
            self.skipped += 1
            return {}
        return {i: 0.0 if i in bad else c for i, c in enumerate(coefficients)}

    def _now(self) -> LossOracle:
        return at_step(self._oracle, self.param_groups[0]["step"])

    def _directions(self) -> InChunks:
        oracle, k = self._now(), self.param_groups[0]["step"]
        draws = Draws(oracle.directions, key_of(generator(self._seed, ORACLE_STREAM, k)), self._factors)
        probes = oracle.probes(tuple(self._params))
        draws.prepare(probes, self._params)  # before the forward pass, so that no refresh is beside its activations
        return InChunks(draws, probes, self._params)

    def _loss(self, closure: Callable[[], Tensor], multipliers: Multipliers) -> Tensor:
        """The closure's loss with the weights seen at w + sum of c z."""
        c = {i: float(x) for i, x in multipliers.items()}
        readers = {w: lambda name=name, w=w: self._here.moved(name, w, c) for name, w in self._params.items()}
        with AddedAtRead(readers) as mode:
            loss = closure()
        if not mode.reads:
            raise RuntimeError(
                f"the closure read none of the {len(readers)} weights, so no perturbation reached the loss; "
                "give it a forward pass that is not scripted, of the very tensors that this optimizer holds"
            )
        return loss.detach().to(torch.float64)

    def _set(self, **values: Any) -> None:
        for group in self.param_groups:
            group.update(values)


def _check(oracle: Any) -> None:
    missing = [name for name in ("directions", "probes", "coefficients") if not hasattr(oracle, name)]
    if missing or getattr(oracle, "differentiates", False):
        raise ValueError(
            f"the in-place shell evaluates losses and nothing else, so it needs an oracle such as TwoPoint, got {type(oracle).__name__}; "
            "use the stepwise shell for oracles that differentiate"
        )


def _whole(of: Mapping[Tensor, Slot]) -> dict[str, Tensor]:
    """The tensors by name. Raises ValueError for one that is not real or not whole."""
    params = {slot.name: w for w, slot in of.items()}
    require_real(params)
    for name, w in params.items():
        if placements(w):
            raise ValueError(f"{name} is sharded, and the in-place shell perturbs whole tensors; give every rank the whole model")
    return params
