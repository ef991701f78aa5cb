"""The Haar transform: written-out coefficients, orthonormality (claim W1), and the share of energy in the approximation."""

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.haar import assembled, coefficients, pieces


def test_the_coefficients_of_four_neighbours_written_out():
    x = normal((3, 8), generator(0))
    a, b, c, d = (x[:, i::4] for i in range(4))
    expected = [(a + b + c + d) / 2, (a + b - c - d) / 2, (a - b) / 2**0.5, (c - d) / 2**0.5]
    for ours, theirs in zip(coefficients(x, 2), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("level", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(3, 16), (2, 17), (2, 3, 23), (5, 31)], ids=str)
def test_reconstruction_and_energy(shape, level):
    """Claim W1, 1e-12: rounding is 1e-16 an addition, and there are 2 * level of them."""
    x = normal(shape, generator(1))
    parts = coefficients(x, level)
    assert len(parts) == 2**level and {tuple(p.shape) for p in parts} == {(*shape[:-1], pieces(shape[-1], level))}
    torch.testing.assert_close(assembled(parts, shape[-1]), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(sum(p.square().sum() for p in parts), x.square().sum(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_one_coefficient_is_one_row_of_an_orthogonal_matrix(level):
    """The transform of the identity, 2^level wide, and the fine details in their places."""
    n = 2**level
    H = torch.cat([p for p in coefficients(torch.eye(n, dtype=torch.float64), level)], 1).T
    torch.testing.assert_close(H @ H.T, torch.eye(n, dtype=torch.float64), rtol=0, atol=1e-14)
    torch.testing.assert_close(H[0], torch.full((n,), n**-0.5, dtype=torch.float64), rtol=1e-13, atol=0)
    for i in range(n // 2):  # the last n/2 rows are the differences of pairs, in order
        expected = torch.zeros(n, dtype=torch.float64)
        expected[2 * i], expected[2 * i + 1] = 0.5**0.5, -(0.5**0.5)
        torch.testing.assert_close(H[n // 2 + i], expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize(("n", "level", "expected"), [(8, 2, 2), (9, 2, 3), (11, 2, 3), (12, 2, 3), (5, 1, 3), (16, 4, 1)])
def test_a_side_that_does_not_divide_is_filled_up_with_zeros(n, level, expected):
    x = normal((2, n), generator(2))
    filled = torch.cat([x, torch.zeros(2, expected * 2**level - n, dtype=torch.float64)], 1)
    assert coefficients(x, level)[0].shape == (2, expected)
    assert all(torch.equal(a, b) for a, b in zip(coefficients(x, level), coefficients(filled, level), strict=True))


@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0])
def test_energy_in_the_approximation_of_correlated_columns(rho):
    """2^-l (1 + (2^l - 1) rho): compaction needs correlated columns. One large tensor; its relative error is about 1 / sqrt(5000)."""
    common, own = normal((20000, 1), generator(3)), normal((20000, 4), generator(4))
    x = rho**0.5 * common + (1 - rho) ** 0.5 * own
    share = coefficients(x, 2)[0].square().sum() / x.square().sum()
    assert share.item() == pytest.approx((1 + 3 * rho) / 4, rel=5 / 5000**0.5)
