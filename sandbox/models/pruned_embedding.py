"""Embedding pruning: train with the rows of the embedding that the data use, and put them back afterwards.

    used = sorted distinct ids of the data;   row(id) = position of id in used;   E' = E[used]        (V', D) for (V, D)
    after training:  E[used] <- E',  every other row as it was

Exact for an untied embedding, because a row that is never looked up has gradient 0: the losses and the used rows are those
of full training, to the bit, for every rule whose entries (or rows) move by themselves and leave alone what has no
gradient (SGD, momentum, Adam, AdamW without decay). Global-norm clipping sees the same norm, whose sum runs in another
order: to rounding. Not exact, and refused or told apart:

    tied output matrix          unused rows get a gradient from the softmax               refused
    weight decay                shrinks unused rows in full training                      refused, unless "leave"
                                decoupled: every unused row times prod (1 - lr_k wd)      restore(shrink=that product)
    an id outside `used`        has no row                                                ValueError in the forward pass
    factored rules, one second moment per tensor, frames     mix rows, so they see V' and not V: other numbers

Saved: (V - V') D numbers of weight, gradient and optimizer state, 16 (V - V') D bytes in float32 with Adam; the map of ids
costs 4 V bytes.

Source: Williams & Aletras (2023), https://arxiv.org/abs/2309.08708: the body was not read; algorithm from the public
code (second-hand).  Departures from the code: an unseen id is an error that names it, where the code
maps it to -1; the ids are the caller's, where the code counts all splits, the test split too; no row is pinned for
padding (every id keeps its meaning, through the map); the unused rows are handed to the caller, not to a temporary file.

Letters: V vocabulary, V' used ids, D width, B batch, T time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sandbox.models.roles import Role
from sandbox.models.roles import roles as roles_of

Unused = Literal["refuse", "leave"]


class PrunedEmbedding(nn.Module):
    """Stands where an nn.Embedding stood: `weight` holds the used rows, (V', D), `row` their numbers, (V,), -1 for none."""

    def __init__(self, weight_UD: Tensor, used_U: Tensor, vocab: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight_UD)
        row_V = torch.full((vocab,), -1, dtype=torch.int32, device=weight_UD.device)
        row_V[used_U.to(row_V.device)] = torch.arange(len(used_U), dtype=torch.int32, device=row_V.device)
        self.register_buffer("row", row_V, persistent=False)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """(B, T, D). Raises ValueError for an id that was not among the used ones, or that no vocabulary has."""
        V = len(self.row)
        inside_BT = (tokens_BT >= 0) & (tokens_BT < V)
        rows_BT = self.row[torch.where(inside_BT, tokens_BT, 0)]
        unseen_BT = ~inside_BT | (rows_BT < 0)
        if unseen_BT.any():
            token = int(tokens_BT[unseen_BT][0])
            raise ValueError(
                f"token id {token} has no row: the embedding was pruned to {len(self.weight)} of {V} ids, and {int(unseen_BT.sum())} of "
                f"{tokens_BT.numel()} tokens here are not among them; count this data too before pruning, or restore the model first"
            )
        return F.embedding(rows_BT, self.weight)


@dataclass(frozen=True, eq=False)
class Kept:
    """What `prune` took out, to be kept wherever there is room.

    name: of the embedding's module.  used: (V',) ids, ascending.  unused: (V - V', D) rows, in the order of their ids.
    """

    name: str
    used: Tensor = field(repr=False)
    unused: Tensor = field(repr=False)

    @property
    def vocab(self) -> int:
        return len(self.used) + len(self.unused)

    def full(self, rows_UD: Tensor, shrink: float = 1.0) -> Tensor:
        """The full table, (V, D): `rows_UD` in the used places, `shrink` times the old rows elsewhere."""
        table = rows_UD.new_empty(self.vocab, rows_UD.shape[1])
        others = torch.ones(self.vocab, dtype=torch.bool, device=table.device)
        others[self.used.to(table.device)] = False
        table[others] = self.unused.to(table) * shrink
        table[~others] = rows_UD
        return table


def used_ids(*splits: Tensor) -> Tensor:
    """The distinct ids of all splits, ascending, int64; give every split that the model will ever read."""
    return torch.cat([split.flatten() for split in splits]).unique()


def from_counts(counts_V: Tensor) -> Tensor:
    """The ids whose count is not 0, ascending."""
    return counts_V.nonzero().flatten()


def expected_share(probabilities_V: Tensor, tokens: int) -> float:
    """Mean share of the vocabulary that `tokens` independent draws use: mean of 1 - (1 - p)^n."""
    return (1 - (1 - probabilities_V.double()) ** tokens).mean().item()


def prune(
    model: nn.Module,
    used: Iterable[int] | Tensor,
    *,
    weight_decay: float,
    unused: Unused = "refuse",
    roles: Mapping[str, Role] | None = None,
) -> Kept:
    """Replaces the token embedding of `model` by its used rows, before an optimizer is made; `restore` undoes it.

    used: ids, in any order.  weight_decay: of the rule that will move the embedding: say 0 where there is none.  unused: what to
    do where decay would move the unused rows: refuse, or leave them as they are, which is then not full training.  roles: of
    parameters whose modules the package does not know (sandbox/models/roles.py).

    Raises ValueError for a model without exactly one token embedding, for a tied one, for ids that are missing, no integers or
    outside the vocabulary, and for weight decay.
    """
    name, embedding = token_embedding(model, roles)
    V, used = embedding.num_embeddings, distinct(used)
    if unused not in get_args(Unused):
        raise ValueError(f'unused must be "refuse" or "leave", got {unused!r}')
    if not len(used) or used[0] < 0 or used[-1] >= V:
        ends = f"{int(used[0])} .. {int(used[-1])}" if len(used) else "none"
        raise ValueError(f"used ids must be at least one and lie in 0 .. {V - 1}, got {len(used)}: {ends}")
    if weight_decay and unused == "refuse":
        raise ValueError(
            f"weight decay {weight_decay} would move the {V - len(used)} unused rows in full training, and pruning leaves them: give "
            'the embedding a rule without decay, or say unused="leave" (where decay is decoupled, restore with shrink= the product '
            "of 1 - lr wd)"
        )
    others = torch.ones(V, dtype=torch.bool)
    others[used] = False
    table = embedding.weight.detach()
    pruned = PrunedEmbedding(table[used.to(table.device)], used, V)
    pruned.weight.requires_grad_(embedding.weight.requires_grad)
    _put(model, name, pruned)
    return Kept(name, used, table[others.to(table.device)].clone())


def restore(model: nn.Module, kept: Kept, *, shrink: float = 1.0) -> None:
    """Puts a full nn.Embedding back, with the trained rows in their places.

    shrink: factor of the unused rows. With decoupled weight decay full training makes it the product of 1 - lr wd over the steps.
    """
    pruned = _pruned(model, kept)
    table = kept.full(pruned.weight.detach(), shrink)
    embedding = nn.Embedding(*table.shape, device="meta")
    embedding.weight = nn.Parameter(table, requires_grad=pruned.weight.requires_grad)
    _put(model, kept.name, embedding)


def full_state_dict(model: nn.Module, kept: Kept) -> dict[str, Tensor]:
    """The state_dict of the model as it was before pruning, with the rows as they are now."""
    _pruned(model, kept)
    key = f"{kept.name}.weight"
    return {name: kept.full(x) if name == key else x for name, x in model.state_dict().items()}


def load_full_state_dict(model: nn.Module, kept: Kept, state: dict[str, Tensor]) -> Kept:
    """Loads a state_dict of the full model into the pruned one; returns what is then kept, its unused rows."""
    _pruned(model, kept)
    key, others = f"{kept.name}.weight", torch.ones(kept.vocab, dtype=torch.bool)
    others[kept.used] = False
    model.load_state_dict({name: x[kept.used.to(x.device)] if name == key else x for name, x in state.items()})
    return Kept(kept.name, kept.used, state[key][others.to(state[key].device)].clone())


def distinct(ids: Iterable[int] | Tensor) -> Tensor:
    """The ids once each, ascending, int64. Raises ValueError for numbers that are no integers."""
    ids = ids if isinstance(ids, Tensor) else torch.tensor(list(ids))
    if len(ids) and (ids.is_floating_point() or ids.dtype == torch.bool):
        raise ValueError(f"used ids must be integers, got {ids.dtype}; the ids of a mask are mask.nonzero()")
    return ids.long().unique()


def token_embedding(model: nn.Module, roles: Mapping[str, Role] | None = None) -> tuple[str, nn.Embedding]:
    """The one untied table of tokens. Raises ValueError where it is not one, is tied, or is not a plain nn.Embedding."""
    found = {name: role for name, role in roles_of(model, roles).items() if role.kind == "embedding"}
    if len(found) != 1:
        raise ValueError(f"pruning needs a model with one token embedding, got {len(found)}: {list(found)}")
    ((parameter, role),) = found.items()
    if role.tied_to:
        raise ValueError(
            f"{parameter} is tied to {', '.join(role.tied_to)}: its unused rows get a gradient from the softmax, so pruning would change "
            "training; untie them, or train the full table"
        )
    module = model.get_submodule(parameter.rpartition(".")[0])
    if type(module) is not nn.Embedding or module.max_norm is not None or module.padding_idx is not None or module.scale_grad_by_freq:
        raise ValueError(f"{parameter} must belong to a plain nn.Embedding without padding_idx, max_norm and scaling, got {module}")
    return parameter.rpartition(".")[0], module


def _pruned(model: nn.Module, kept: Kept) -> PrunedEmbedding:
    module = model.get_submodule(kept.name)
    if not isinstance(module, PrunedEmbedding) or len(module.weight) != len(kept.used):
        raise ValueError(
            f"{kept.name} must be an embedding pruned to {len(kept.used)} rows, got {module}; restore a model once, with its own rows"
        )
    return module


def _put(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, module)
