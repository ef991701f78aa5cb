"""The two minima: where they are, that there are no others, and the certified L."""

import math

import pytest
import torch

from sandbox.problems.two_minima import TwoMinima, grid, minimiser, reached_global


def f(xy):
    return TwoMinima().loss({"xy": xy}, None)


def test_the_loss_by_hand_at_the_origin():
    assert float(f(torch.zeros(2, dtype=torch.float64))) == pytest.approx(-5 * math.exp(-5), rel=1e-15)


@pytest.mark.parametrize(("near", "x", "value"), [(-1.0, -0.9363, -2.0631), (1.0, 0.9053, -1.0927)])
def test_both_minima_are_where_the_notes_say(near, x, value):
    at = torch.tensor([minimiser(near), 0.0], dtype=torch.float64)
    assert float(at[0]) == pytest.approx(x, abs=5e-5) and float(f(at)) == pytest.approx(value, abs=5e-5)  # four digits
    assert torch.func.grad(f)(at).abs().max() < 1e-14
    assert torch.linalg.eigvalsh(torch.func.hessian(f)(at))[0] > 0


def test_a_descent_from_every_grid_point_ends_in_one_of_the_two():
    xy = grid(TwoMinima(), 21)["xy"]
    slope = torch.func.vmap(torch.func.grad(f))
    for _ in range(1500):  # the slowest direction, along y, has curvature above 1: 0.975^1500 = 3e-17
        xy = xy - 0.025 * slope(xy)
    ends = torch.tensor([[minimiser(-1.0), 0.0], [minimiser(1.0), 0.0]], dtype=torch.float64)
    distance = torch.cdist(xy, ends).min(dim=1).values
    saddle = slope(xy).norm(dim=1) < 1e-6  # a start on the ridge may sit on the saddle between them
    assert bool(((distance < 1e-6) | saddle).all()) and float((distance < 1e-6).double().mean()) > 0.95
    assert 0.3 < float(reached_global(xy).double().mean()) < 0.8


def test_reached_global_separates_the_two_and_refuses_divergence():
    xy = torch.tensor([[-0.93, 0.01], [0.9053, 0.0], [math.inf, 0.0], [math.nan, 0.0]], dtype=torch.float64)
    assert reached_global(xy).tolist() == [True, False, False, False]


def test_L_bounds_the_curvature_and_is_within_one_percent_of_the_largest():
    H = torch.func.vmap(torch.func.hessian(f))(grid(TwoMinima(2.0), 201)["xy"])  # spacing 0.02 meets (-1, 0) itself
    largest = float(torch.linalg.eigvalsh(H).abs().max())
    assert 0.99 * TwoMinima().facts.L < largest <= TwoMinima().facts.L


def test_starts_fill_the_square():
    xy = torch.stack([TwoMinima(0.5).start(seed)["xy"] for seed in range(200)])
    assert xy.abs().max() <= 0.5 and xy.min() < -0.45 and xy.max() > 0.45


def test_the_grid_reaches_the_corners():
    xy = grid(TwoMinima(), 41)["xy"]
    assert xy.shape == (1681, 2) and xy[0].tolist() == [-1.5, -1.5] and xy[-1].tolist() == [1.5, 1.5]
