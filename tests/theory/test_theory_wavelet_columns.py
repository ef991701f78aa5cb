"""The floor of a run without details on any quadratic of a block, against minimisation in plain numpy."""

import math

import numpy as np
import pytest

from sandbox.theory import wavelet
from sandbox.theory.base import OutOfScope


def shape_of(M):
    pulled = M.sum(1)
    return {"g": pulled.sum() / np.trace(M), "q": pulled @ pulled / (pulled.sum() * np.trace(M))}


def floor_and_error(M, rho, draws=400_000):
    """Mean least loss along (1, ..., 1) over mean first loss, with its standard error; the least loss is found on three points."""
    N, rng = len(M), np.random.default_rng(0)
    w = math.sqrt(1 - rho) * rng.standard_normal((draws, N)) + math.sqrt(rho) * rng.standard_normal((draws, 1))

    def loss(a):
        return ((w + a[:, None]) @ M * (w + a[:, None])).sum(1)

    zero = np.zeros(draws)
    start, up, down = loss(zero), loss(zero + 1), loss(zero - 1)
    end = start - (up - down) ** 2 / (8 * (up + down - 2 * start))  # the vertex of the parabola through them
    ratio = end.mean() / start.mean()
    return ratio, (end - ratio * start).std() / start.mean() / math.sqrt(draws)


@pytest.mark.parametrize("rho", [0.0, 0.6])
@pytest.mark.parametrize("curvatures", [(1.0, 9.0), (1.0, 1.0, 4.0, 16.0)])
def test_columns_of_different_curvatures(curvatures, rho):
    M = np.diag(curvatures)
    seen, error = floor_and_error(M, rho)
    level = int(math.log2(len(M)))
    assert abs(seen - wavelet.columns_loss.at(level=level, rho=rho, **shape_of(M))) < 4 * error
    assert seen < wavelet.frozen_loss.at(level=level, rho=rho) - 40 * error


def test_coupled_columns_end_above_the_floor_of_equal_ones():
    rng = np.random.default_rng(1)
    A = rng.standard_normal((4, 4))
    M = A @ (np.eye(4) - 0.9 * np.ones((4, 4)) / 4) @ A.T
    M = (M + M.T) / 2
    seen, error = floor_and_error(M, 0.3)
    assert abs(seen - wavelet.columns_loss.at(level=2, rho=0.3, **shape_of(M))) < 4 * error
    pair = np.array([[1.0, -0.5], [-0.5, 1.0]])
    seen, error = floor_and_error(pair, 0.0)
    assert abs(seen - 0.75) < 4 * error and wavelet.columns_loss.at(level=1, rho=0.0, **shape_of(pair)) == pytest.approx(0.75)


def test_a_shape_that_no_hessian_has_is_refused():
    with pytest.raises(OutOfScope, match="q"):
        wavelet.columns_loss.at(level=1, rho=0.0, g=1.0, q=0.4)
