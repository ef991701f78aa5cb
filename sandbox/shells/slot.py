"""What a torch.optim shell keeps for one parameter, and the one step that it makes: shared by the stepwise and the
fused shell.

A slot is (name, position of the tensor, rule, seed). The numbers that change live in `optimizer.state[w]`, a flat dict
of tensors and Python numbers, with "step" = the count of steps taken. An empty tensor has no state and never moves.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sandbox.draws import generator
from sandbox.optimizers.base import Empty, Rule, State, advance, due, with_fields
from sandbox.optimizers.settings import learning_rate
from sandbox.shells.continued import require_seed
from sandbox.shells.flat_state import leaves, read, structure, write
from sandbox.shells.frozen_average import require_finite, require_moving
from sandbox.shells.gradients import Nonfinite, bad_entries, complaint, require_dense
from sandbox.shells.grouping import Group, Parameters, Rules, live, members, require_number
from sandbox.shells.rounding import Precision

AS_GIVEN = Precision()
ALL = Group(0)


class Slot:
    """Raises ValueError where the rule cannot take this tensor, or where an average would stand still in its dtype."""

    def __init__(
        self, name: str, w: Tensor, *, index: int, rule: Rule, seed: int, precision: Precision = AS_GIVEN, group: Group = ALL
    ) -> None:
        _require_real(name, w)
        precision.require_fits(name, w)
        if w.numel():
            require_moving(rule, name, w, held := precision.seen(w.new_empty(0)).dtype)
            require_finite(rule, name, w, held)
        self.name, self.index, self.rule, self.seed = name, index, rule, seed
        self.precision, self.group, self.live, self.dtype = precision, group, live(rule), w.dtype
        self.structure, self.kept = structure(state := self.fresh(w, rule)), _widest(precision.seen(w.new_empty(0)), *leaves(state))

    def fresh(self, w: Tensor, rule: Rule) -> State:
        return rule.init(self.precision.seen(w.detach())) if w.numel() else Empty()

    def require_usable(self, w: Tensor, g: Tensor) -> None:
        """Raises ValueError for a sparse gradient, and for a weight that model.to() has given another dtype since."""
        if g.layout is not torch.strided:
            require_dense(self.name, g)
        if w.dtype != self.dtype:
            raise ValueError(
                f"{self.name} was {self.dtype} when the shell was made and is {w.dtype} now, where its rule and state were not checked; "
                "convert the model first, then make the shell"
            )

    def move(self, w: Tensor, g: Tensor, rule: Rule, entry: dict[str, Any]) -> None:
        """One step of `rule` on `w`, in place; `entry` holds the state and is brought up to date.

        The step is added in the wider of the two dtypes and rounded once.
        """
        k = entry.get("step", 0)
        if w.numel():
            seen, g = self.precision.seen(w), self.precision.seen(g)
            state = read(self.structure, entry) if k else rule.init(seen)
            draw = rule.draw(generator(self.seed, self.index, k), tuple(w.shape)) if due(rule, k) else None
            delta, state = advance(rule, g, state, seen, k, draw)
            self.precision.add(w, delta, self.seed, self.index, k)
            write(state, self.structure, entry)
        entry["step"] = k + 1

    def restored(self, w: Tensor, saved: Mapping[str, Any]) -> dict[str, Any]:
        """A saved entry with the dtypes and the device that the rule gives its state beside `w`.

        Raises ValueError where the entry belongs to another rule or to a weight of another shape.
        """
        fresh: dict[str, Any] = {"step": 0}
        write(self.fresh(w, self.rule), self.structure, fresh)
        if set(saved) != set(fresh):
            raise ValueError(
                f"the state of {self.name} must have the fields {sorted(fresh)} of {type(self.rule).__name__}, "
                f"got {sorted(saved)}; load it with the rule that saved it"
            )
        for key, value in saved.items():
            if getattr(value, "shape", ()) != getattr(fresh[key], "shape", ()):
                raise ValueError(
                    f"{key!r} in the state of {self.name} must have shape {tuple(getattr(fresh[key], 'shape', ()))} for a weight of "
                    f"shape {tuple(w.shape)}, got {tuple(getattr(value, 'shape', ()))}; load it beside the weights it was saved with"
                )
        return {key: _like(value, fresh[key]) for key, value in saved.items()}


def _require_real(name: str, w: Tensor) -> None:
    if not w.is_floating_point():
        raise ValueError(
            f"a rule moves real floating tensors, got {name} in {w.dtype}; "
            "for a complex weight make the parameter of torch.view_as_real(w) and the weight of it"
        )


def _widest(weight: Tensor, *state: Any) -> torch.dtype:
    """The dtype that reaches furthest among those of weight and state: a rule may keep float32 beside a float16 weight.

    float32 at least where the state has no tensor: such a rule squares nothing.
    """
    kept = [x.dtype for x in state if isinstance(x, Tensor) and x.is_floating_point()] or [torch.float32]
    return max([weight.dtype, *kept], key=lambda dtype: torch.finfo(dtype).max)


def _like(value: Any, fresh: Any) -> Any:
    return value.detach().clone().to(fresh) if isinstance(fresh, Tensor) else type(fresh)(value)


def slots(parameters: Parameters, rules: Rules, seed: int, *, precision: Precision = AS_GIVEN, taken: int = 0) -> dict[Tensor, Slot]:
    """One slot per parameter, in the order given; that position, counted from `taken`, is part of the key of every draw."""
    found = members(parameters, rules, taken=taken)
    for m in found:
        require_seed(m.group.seed, seed)
        require_rate(learning_rate(m.rule), m.name)
    return {
        m.w: Slot(m.name, m.w, index=taken + i, rule=m.rule, seed=seed, precision=precision, group=m.group) for i, m in enumerate(found)
    }


def groups(of: Mapping[Tensor, Slot]) -> list[dict[str, Any]]:
    """One torch parameter group per distinct rule and group of the caller: the names of its tensors, and every setting
    that may be changed between two steps.
    """
    found: dict[tuple[Group, Rule], list[tuple[str, Tensor]]] = {}
    for w, slot in of.items():
        found.setdefault((slot.group, slot.rule), []).append((slot.name, w))
    seed = int(next(iter(of.values())).seed)
    return [{"params": names, **_settings(rule), **_kept(group, seed)} for (group, rule), names in found.items()]


def _kept(group: Group, seed: int) -> dict[str, Any]:
    kept = {"seed": seed, "skipped": 0}
    return kept if group.initial_lr is None else kept | {"initial_lr": group.initial_lr}


def more(of: dict[Tensor, Slot], group: dict[str, Any], rules: Rules, *, seed: int, precision: Precision) -> list[dict[str, Any]]:
    """The torch groups of a group that comes later; `of` gets its slots.

    Raises ValueError where a tensor or a name is there already, where no rule is given for it, and as `slots` does.
    """
    rules = group.get("rule", rules)
    if isinstance(rules, Mapping):
        raise ValueError('the shell was made with a table of rules, which says nothing of new tensors; give the group a "rule" of its own')
    added = slots([group], rules, seed, precision=precision, taken=len(of))
    names = {slot.name for slot in of.values()}
    known = [slot.name for w, slot in added.items() if w in of or slot.name in names]
    if known:
        raise ValueError(f"a tensor can be in one group, and {known[0]} is there already; change that group's settings instead")
    of.update(added)
    return groups(added)


def _settings(rule: Rule) -> dict[str, Any]:
    """A tensor is copied, because schedulers write into it."""
    settings = {"lr": learning_rate(rule)} | live(rule)
    return {key: x.detach().clone() if isinstance(x, Tensor) else x for key, x in settings.items()}


def shared(made: list[dict[str, Any]]) -> dict[str, Any]:
    """The settings that all groups have: torch's `defaults`, which cyclic schedules look through for betas and momentum."""
    return {key: value for key, value in made[0].items() if key not in ("params", "initial_lr") and all(key in group for group in made)}


