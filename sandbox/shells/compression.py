"""Which linear layers of a model RSO compresses: checked first, then put in their place.

    compress(model, rules)            swaps them in; on the meta device too, before a model has numbers or is sharded
    as_parameters(model)              W and P for FSDP, which shards parameters and leaves buffers whole on every rank

`Subspace` does the first itself where a model has no such layers yet, and else takes those that are there.
"""

from collections.abc import Collection, Iterable, Mapping

from torch import Tensor, nn

from sandbox.optimizers.base import Rule
from sandbox.optimizers.parameter_scale import levels
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.assignment import assign
from sandbox.shells.subspace_linear import FIXED, Projection, SubspaceLinear, put, subspace_layers


def frame_of(rule: Rule) -> Rule:
    return rule.inner if isinstance(rule, WeightDecay) else rule


def framed(assigned: Mapping[str, Rule]) -> list[str]:
    """The names whose rule compresses."""
    return [name for name, rule in assigned.items() if isinstance(frame_of(rule), RSO)]


def compress(model: nn.Module, rules: Mapping[str, Rule], *, share: Iterable[Collection[str]] = ()) -> None:
    """Puts a layer in a subspace where the rule of a weight is RSO, or WeightDecay around it. rules, share: as in `Subspace`.

    Raises ValueError, and leaves the model as it was, as `Subspace` does.
    """
    named = dict(model.named_parameters())
    assigned, share = assign(named, rules), [tuple(names) for names in share]
    chosen = framed(assigned)
    for name, rule in assigned.items():
        require_known_wrapper(name, rule)
    for name in chosen:
        require_compressible(model, name, frame_of(assigned[name]))
    require_alike(named, assigned, chosen, share)
    projections = {name: made for names in share for made in [Projection(len(names))] for name in names}
    for name in chosen:
        swapped(model, name, frame_of(assigned[name]).rank, projections.get(name))


def as_parameters(model: nn.Module) -> None:
    """W and P become parameters that ask for no gradient: sharded by rows, gathered for a pass in its dtype, kept in a checkpoint.

    As buffers they would be whole on every rank: n r numbers for P, where its rank's part of W has m n / ranks.
    """
    for layer in subspace_layers(model).values():
        for name in FIXED:
            fixed = getattr(layer, name)
            delattr(layer, name)
            layer.register_parameter(name, nn.Parameter(fixed, requires_grad=False))


def require_adopted(layers: Mapping[str, SubspaceLinear], assigned: Mapping[str, Rule]) -> None:
    """Raises ValueError unless the layers that are there are those that the rules ask for, of the same ranks."""
    asked = {name: frame_of(assigned[name]).rank for name in framed(assigned)}
    found = {f"{path}.weight": layer.P.shape[1] for path, layer in layers.items()}
    if wrong := sorted(name for name in asked.keys() | found.keys() if asked.get(name) != found.get(name)):
        name = wrong[0]
        raise ValueError(
            f"the model has layers in subspaces already, and {name} is there with rank {found.get(name)} where its rule has rank "
            f"{asked.get(name)}; compress a plain model with these rules, or call remove() of the shell that made the layers"
        )


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
