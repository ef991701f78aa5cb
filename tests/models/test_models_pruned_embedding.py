"""Embedding pruning: equal to full training to the bit where it promises to be, different or refused where it does not."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sandbox.draws import generator
from sandbox.memory.meters import optimizer_bytes, tensor_bytes
from sandbox.models.base_model import load
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build
from sandbox.models.language import token_ids
from sandbox.models.llama import LlamaConfig
from sandbox.models.pruned_embedding import (
    Kept,
    PrunedEmbedding,
    expected_share,
    from_counts,
    full_state_dict,
    load_full_state_dict,
    prune,
    restore,
    used_ids,
)
from sandbox.models.roles import Role, roles
from sandbox.models.text import KJV
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.shells.stepwise import Stepwise

V, USED = 41, (0, 3, 4, 9, 17, 18, 30, 39, 40)
LLAMA = LlamaConfig(vocab=V, width=8, layers=1, heads=2, context=6)
GPT = GPTConfig(vocab=V, width=8, layers=1, heads=2, context=6, tied=False)
UNUSED = [i for i in range(V) if i not in USED]


def batch(k: int) -> torch.Tensor:
    return torch.tensor(USED)[torch.randint(len(USED), (3, 7), generator=generator(4, k))]


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range = range(12), clip: float | None = None) -> list[float]:
    losses = []
    for k in steps:
        tokens = batch(k)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip) if clip else None
        optimizer.step()
        losses.append(loss.item())
    return losses


def decay_elsewhere(model: nn.Module) -> torch.optim.AdamW:
    """AdamW whose decay spares the embedding."""
    table = model.embedding.weight
    return torch.optim.AdamW(
        [{"params": [p for p in model.parameters() if p is not table]}, {"params": [table], "weight_decay": 0.0}], 0.01
    )


def ours(rule, model: nn.Module) -> Stepwise:
    return Stepwise(model.named_parameters(), {name: rule for name, _ in model.named_parameters()})


def by_token(model: nn.Module) -> Stepwise:
    """Adam-mini with one second moment per row of the embedding."""
    rules = {name: Adam(0.01) for name, _ in model.named_parameters()}
    return Stepwise(model.named_parameters(), rules | {"embedding.weight": AdamMini(0.01, n_blocks=len(model.embedding.weight))})


EXACT = {
    "torch sgd": lambda model: torch.optim.SGD(model.parameters(), 0.1),
    "torch adam": lambda model: torch.optim.Adam(model.parameters(), 0.01),
    "torch adamw": decay_elsewhere,
    "momentum": partial(ours, GradientDescent(0.1, momentum=0.9)),
    "adam": partial(ours, Adam(0.01)),
    "adam-mini, a block per token": by_token,
}


def both(config=LLAMA, dtype: torch.dtype = torch.float32, decay: float = 0.0) -> tuple[nn.Module, nn.Module, Kept]:
    """The full model, its pruned copy, and what was taken out."""
    full, small = build(config, 0, dtype), build(config, 0, dtype)
    return full, small, prune(small, USED, weight_decay=decay, unused="leave" if decay else "refuse")


@pytest.mark.parametrize("config", [LLAMA, GPT], ids=["llama", "gpt"])
@pytest.mark.parametrize("name", EXACT)
def test_losses_and_used_rows_are_those_of_full_training_to_the_bit(name, config):
    """E1 and the first half of E2; float32. Nothing in a used row's arithmetic knows how many rows there are."""
    full, small, kept = both(config)
    start = full.embedding.weight.detach().clone()
    assert train(full, EXACT[name](full)) == train(small, EXACT[name](small))
    restore(small, kept)
    for key, w in full.state_dict().items():
        assert torch.equal(w, small.state_dict()[key]), key
    moved = (full.embedding.weight != start).any(1)
    assert moved[list(USED)].all() and not moved[UNUSED].any()


@pytest.mark.parametrize("name", EXACT)
def test_clipping_by_the_global_norm_is_exact_to_rounding(name):
    """The norm sums the same numbers, with zeros between them, in another order: relative 1e-14 a step in float64."""
    full, small, kept = both(dtype=torch.float64)
    assert train(full, EXACT[name](full), clip=0.1) == pytest.approx(train(small, EXACT[name](small), clip=0.1), rel=1e-11)
    restore(small, kept)
    for key, w in full.state_dict().items():
        torch.testing.assert_close(w, small.state_dict()[key], rtol=0, atol=1e-10)


