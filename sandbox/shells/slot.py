"""What a torch.optim shell keeps for one parameter, and the one step that it makes: shared by the stepwise and the
fused shell.

A slot is (name, position of the tensor, rule, seed). The numbers that change live in `optimizer.state[w]`, a flat dict
of tensors and Python numbers, with "step" = the count of steps taken.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from sandbox.draws import generator
from sandbox.optimizers.base import Rule, advance, due, with_fields
from sandbox.optimizers.settings import learning_rate
from sandbox.shells.assignment import assign
from sandbox.shells.flat_state import read, structure, write


class Slot:
    def __init__(self, name: str, w: Tensor, *, index: int, rule: Rule, seed: int) -> None:
        self.name, self.index, self.rule, self.seed = name, index, rule, seed
        self.structure = structure(rule.init(w.detach()))  # an error here if the rule cannot take this tensor

    def move(self, w: Tensor, g: Tensor, rule: Rule, entry: dict[str, Any]) -> None:
        """One step of `rule` on `w`, in place; `entry` holds the state and is brought up to date.

        The step is added in the wider of the two dtypes and rounded once.
        """
        k = entry.get("step", 0)
        state = read(self.structure, entry) if k else rule.init(w)
        draw = rule.draw(generator(self.seed, self.index, k), tuple(w.shape)) if due(rule, k) else None
        delta, state = advance(rule, g, state, w, k, draw)
        w.add_(delta)
        write(state, self.structure, entry)
        entry["step"] = k + 1

    def restored(self, w: Tensor, saved: Mapping[str, Any]) -> dict[str, Any]:
        """A saved entry with the dtypes and the device that the rule gives its state beside `w`.

        Raises ValueError where the entry belongs to another rule.
        """
        fresh: dict[str, Any] = {"step": 0}
        write(self.rule.init(w.detach()), self.structure, fresh)
        if set(saved) != set(fresh):
            raise ValueError(
                f"the state of {self.name} must have the fields {sorted(fresh)} of {type(self.rule).__name__}, "
                f"got {sorted(saved)}; load it with the rule that saved it"
            )
        return {key: _like(value, fresh[key]) for key, value in saved.items()}


def _like(value: Any, fresh: Any) -> Any:
    return value.detach().clone().to(fresh) if isinstance(fresh, Tensor) else type(fresh)(value)


def slots(named_parameters: Iterable[tuple[str, Tensor]], rules: Rule | Mapping[str, Rule], seed: int) -> dict[Tensor, Slot]:
    """One slot per parameter, in the order given; that position is part of the key of every draw."""
    named = dict(named_parameters)
    assigned = assign(named, rules)
    made = {w: Slot(name, w, index=i, rule=assigned[name], seed=seed) for i, (name, w) in enumerate(named.items())}
    if len(made) < len(named):
        raise ValueError(
            f"every tensor must be named once, got {len(named)} names for {len(made)} tensors; "
            "named_parameters() lists a tied tensor under its first name"
        )
    return made


def groups(of: Mapping[Tensor, Slot]) -> list[dict[str, Any]]:
    """One torch parameter group per distinct rule, with its learning rate and the names of its tensors."""
    found: dict[Rule, list[tuple[str, Tensor]]] = {}
    for w, slot in of.items():
        found.setdefault(slot.rule, []).append((slot.name, w))
    return [{"params": members, "lr": learning_rate(rule)} for rule, members in found.items()]


def scheduled(group: Mapping[str, Any], of: Mapping[Tensor, Slot]) -> Rule:
    """The rule of a group with the learning rate that the group has now."""
    return with_fields(of[group["params"][0]].rule, lr=group["lr"])


def restore(optimizer: torch.optim.Optimizer, of: Mapping[Tensor, Slot], saved: Mapping[str, Any]) -> None:
    """Puts the saved states back with their own dtypes; torch would cast them all to the dtype of the weight."""
    for group, saved_group in zip(optimizer.param_groups, saved["param_groups"], strict=True):
        for w, key in zip(group["params"], saved_group["params"], strict=True):
            if key in saved["state"]:
                optimizer.state[w] = of[w].restored(w, saved["state"][key])
