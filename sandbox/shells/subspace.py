"""The subspace shell: RSO as layers, so that the activations shrink too, not only gradients and states.

    y = x W^T + (x P) B^T           in every compressed layer; autograd keeps x P (r numbers per token), not x (n)
    B <- B + D                      D = the step of the inner rule for the gradient of B, which is G P
    W <- W + B P^T,  new P,  B = 0  where a round ends; the inner state as the rule says

The numbers are those of the RSO frame in the stepwise shell: same rules, and draws from the same key (seed, position of
the weight among the model's parameters, step). The next P is drawn at the end of the last step of a round, because the
next forward pass needs it. Where a round ends, W is written some rows at a time, and so is its decay: B P^T is never there as a
whole, and what a round's end needs is the draw of the next P (sandbox/memory/forecasts.py). Saved activations of one block, in numbers,
norms excluded (b sequences of s tokens):

    GELU, f = 4n   14 bsn + bhs^2  ->  7 bsn + 6 bsr + bhs^2          (4 bsr where query, key and value share one P)
    ReLU           10 bsn + bhs^2  ->  7 bsn + 6 bsr + bhs^2
    SwiGLU         (6n + 4f) bs + bhs^2  ->  (3n + 3f) bs + 7 bsr + bhs^2

    optimizer = Subspace(model, {"blocks.0.ffn.up.weight": RSO(Adam(1e-3), rank=8, update_gap=200), ...})

Source: Chen et al. (2025), https://arxiv.org/abs/2502.07222, abstract; counts: own, measured in
tests/shells/test_shells_subspace.py. Departures from the paper: those of sandbox/optimizers/rso.py.
Letters: r = rank, n = inputs, f = width of the feed-forward layer, h = heads.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sandbox.draws import generator
from sandbox.optimizers.base import Rule, State, due
from sandbox.optimizers.parameter_scale import levels
from sandbox.optimizers.rso import RSO, RSOState
from sandbox.optimizers.settings import learning_rate
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.assignment import assign
from sandbox.shells.continued import Skipped, resumed
from sandbox.shells.flat_state import read, write
from sandbox.shells.gradients import Nonfinite, require_policy, sanitised
from sandbox.shells.rounding import Precision
from sandbox.shells.slot import Slot, bad_gradients, groups, more, restored, scheduled, shared
from sandbox.shells.subspace_linear import Projection, SubspaceLinear, put, subspace_layers


@dataclass(frozen=True)
class Coefficients:
    """What RSO does to B alone: its own step in the coordinates of its basis, where P is the identity.

    inner: RSO, or WeightDecay around it, whose decay is of W and not of B.
    """

    inner: Rule

    def init(self, B: Tensor) -> State:
        return frame_of(self.inner).inner.init(B)

    def step(self, g: Tensor, state: State, B: Tensor) -> tuple[Tensor, State]:
        identity = torch.eye(B.shape[1], dtype=B.dtype, device=B.device)
        delta, moved = frame_of(self.inner).step(g, RSOState(identity, B, state), B)
        return delta, moved.inner


def frame_of(rule: Rule) -> Rule:
    return rule.inner if isinstance(rule, WeightDecay) else rule


class Subspace(torch.optim.Optimizer):
    """Same rules, groups and schedules as `Stepwise`; it owns `model` and changes its layers.

    rules: one per parameter, by name. Where it is RSO, or WeightDecay around RSO, the weight of an nn.Linear becomes a
    `SubspaceLinear`; every other parameter moves as in the stepwise shell. Choose the names by role, before the swap.
    share: groups of such weights that read one x and share one P, drawn for the first of each.
    nonfinite: as in `Stepwise`; state_dtype too, for the rule of B.

    A saved run needs both: `model.state_dict()` holds W, P and B, `state_dict()` the states and the counts of steps.
    `merged(model)` is the state_dict of the plain model.

    Raises ValueError, and leaves the model as it was, where `rules` misses or invents a name, and for a weight that
    cannot be compressed: tied, not of an nn.Linear, with a frame of side 0 or inside another wrapper, or unlike the
    others of its group.
    """

    skipped = Skipped()

    def __init__(
        self,
        model: nn.Module,
        rules: Mapping[str, Rule],
        *,
        share: Iterable[Collection[str]] = (),
        seed: int = 0,
        nonfinite: Nonfinite = "raise",
        state_dtype: torch.dtype | None = None,
    ) -> None:
        require_policy(nonfinite)
        assigned, share = assign(named := dict(model.named_parameters()), rules), [tuple(names) for names in share]
        chosen = [name for name, rule in assigned.items() if isinstance(frame_of(rule), RSO)]
        for name, rule in assigned.items():
            require_known_wrapper(name, rule)
        for name in chosen:
            require_compressible(model, name, frame_of(assigned[name]))
        require_alike(named, assigned, chosen, share)
        self._model, self._seed, self._precision = model, seed, Precision(state_dtype)
        self.nonfinite = nonfinite
        self._slots: dict[Tensor, Slot] = {}
        self._layers: dict[Tensor, tuple[SubspaceLinear, int]] = {}  # B -> its layer, and the position that keys its draws
        position = {name: i for i, name in enumerate(named)}
        lead = {name: names[0] for names in share for name in names}
        projections = {names[0]: Projection(len(names)) for names in share}
        for name, w in named.items():
            rule = assigned[name]
            if name in chosen:
                first = lead.get(name, name)
                layer = swapped(model, name, frame_of(rule).rank, projections.get(first))
                w, rule = layer.B, Coefficients(rule)
                self._layers[w] = layer, position[first]
            self._slots[w] = Slot(name, w, index=position[name], rule=rule, seed=seed, precision=self._precision)
        self._made = False
        super().__init__(made := groups(self._slots), shared(made))
        self._made = True
        for B in self._layers:
            self._begin_round(B, 0)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Takes more tensors, with a "rule" of their own; layers are compressed where the shell is made, and only there.

        Raises ValueError as the stepwise shell does, and for a rule that compresses.
        """
        if not self._made:
            return super().add_param_group(param_group)
        if isinstance(frame_of(param_group.get("rule")), RSO):
            raise ValueError("a layer is compressed where the shell is made, so a later group cannot have RSO; list it in `rules`")
        for group in more(self._slots, param_group, {}, seed=self._seed, precision=self._precision):
            super().add_param_group(group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Moves every tensor that has a gradient, and ends the rounds that are due; returns what `closure` returned.

        Raises FloatingPointError for a gradient that is not finite, ValueError for a sparse one; nothing has moved then.
        """
        with torch.enable_grad():
            loss = None if closure is None else closure()
        bad = bad_gradients(self, self._slots, self.nonfinite)
        if bad and self.nonfinite == "skip":
            self.skipped += 1
            return loss
        for group in self.param_groups:
            rule = scheduled(group, self._slots)
            for w in group["params"]:
                if w.grad is not None:
                    self._move(w, rule, bad)
        return loss

    def _move(self, w: Tensor, rule: Rule, bad: set[Tensor]) -> None:
        slot, entry = self._slots[w], self.state[w]
        if w in self._layers and isinstance(rule.inner, WeightDecay):
            self._layers[w][0].shrink(learning_rate(rule.inner) * rule.inner.weight_decay)
        slot.move(w, sanitised(w.grad, slot.kept) if w in bad else w.grad, rule, entry)
        if w in self._layers and due(frame_of(slot.rule.inner), entry["step"]):
            self._begin_round(w, entry["step"])

    @torch.no_grad()
    def _begin_round(self, B: Tensor, k: int) -> None:
        """Merges B into W and draws the P of the steps from k on; RSO's refresh does not look at a gradient."""
        (layer, position), slot, entry = self._layers[B], self._slots[B], self.state[B]
        frame, W, seen = frame_of(slot.rule.inner), layer.W, self._precision.seen(B.detach())
        layer.merge(seen)
        inner = read(slot.structure, entry) if k else slot.rule.init(seen)
        draw = frame.draw(generator(self._seed, position, k), tuple(W.shape))
        state = frame.refresh(W, RSOState(layer.P, seen, inner), W, draw)
        layer.P.copy_(state.P)
        B.copy_(state.B)
        if k:
            write(state.inner, slot.structure, entry)

    def remove(self) -> None:
        """Puts plain nn.Linear layers with the merged weights back; this optimizer moves nothing in them any more."""
        for name, layer in subspace_layers(self._model).items():
            put(self._model, name, layer.dense())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues where `state_dict` stopped, beside the model's own. Raises ValueError, and changes nothing, for a
        state that belongs to another rule, shape, order of the tensors or seed.
        """
        states = restored(self, self._slots, state_dict)
        super().load_state_dict(state_dict)
        resumed(self, states, self._seed)

    def __getstate__(self) -> dict[str, Any]:
        """A copy belongs to the model that is copied with it."""
        own = ("_model", "_seed", "_precision", "_slots", "_layers", "_made", "nonfinite")
        return super().__getstate__() | {name: self.__dict__[name] for name in own}


def swapped(model: nn.Module, name: str, rank: int, projection: Projection | None) -> SubspaceLinear:
    """The layer that now stands where the nn.Linear of the weight `name` stood."""
    path = name.rpartition(".")[0]
    layer = SubspaceLinear(model.get_submodule(path), rank, projection)
    put(model, path, layer)
    return layer


def require_known_wrapper(name: str, rule: Rule) -> None:
    """Raises ValueError where RSO is inside anything but WeightDecay: what that does to W is not known to act on B."""
    if any(isinstance(level, RSO) for level in levels(rule)) and not isinstance(frame_of(rule), RSO):
        raise ValueError(
            f"the rule of {name} must be RSO, or WeightDecay around it, to compress a layer, got {rule}; "
            "use the stepwise shell, where every wrapper works and activations stay whole"
        )


def require_compressible(model: nn.Module, name: str, frame: RSO) -> None:
    """Raises ValueError unless `name` is the untied weight of an nn.Linear below `model`, compressed on its input side."""
    path, _, attribute = name.rpartition(".")
    holder, weight = model.get_submodule(path), model.get_parameter(name)
    if not (isinstance(holder, nn.Linear) and type(holder).forward is nn.Linear.forward) or attribute != "weight" or not path:
        raise ValueError(
            f"{name} must be the weight of an nn.Linear inside the model to be compressed by RSO, but it belongs to a "
            f"{type(holder).__name__}; give it an ordinary rule, or use the RSO frame in the stepwise shell"
        )
    others = [other for other, p in model.named_parameters(remove_duplicate=False) if p is weight and other != name]
    if others:
        raise ValueError(
            f"{name} is tied to {', '.join(others)}: a layer that saves x P would move its own copy of the shared weight; "
            "give the tied weight an ordinary rule"
        )
    if frame.side != 1:
        raise ValueError(
            f"RSO of {name} must compress side 1, the inputs, to save activations, got side {frame.side}; use side=1, or the stepwise shell"
        )
    frame.init(weight.detach())  # an error here if the rank does not fit


def require_alike(named: Mapping[str, Tensor], assigned: Mapping[str, Rule], chosen: list[str], share: list[tuple[str, ...]]) -> None:
    """Raises ValueError unless every group names compressed weights, each once, with one width of inputs and one basis."""
    listed = [name for names in share for name in names]
    if wrong := [name for name in listed if name not in chosen or listed.count(name) > 1]:
        raise ValueError(f"share must name weights that RSO compresses, each in one group, got {wrong[0]!r} in {share}")
    for names in share:
        frames = {name: frame_of(assigned[name]) for name in names}
        kinds = {name: (named[name].shape[1], f.rank, f.law, f.update_gap) for name, f in frames.items()}
        if len(set(kinds.values())) > 1:
            raise ValueError(f"weights that share one P need the same inputs, rank, law and update_gap, got {kinds}; separate them")