def scheduled(group: Mapping[str, Any], of: Mapping[Tensor, Slot]) -> Rule:
    """The rule of a group with the settings that the group has now.

    Raises ValueError where the learning rate has become negative, nan, infinite or no number.
    """
    slot = of[group["params"][0]]
    require_rate(group["lr"], slot.name)
    changed = {key: group[key] for key, own in slot.live.items() if key in group and group[key] is not own}
    return with_fields(slot.rule, **{key: tuple(x) if isinstance(x, list) else x for key, x in changed.items()})  # a checkpoint makes lists


def require_rate(lr: float | Tensor, name: str) -> None:
    """Raises ValueError as `require_number`, and where a rate is negative or nan. A tensor on an accelerator is not waited for."""
    require_number("lr", lr, name)
    if isinstance(lr, Tensor) and lr.device.type != "cpu":
        return
    if not float(lr) >= 0:
        raise ValueError(f"lr must be a number >= 0, got {float(lr)} in the group of {name}; look at the schedule")


def bad_gradients(optimizer: torch.optim.Optimizer, of: Mapping[Tensor, Slot], nonfinite: Nonfinite) -> set[Tensor]:
    """The tensors whose gradient has bad entries (see `gradients`), all looked at before the first moves; none under "raise" and "pass".

    Raises FloatingPointError for such a gradient under "raise", ValueError as `Slot.require_usable` does.
    """
    having = [w for w in of if w.grad is not None]
    for w in having:
        of[w].require_usable(w, w.grad)
    counts = bad_entries((w.grad for w in having), (of[w].kept for w in having)) if nonfinite != "pass" else ()
    bad = {w: n for w, n in zip(having, counts, strict=False) if n}
    if bad and nonfinite == "raise":
        table = {of[w].name: (n, w.numel(), optimizer.state.get(w, {}).get("step", 0)) for w, n in bad.items()}
        raise FloatingPointError(complaint(table, of[next(iter(bad))].kept, "no weight was moved"))
    return set(bad)


def restored(optimizer: torch.optim.Optimizer, of: Mapping[Tensor, Slot], saved: Mapping[str, Any]) -> dict[Tensor, dict[str, Any]]:
    """The saved states with their own dtypes; torch's load_state_dict would leave them all in the dtype of the weight.

    Nothing is changed, so that a state that does not fit leaves the optimizer as it was.

    Raises ValueError where an entry does not fit its tensor, where the names come in another order, and for another seed.
    """
    entries = {}
    seed = next(iter(of.values())).seed
    for group, saved_group in zip(optimizer.param_groups, saved["param_groups"], strict=False):
        _require_order(group, saved_group)
        require_seed(saved_group.get("seed"), seed)
        for w, key in zip(group["params"], saved_group["params"], strict=False):
            if saved["state"].get(key):  # empty where the first step has failed
                entries[w] = of[w].restored(w, saved["state"][key])
    return entries


def _require_order(group: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    ours, theirs = list(group.get("param_names", ())), list(saved.get("param_names", ()))
    if ours != theirs and sorted(ours) == sorted(theirs):
        first = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
        raise ValueError(
            f"a saved state is matched by position, and its tensor {first} is {theirs[first]} where the optimizer has {ours[first]}; "
            "hand the parameters over in the order in which they were saved"
        )
