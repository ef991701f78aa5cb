"""Adding at the moment of reading: the same function as with changed weights, on every kind of read, and nothing written."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from sandbox.draws import generator, normal
from sandbox.perturbations.reading import AddedAtRead

X = normal((2, 6), generator(1)).float()


class Tied(nn.Module):
    """Embedding and head are one tensor; the norm, the slice, the transpose and the list are other ways of reading one."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(9, 6), nn.Linear(6, 9, bias=False)
        self.head.weight = self.embedding.weight
        self.norm, self.mix = nn.LayerNorm(6), nn.Linear(6, 6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, tokens):
        x = self.norm(self.embedding(tokens))
        x = x + self.attention(x, x, x, need_weights=False)[0]
        x = x @ self.mix.weight.T + self.mix.bias[:1] + torch.cat([self.mix.bias, self.mix.bias]).view(2, 6).sum(0)
        return self.head(x * self.mix.weight[0]) + self.mix.weight.square().sum()


def tied() -> tuple[Tied, dict[str, torch.Tensor]]:
    model = Tied().eval().double()
    added = {name: 0.1 * normal(tuple(w.shape), generator(2, i)) for i, (name, w) in enumerate(model.named_parameters())}
    return model, added


def mode(model, added) -> AddedAtRead:
    return AddedAtRead({w: lambda name=name, w=w: w + added[name] for name, w in model.named_parameters()})


@torch.no_grad()
def test_a_forward_pass_is_that_of_the_changed_weights_and_writes_nothing():
    model, added = tied()
    tokens = torch.arange(8).view(2, 4)
    before = {name: w.clone() for name, w in model.named_parameters()}
    with mode(model, added) as reading:
        seen = model(tokens)
    assert all(torch.equal(w, before[name]) for name, w in model.named_parameters()) and reading.reads >= 10
    for name, w in model.named_parameters():
        w.add_(added[name])
    torch.testing.assert_close(seen, model(tokens), rtol=1e-12, atol=1e-12)  # attention has a fused path and a plain one


@torch.no_grad()
def test_functional_call_is_read_by_identity_too():
    layer, w = nn.Linear(6, 3, bias=False), normal((3, 6), generator(4)).float()
    with AddedAtRead({w: lambda: w + 1}):
        seen = functional_call(layer, {"weight": w}, (X,))
    assert torch.equal(seen, F.linear(X, w + 1))
    with AddedAtRead({w: lambda: w + 1}) as reading:
        assert torch.equal(layer(X), F.linear(X, layer.weight))  # another tensor, not touched
    assert reading.reads == 0


@torch.no_grad()
def test_looking_at_shapes_makes_no_copy():
    w = nn.Parameter(torch.ones(3, 4))
    with AddedAtRead({w: lambda: w + 1}) as reading:
        assert (w.shape, w.size(0), w.dim(), w.ndim, w.numel(), len(w)) == ((3, 4), 3, 2, 2, 12, 3)
        assert (w.dtype, w.device.type, w.requires_grad, w.is_leaf, w.grad) == (torch.float32, "cpu", True, True, None)
        assert w.is_floating_point() and w.is_contiguous() and w.stride() == (4, 1)
    assert reading.reads == 0


@torch.no_grad()
@pytest.mark.parametrize(
    "write",
    [
        lambda w: w.add_(1),
        lambda w: w.__setitem__(0, 1.0),
        lambda w: w.__imul__(2),
        lambda w: w.copy_(w),
        lambda w: torch.add(X[0, :3], 1.0, out=w),
        lambda w: torch.sort(X[0, :3], out=(w, torch.zeros(3, dtype=torch.long))),
        lambda w: torch._foreach_add_([w], 1.0),
        lambda w: F.relu(w, inplace=True),
    ],
)
def test_a_forward_pass_that_writes_a_weight_is_an_error(write):
    w = nn.Parameter(torch.ones(3))
    with (
        AddedAtRead({w: lambda: w + 1}),
        pytest.raises(RuntimeError, match="the forward pass writes a weight by .*, but a weight is read-only"),
    ):
        write(w)
    assert torch.equal(w, torch.ones(3))


@torch.no_grad()
@pytest.mark.parametrize(
    "read", [int, lambda w: range(9)[w.long()], lambda w: [*w.view(1)][0].item(), lambda w: F.relu(w * 1, inplace=True)]
)
def test_a_number_is_read_and_not_written(read):
    """Some of these names begin as those of operations in place do."""
    w = nn.Parameter(torch.tensor(3.0))
    with AddedAtRead({w: lambda: w + 1}):
        assert read(w) == 4


@torch.no_grad()
def test_after_the_block_weights_are_themselves():
    w = nn.Parameter(torch.ones(3))
    with AddedAtRead({w: lambda: w + 1}):
        assert float(w.sum()) == 6
    assert float(w.sum()) == 3
