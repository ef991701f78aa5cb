"""Formula = meter, exactly: what a block keeps with full weights and with RSO layers, and what is summed over ranks."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sandbox.memory.meters import saved_bytes
from sandbox.memory.subspace import Block, saved_full, saved_subspace, summed_over_ranks
from sandbox.models import gpt, llama
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.rso import RSO
from sandbox.shells.subspace import Subspace

QKV = tuple(f"attention.{part}.weight" for part in ("query", "key", "value"))
SIZES = [(2, 6, 16, 4, 64, 4), (1, 5, 12, 2, 20, 12), (3, 1, 8, 4, 24, 1)]  # b, s, n, h, f, r


class ReLU(nn.Module):
    """A feed-forward layer with the other nonlinearity."""

    def __init__(self, n: int, f: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(n, f), nn.Linear(f, n)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(F.relu(self.up(x)))


def module(sizes: tuple[int, ...], nonlinearity: str) -> tuple[nn.Module, tuple]:
    """A block, and what it wants beside x."""
    _, s, n, h, f, _ = sizes
    if nonlinearity == "swiglu":
        turn = llama.angles(torch.arange(s), n // h, 1e4)
        return llama.Block(llama.LlamaConfig(vocab=5, width=n, heads=h, ffn=f)), (turn.cos().float(), turn.sin().float())
    block = gpt.Block(gpt.GPTConfig(vocab=5, width=n, heads=h, ffn=f))
    block.ffn = block.ffn if nonlinearity == "gelu" else ReLU(n, f)
    return block, ()


def compress(block: nn.Module, rank: int, shared: tuple = ()) -> None:
    rule = RSO(Adam(0.1), rank, update_gap=10)
    Subspace(block, {name: rule if p.ndim == 2 else Adam(0.1) for name, p in block.named_parameters()}, share=shared)


def numbers_kept(block: nn.Module, extra: tuple, b: int, s: int) -> float:
    """Numbers of float32, without norms (measured alone), the mask (s^2 bytes) and the angles (4 bytes each)."""
    own = [*block.parameters(), *block.buffers()]

    def meter(part, *others) -> int:
        x = torch.randn(b, s, block.attention_norm.weight.shape[0], requires_grad=True)
        return saved_bytes(lambda: part(x, *others), own)

    norms = meter(block.attention_norm) + meter(block.ffn_norm)
    return (meter(block, *extra) - norms - s * s - 4 * sum(x.numel() for x in extra)) / 4


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("nonlinearity", ["gelu", "relu", "swiglu"])
def test_a_block_keeps_what_the_formula_says(nonlinearity, sizes):
    b, s, n, h, f, r = sizes
    counted = Block(b, s, n, h, f, nonlinearity)
    layers = 7 if nonlinearity == "swiglu" else 6
    assert numbers_kept(*module(sizes, nonlinearity), b, s) == saved_full(counted)
    for shared, projections in (((), layers), ([QKV], layers - 2)):
        block, extra = module(sizes, nonlinearity)
        compress(block, r, shared)
        assert numbers_kept(block, extra, b, s) == saved_subspace(counted, r, projections=projections)
    assert saved_subspace(counted, r) == saved_subspace(counted, r, projections=layers)


def test_the_formulas_of_the_documentation():
    """b, s, n, h, r = 2, 6, 16, 4, 4: bsn = 192, bsr = 48, bhs^2 = 288; f = 4n, and 40 for SwiGLU."""
    gelu, relu, swiglu = Block(2, 6, 16, 4, 64), Block(2, 6, 16, 4, 64, "relu"), Block(2, 6, 16, 4, 40, "swiglu")
    assert (saved_full(gelu), saved_subspace(gelu, 4)) == (14 * 192 + 288, 7 * 192 + 6 * 48 + 288)
    assert saved_subspace(gelu, 4, projections=4) == 7 * 192 + 4 * 48 + 288
    assert saved_full(relu) - saved_subspace(relu, 0) == 3 * 192
    assert (saved_full(swiglu), saved_subspace(swiglu, 4)) == (12 * (96 + 160) + 288, 12 * (48 + 120) + 7 * 48 + 288)


@pytest.mark.parametrize(("n", "r"), [(8, 2), (12, 3)])
def test_nine_nr_instead_of_twelve_n_squared_are_summed_over_ranks(n, r):
    """Against the gradients that a backward pass leaves, vectors (norms and biases) apart."""
    seen, block = {}, gpt.Block(gpt.GPTConfig(vocab=5, width=n, heads=2))
    shapes = {name: tuple(p.shape) for name, p in block.named_parameters() if p.ndim == 2}
    for rank in (None, r):
        compress(block, r) if rank else None
        block(torch.randn(2, 3, n)).sum().backward()
        seen[rank] = sum(p.grad.numel() for p in block.parameters() if p.grad.ndim == 2)
        block.zero_grad()
    assert seen[None] == summed_over_ranks(shapes, {}) == 12 * n * n
    assert seen[r] == summed_over_ranks(shapes, dict.fromkeys(shapes, r)) == 9 * n * r
    assert summed_over_ranks({"up.weight": (4 * n, n), "up.bias": (4 * n,)}, {"up.weight": r}) == block.ffn.up.B.numel() + 4 * n


def test_only_matrices_have_a_rank():
    with pytest.raises(ValueError, match=r"ranks must name matrices among the 1 shapes, got 'b' with \(3,\)"):
        summed_over_ranks({"b": (3,)}, {"b": 2})
