"""Halves against wholes, bytes against those counted by hand, LayerNorm against itself written out, and devices that stay."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sandbox.curvature.dense import dense
from sandbox.curvature.objective import Composite, objective, supervised
from sandbox.curvature.operators import gauss_newton, hessian
from sandbox.curvature.parts import Made, gauss_newton_strip, gauss_newton_whole, hessian_strip, hessian_whole
from sandbox.draws import generator, normal
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import initial, skeleton

GPT = GPTConfig(vocab=5, width=8, layers=1, heads=2, context=4, ffn=8)
TOKENS = torch.randint(0, 5, (6, 5), generator=generator(51))
LOSS = Composite(
    lambda p, b: torch.func.functional_call(skeleton(GPT), p, (b[:, :-1],)).flatten(0, 1),
    lambda z, b: F.cross_entropy(z, b[:, 1:].flatten()),
)
MATRICES = pytest.mark.parametrize("matrix_of", [hessian, gauss_newton])


def of_gpt(batches=(TOKENS,)):
    params = {name: value + 0.3 * normal(tuple(value.shape), generator(52, i)) for i, (name, value) in enumerate(initial(GPT, 0).items())}
    return objective(LOSS, {name: value.double() for name, value in params.items()}, list(batches))


@MATRICES
@pytest.mark.parametrize("batches", [(TOKENS,), (TOKENS[:4], TOKENS[4:])], ids=["one", "ragged"])
def test_halves_are_the_whole(matrix_of, batches):
    """Every tensor alone (chunk 1) and small neighbours together (64), against whole rows; sums of some hundred products of size one."""
    matrix = matrix_of(of_gpt(batches))
    whole = dense(replace(matrix, strip=None))
    assert np.abs(whole).max() > 0.1
    for chunk in (1, 64):
        np.testing.assert_allclose(dense(matrix, chunk=chunk), whole, rtol=0, atol=1e-12)


@MATRICES
def test_cost_bounds_what_comes_into_being(matrix_of):
    """The graph and 1, 3 and 8 rows of the whole and of the first strip: never more than counted, and not less than a third of it."""
    one = of_gpt()
    cost = matrix_of(one).cost
    whole, strip = (hessian_whole, hessian_strip) if matrix_of is hessian else (gauss_newton_whole, gauss_newton_strip)
    for build, width in ((lambda: whole(one, TOKENS), len(one.at)), (lambda: strip(one, TOKENS, range(0, 1)), 40)):
        with Made() as graph:
            times = build()
        assert graph.bytes <= cost.graph
        for k in (1, 3, 8):
            rows = torch.eye(k, width, dtype=torch.float64)
            with Made() as made:
                times(rows)
            assert k * cost.row / 3 <= made.bytes <= k * cost.row + 8 * k * len(one.at)


@MATRICES
def test_of_ragged_batches_the_cost_is_that_of_the_largest(matrix_of):
    """Two samples and four: in either order twice the bytes that two and two would cost, but for what does not grow with samples."""
    orders = [matrix_of(of_gpt(parts)).cost for parts in ((TOKENS[:2], TOKENS[2:]), (TOKENS[2:], TOKENS[:2]))]
    assert orders[0] == orders[1]
    assert orders[0].row > 1.5 * matrix_of(of_gpt((TOKENS[:2], TOKENS[2:4]))).cost.row


def test_bytes_made_are_counted_once():
    """8 bytes each: a sum (10), a view and a write in place (nothing), a row that two make (20), one that a list makes (15)."""
    x = torch.ones(10, dtype=torch.float64)
    with Made() as made:
        y = x + 1
        y.view(2, 5).mul_(2)
        torch.cat([x, y])
        torch.stack([x[:5], y[:5], y[5:]])
    assert made.bytes == 8 * (10 + 20 + 15)


class WrittenOut(nn.Module):
    """LayerNorm by means, as an independent way to its second derivatives."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))

    def forward(self, x):
        away = x - x.mean(-1, keepdim=True)
        return away * (away.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * self.weight + self.bias


@MATRICES
def test_layer_norm_has_all_its_second_derivatives(matrix_of):
    """Rows of its weight against columns before it vanish in torch.func.hessian and in products of curvlinops 3.0.1 (torch 2.13): both
    map the first backward pass and differentiate it after that. Here that pass is never mapped. The truth is the norm written out.
    """
    found = []
    for norm in (nn.LayerNorm(4), WrittenOut()):
        model = nn.Sequential(nn.Linear(3, 4), norm, nn.Linear(4, 2)).double()
        params = {name: normal(tuple(p.shape), generator(53, i)) for i, (name, p) in enumerate(model.named_parameters())}
        data = (normal((7, 3), generator(54)), torch.tensor([0, 1, 1, 0, 1, 0, 0]))
        found.append(dense(matrix_of(objective(supervised(model, F.cross_entropy), params, [data]))))
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-12)  # sums of seven products of size one
    assert np.abs(found[0][16:20, :16]).max() > 1e-3


def test_tensors_stay_on_their_device():
    """On the meta device a product of a tensor made elsewhere is an error, so nothing in the four ways names a device."""
    params = {"W": torch.empty(4, 3, device="meta"), "b": torch.empty(4, device="meta"), "V": torch.empty(2, 4, device="meta")}
    loss = Composite(lambda p, b: (b @ p["W"].T + p["b"]).tanh() @ p["V"].T, lambda z, b: z.square().mean())
    batch = torch.empty(6, 3, device="meta")
    one = objective(loss, params, [batch], dtype=torch.float32)
    for whole in (hessian_whole, gauss_newton_whole):
        found = whole(one, batch)(torch.empty(2, 24, device="meta"))
        assert (found.device.type, found.shape, found.dtype) == ("meta", (2, 24), torch.float32)
    for strip in (hessian_strip, gauss_newton_strip):
        found = strip(one, batch, range(1, 2))(torch.empty(5, 4, device="meta"))
        assert (found.device.type, found.shape) == ("meta", (5, 12))
