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

Under FSDP2 the layers come before the shards (`sandbox.shells.compression`). W, P and B then lie in rows on the ranks, those of W and B
together, so that a merge needs P alone from the others: it is gathered where a round ends (and at every step where W decays), one layer
after the other, beside the gathering of W and P for each pass. B moves the sharded way (`sandbox.shells.sharded`), all B side by side.

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
from sandbox.optimizers.rso import RSO, RSOState
from sandbox.optimizers.settings import learning_rate
from sandbox.optimizers.sharding import like, replicate
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.assignment import assign
from sandbox.shells.compression import compress, frame_of, framed, require_adopted, require_compressible, swapped
from sandbox.shells.continued import Skipped, resumed
from sandbox.shells.flat_state import read, write
from sandbox.shells.gradients import Nonfinite, require_policy
from sandbox.shells.moving import moves_of
from sandbox.shells.rounding import Precision
from sandbox.shells.slot import Slot, bad_gradients, groups, more, restored, shared
from sandbox.shells.subspace_linear import SubspaceLinear, put, subspace_layers, trained
from sandbox.shells.ways import Ways

__all__ = ["Coefficients", "Subspace", "frame_of", "require_compressible", "swapped"]


@dataclass(frozen=True)
class Coefficients:
    """What RSO does to B alone: its own step in the coordinates of its basis, where P is the identity.

    inner: RSO, or WeightDecay around it, whose decay is of W and not of B.
    """

    inner: Rule

    def init(self, B: Tensor) -> State:
        return frame_of(self.inner).inner.init(B)

    def step(self, g: Tensor, state: State, B: Tensor) -> tuple[Tensor, State]:
        identity = like(torch.eye(B.shape[1], dtype=B.dtype, device=B.device), B)
        delta, moved = frame_of(self.inner).step(g, RSOState(identity, B, state), B)
        return delta, moved.inner


class Subspace(torch.optim.Optimizer):
    """Same rules, groups and schedules as `Stepwise`; it owns `model` and changes its layers.

    rules: one per parameter, by name. Where it is RSO, or WeightDecay around RSO, the weight of an nn.Linear becomes a
    `SubspaceLinear`; every other parameter moves as in the stepwise shell. Choose the names by role, before the swap.
    share: groups of such weights that read one x and share one P, drawn for the first of each.
    nonfinite: as in `Stepwise`; state_dtype too, for the rule of B.

    A saved run needs both: `model.state_dict()` holds W, P and B, `state_dict()` the states and the counts of steps.
    `merged(model)` is the state_dict of the plain model. Where `compress` has put the layers in before, they are taken; names,
    positions and draws are those of the plain model all the same.

    Raises ValueError, and leaves the model as it was, where `rules` misses or invents a name, for a weight that
    cannot be compressed (tied, not of an nn.Linear, with a frame of side 0 or inside another wrapper, or unlike the
    others of its group), and for layers that are there and not in the rules.
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
        share = [tuple(names) for names in share]
        if not subspace_layers(model):
            compress(model, rules, share=share)
        assigned, layers = assign(named := trained(model), rules), subspace_layers(model)
        require_adopted(layers, assigned)
        self._model, self._seed, self._precision = model, seed, Precision(state_dtype)
        self.nonfinite, self._ways = nonfinite, Ways("plain")
        self._slots: dict[Tensor, Slot] = {}
        self._layers: dict[Tensor, tuple[SubspaceLinear, int]] = {}  # B -> its layer, and the position that keys its draws
        position = {name: i for i, name in enumerate(named)}
        lead = {name: names[0] for names in share for name in names}
        for name in framed(assigned):
            self._layers[named[name]] = layers[name.rpartition(".")[0]], position[lead.get(name, name)]
        for name, w in named.items():
            rule = Coefficients(assigned[name]) if w in self._layers else assigned[name]
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
        moves = moves_of(self, self._slots, bad)
        for m in moves:
            if m.w in self._layers and isinstance(decay := m.rule.inner, WeightDecay):
                self._layers[m.w][0].shrink(learning_rate(decay) * decay.weight_decay)
        self._ways.move(moves)
        for m in moves:
            if m.w in self._layers and due(frame_of(m.slot.rule.inner), m.entry["step"]):
                self._begin_round(m.w, m.entry["step"])
        return loss

    @torch.no_grad()
    def _begin_round(self, B: Tensor, k: int) -> None:
        """Merges B into W and draws the P of the steps from k on; RSO's refresh does not look at a gradient."""
        (layer, position), slot, entry = self._layers[B], self._slots[B], self.state[B]
        frame, W, seen = frame_of(slot.rule.inner), layer.W, self._precision.seen(B.detach())
        layer.merge(seen)
        inner = read(slot.structure, entry) if k else slot.rule.init(seen)
        draw = frame.draw(generator(self._seed, position, k), tuple(W.shape))
        state = frame.refresh(W, RSOState(replicate(layer.P), seen, inner), W, draw)
        layer.turn(state.P)
        if k:
            write(state.inner, slot.structure, entry)
            self._ways.forget(B)

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
        own = ("_model", "_seed", "_precision", "_slots", "_layers", "_made", "_ways", "nonfinite")
        return super().__getstate__() | {name: self.__dict__[name] for name in own}