def test_decoupled_decay_leaves_unused_rows_behind_until_they_are_shrunk():
    """E2: full AdamW multiplies an unused row by 1 - lr wd at every step; used rows and losses do not feel it."""
    full, small, kept = both(dtype=torch.float64, decay=0.5)
    made = [torch.optim.AdamW(model.parameters(), 0.02, weight_decay=0.5) for model in (full, small)]
    assert train(full, made[0]) == train(small, made[1])
    rows = full.embedding.weight.detach()
    assert torch.equal(rows[list(USED)], small.embedding.weight.detach())
    assert (rows[UNUSED] - kept.full(small.embedding.weight.detach())[UNUSED]).abs().max() > 1e-3
    restore(small, kept, shrink=(1 - 0.02 * 0.5) ** 12)
    torch.testing.assert_close(rows, small.embedding.weight.detach(), rtol=1e-14, atol=0)


def test_coupled_decay_moves_unused_rows_with_no_simple_factor():
    """L2 inside Adam: an unused row takes steps of about lr towards 0, whatever its size; no factor repairs that."""
    full, small, kept = both(dtype=torch.float64, decay=0.1)
    made = [torch.optim.Adam(model.parameters(), 0.01, weight_decay=0.1) for model in (full, small)]
    assert train(full, made[0]) == train(small, made[1])
    ratio = full.embedding.weight.detach()[UNUSED] / kept.full(small.embedding.weight.detach())[UNUSED]
    assert ratio.std() > 0.1


def test_a_rule_that_averages_over_the_table_is_changed():
    """AdaLomo divides by the RMS of its step over the whole table, unused rows included."""
    full, small, _ = both(dtype=torch.float64)
    losses = train(full, ours(AdaLomo(0.05), full)), train(small, ours(AdaLomo(0.05), small))
    assert losses[0][0] == losses[1][0] and abs(losses[0][-1] - losses[1][-1]) > 1e-4


def test_a_tied_table_is_refused_because_its_unused_rows_move():
    """E3: the softmax gives every row of the output matrix a gradient."""
    tied = build(GPTConfig(vocab=V, width=8, layers=1, heads=2, context=6, tied=True), 0)
    with pytest.raises(ValueError, match="embedding.weight is tied to head.weight: its unused rows get a gradient from the softmax"):
        prune(tied, USED, weight_decay=0)
    start = tied.embedding.weight.detach().clone()
    train(tied, torch.optim.SGD(tied.parameters(), 0.1), range(1))
    assert (tied.embedding.weight != start).any(1)[UNUSED].all()


def test_sixteen_bytes_are_saved_per_unused_number_and_four_are_spent_per_id():
    """E4: weight, gradient and Adam's two moments in float32; the map is int32."""
    full, small, kept = both()
    found = []
    for model in (full, small):
        optimizer = ours(Adam(0.01), model)
        train(model, optimizer)
        bytes_of = tensor_bytes([*model.parameters(), *(p.grad for p in model.parameters())]) + optimizer_bytes(optimizer)
        found.append((bytes_of, tensor_bytes(model.buffers())))
    assert found[0][0] - found[1][0] == 16 * (V - len(USED)) * 8
    assert found[1][1] == 4 * V and found[0][1] == 0
    assert kept.unused.shape == (V - len(USED), 8)


@pytest.mark.parametrize(("token", "count"), [(5, 1), (41, 1), (-1, 2)])
def test_an_unseen_id_is_named(token, count):
    """E6, and ids that no vocabulary has; -1 must not read the last row."""
    _, small, _ = both()
    tokens = torch.tensor([[3, 4, 9]])
    tokens[0, 3 - count :] = token
    with pytest.raises(ValueError, match=f"token id {token} has no row: .* 9 of 41 ids, and {count} of 3 tokens"):
        small(tokens)
    assert small(torch.tensor([[3, 40, 0]])).isfinite().all()


def test_state_dicts_of_the_full_shape_come_and_go():
    full, small, kept = both()
    assert all(torch.equal(w, full_state_dict(small, kept)[key]) for key, w in full.state_dict().items())
    assert list(full_state_dict(small, kept)) == list(full.state_dict())
    train(small, torch.optim.SGD(small.parameters(), 0.1))
    saved = full_state_dict(small, kept)
    again = build(LLAMA, 1, torch.float32)
    taken = load_full_state_dict(again, prune(again, USED, weight_decay=0), saved)
    assert torch.equal(again(batch(0)[:, :-1]), small(batch(0)[:, :-1]))
    restore(again, taken)
    assert all(torch.equal(again.state_dict()[key], w) for key, w in saved.items()) and type(again.embedding) is nn.Embedding


