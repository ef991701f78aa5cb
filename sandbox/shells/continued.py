"""What a shell saves beside states and settings, so that a continued run is the run that was not stopped: the seed of its
draws, which must be the same again, and the count of the steps that it left out. Both stand in every parameter group.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class Skipped:
    """The attribute `skipped` of a shell: how many steps were left out."""

    def __get__(self, optimizer: torch.optim.Optimizer, kind: type) -> int:
        return optimizer.param_groups[0]["skipped"]

    def __set__(self, optimizer: torch.optim.Optimizer, n: int) -> None:
        for group in optimizer.param_groups:
            group["skipped"] = n


def require_seed(given: int | None, seed: int) -> None:
    """Raises ValueError where a group brings another seed than the shell's; None is a group that says nothing."""
    if given is not None and int(given) != seed:
        raise ValueError(
            f"the draws of this run come from seed {int(given)} and the shell was made with seed {seed}, so it would go on with "
            f"other draws; make it with seed={int(given)}, or delete 'seed' from the groups to go on with others"
        )


def resumed(optimizer: torch.optim.Optimizer, states: Mapping[Tensor, dict[str, Any]], seed: int) -> None:
    """Takes the loaded states; what an older checkpoint does not say is said from now on."""
    optimizer.state.update(states)
    for group in optimizer.param_groups:
        group.setdefault("seed", seed)
        group.setdefault("skipped", 0)
