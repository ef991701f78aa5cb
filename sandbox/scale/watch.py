"""What the first steps of a run show: losses, the size of updates by kind of tensor, bytes of states and gradients.

Of every kind the first tensor of the model is looked at, on all ranks together; its part of this rank is copied before the steps that
count, and nothing is kept after them.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from sandbox.handoff.target import STEPS, Seen
from sandbox.models.roles import Role
from sandbox.optimizers.sharding import local, placements
from sandbox.scale.job import Ranks
from sandbox.scale.loop import Run
from sandbox.shells.subspace_linear import subspace_layers, trained


class Watch:
    """ratios: kind -> step -> RMS(update) / RMS(weight), as far as seen.  gradients: bytes of all ranks when step 1 was made."""

    def __init__(self, run: Run, roles: Mapping[str, Role]) -> None:
        self._run, now = run, readers(run.model)
        self._first = {role.kind: now[name] for name, role in reversed(roles.items()) if name in now}
        self.ratios: dict[str, dict[str, float]] = {kind: {} for kind in self._first}
        self.gradients = 0
        run.before_update = self._count

    def step(self) -> float:
        """One step of the run; returns the loss before it."""
        number = str(len(self._run.losses) + 1)
        before = {kind: local(now()).clone() for kind, now in self._first.items()} if number in STEPS else {}
        loss = self._run.step()
        for kind, old in before.items():
            self.ratios[kind][number] = self._ratio(self._first[kind](), old)
        return loss

    def _ratio(self, w: Tensor, old: Tensor) -> float:
        sums = torch.stack([(local(w) - old).double().square().sum().cpu(), old.double().square().sum().cpu()])
        moved, was = (self._run.ranks.total(sums) if placements(w) else sums).tolist()
        return math.sqrt(moved / was) if was else math.nan

    def _count(self) -> None:
        if not self._run.losses:
            ours = sum(bytes_of(w.grad) for w in self._run.model.parameters() if w.grad is not None)
            self.gradients = summed(ours, self._run.ranks)

    @property
    def states(self) -> int:
        """Bytes of all ranks."""
        ours = sum(bytes_of(x) for entry in self._run.optimizer.state.values() for x in entry.values() if isinstance(x, Tensor))
        return summed(ours, self._run.ranks)

    def seen(self) -> Seen:
        losses = self._run.losses
        kept = {kind: steps for kind, steps in self.ratios.items() if not any(map(math.isnan, steps.values()))}
        return Seen(losses[0], losses[10], kept)


def readers(model: nn.Module) -> dict[str, Callable[[], Tensor]]:
    """Name in the plain model -> what its weight is now; of a layer in a subspace that is W + B P^T."""
    layers = {f"{path}.weight": layer for path, layer in subspace_layers(model).items()}
    return {name: layers[name].merged if name in layers else w.detach for name, w in trained(model).items()}


def bytes_of(x: Tensor) -> int:
    part = local(x)
    return part.numel() * part.element_size()


def summed(count: int, ranks: Ranks) -> int:
    return int(ranks.total(torch.tensor([count], dtype=torch.float64)))


def whole_everywhere(optimizer: torch.optim.Optimizer) -> int:
    """Bytes of the parts of a state that have no side to be cut along, and so lie on every rank: bases, numbers of columns, means.

    A part is cut where its first side is as long as the weight's.
    """
    total = 0
    for w, entry in optimizer.state.items():
        for x in entry.values():
            if isinstance(x, Tensor) and not (x.ndim and x.shape[0] == w.shape[0]):
                total += x.numel() * x.element_size()
    return total