def test_the_order_and_the_count_of_the_ids_do_not_matter():
    counts = torch.zeros(V, dtype=torch.long)
    counts[list(USED)] = torch.arange(1, 10)
    assert from_counts(counts).tolist() == list(USED) == used_ids(torch.tensor([USED]).flip(1), torch.tensor(USED[:3])).tolist()
    small, other = build(LLAMA, 0), build(LLAMA, 0)
    kept = [prune(small, USED, weight_decay=0), prune(other, [*reversed(USED), 3], weight_decay=0)]
    assert torch.equal(small.embedding.weight, other.embedding.weight) and torch.equal(kept[0].used, kept[1].used)
    assert roles(small)["embedding.weight"].kind == "embedding" and isinstance(small.embedding, PrunedEmbedding)


def test_a_frozen_table_stays_frozen():
    model = build(LLAMA, 0)
    model.embedding.weight.requires_grad_(False)
    kept = prune(model, USED, weight_decay=0)
    assert not model.embedding.weight.requires_grad
    restore(model, kept)
    assert not model.embedding.weight.requires_grad


class Padded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, 4, padding_idx=0)


class Foreign(nn.Module):
    """A head of its own, which no table of roles knows."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.out = nn.Embedding(V, 4), nn.Linear(4, V, bias=False)

    def forward(self, tokens):
        return self.out(self.embedding(tokens))


def test_roles_of_unknown_parameters_may_be_given():
    """And the pruned table is still an embedding to whoever asks, such as Adam-mini's partition."""
    model, head = Foreign(), {"out.weight": Role("head", (1,), (0,))}
    before = model(batch(0))
    kept = prune(model, USED, weight_decay=0, roles=head)
    assert len(model.embedding.weight) == len(USED) and kept.vocab == V and torch.equal(model(batch(0)), before)
    assert roles(model, head)["embedding.weight"].kind == "embedding"


def pruned_twice() -> None:
    full, small, kept = both()
    restore(full, kept)


REFUSED = [
    (lambda: prune(build(LLAMA, 0), (3, 41), weight_decay=0), r"lie in 0 .. 40, got 2: 3 .. 41"),
    (lambda: prune(build(LLAMA, 0), (-1, 4), weight_decay=0), r"got 2: -1 .. 4"),
    (lambda: prune(build(LLAMA, 0), (), weight_decay=0), r"got 0: none"),
    (lambda: prune(build(LLAMA, 0), torch.ones(41) > 0, weight_decay=0), r"must be integers, got torch.bool; .* mask.nonzero"),
    (lambda: prune(build(LLAMA, 0), (1.5, 2.0), weight_decay=0), r"must be integers, got torch.float32"),
    (lambda: prune(build(LLAMA, 0), USED, weight_decay=0.1, unused="keep"), 'unused must be "refuse" or "leave", got \'keep\''),
    (lambda: prune(build(LLAMA, 0), USED, weight_decay=0.1), r"weight decay 0.1 would move the 32 unused rows in full training"),
    (lambda: prune(nn.Sequential(nn.LayerNorm(3)), USED, weight_decay=0), r"one token embedding, got 0: \[\]"),
    (lambda: prune(Padded(), USED, weight_decay=0), "must belong to a plain nn.Embedding"),
    (pruned_twice, "embedding must be an embedding pruned to 9 rows, got Embedding"),
]


@pytest.mark.parametrize(("make", "sentence"), REFUSED, ids=[sentence[:25] for _, sentence in REFUSED])
def test_what_would_not_be_exact_is_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_the_expected_share_of_used_ids_under_zipf():
    """E5, for V = 50000 and p proportional to 1 / rank: the figures of the dossier, to their last digit; and a coin by hand."""
    p = 1 / torch.arange(1, 50001, dtype=torch.float64)
    found = [expected_share(p / p.sum(), n) for n in (10**3, 10**4, 10**5, 10**6)]
    assert [round(100 * x, 1) for x in found] == pytest.approx([1.2, 7.9, 39, 95], rel=0.015)
    assert expected_share(torch.tensor([0.5, 0.5]), 2) == 0.75


def test_real_text_uses_fewer_ids_than_independent_draws_would():
    """E5: the curve rises with the text and lies below that of draws with the same frequencies: words come in clusters."""
    vocab, ids = 1024, token_ids(KJV, load().tokenizer, "tune")
    frequency = torch.bincount(ids, minlength=vocab) / len(ids)
    sizes = (300, 1000, 3000, 10000)
    found = [len(used_ids(ids[:n])) / vocab for n in sizes]
    assert found == sorted(found) and found[0] < 0.3 < found[-1]
    assert all(share < expected_share(frequency, n) for share, n in zip(found, sizes, strict=True))
