"""Orthogonal matching pursuit against a plain numpy version (least squares anew in each round), a recovery theorem, and the
phase transition of Gaussian matrices."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.optimizers.orthogonal_matching_pursuit import recover
from sandbox.optimizers.sgc import unit_columns


def sparse(values: Tensor, d: int, *key: int) -> Tensor:
    """(n, d): the s values of each row at s places drawn without replacement."""
    places = normal((len(values), d), generator(*key)).argsort(-1)[:, : values.shape[1]]
    return values.new_zeros(len(values), d).scatter(-1, places, values)


def by_hand(A: np.ndarray, y: np.ndarray, s: int) -> np.ndarray:
    support, residual = [], y
    for _ in range(s):
        scores = np.abs(A.T @ residual)
        scores[support] = -1
        support.append(int(scores.argmax()))
        values = np.linalg.lstsq(A[:, support], y, rcond=None)[0]
        residual = y - A[:, support] @ values
    x = np.zeros(A.shape[1])
    x[support] = values
    return x


@pytest.mark.parametrize("s", [1, 3, 8])
def test_matches_a_version_with_least_squares_in_every_round(s):
    """Targets that no sparse x explains, so that every pick and every coefficient counts; 20 columns of 12 entries."""
    A, y = unit_columns(normal((12, 20), generator(0))), normal((5, 12), generator(1))
    expected = np.stack([by_hand(A.numpy(), row.numpy(), s) for row in y])
    # least squares with 8 of 12 columns: condition number below 100, so 13 digits are left
    torch.testing.assert_close(recover(A, y, s), torch.from_numpy(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize("s", [1, 4])
def test_every_sparse_vector_is_recovered_below_the_bound_of_the_coherence(s):
    """Identity beside Hadamard / 8, 64 rows: coherence 1/8, so every s < (1 + 8)/2 is exact (Tropp 2004)."""
    H = torch.ones(1, 1, dtype=torch.float64)
    for _ in range(6):
        H = torch.cat([torch.cat([H, H], 1), torch.cat([H, -H], 1)])
    A = torch.cat([torch.eye(64, dtype=torch.float64), H / 8], 1)
    coherence = (A.T @ A - torch.eye(128)).abs().max().item()
    assert s < (1 + 1 / coherence) / 2
    x = sparse(normal((300, s), generator(2)).sign() * (1 + normal((300, s), generator(3)).abs()), 128, 4)
    torch.testing.assert_close(recover(A, x @ A.T, s), x, rtol=0, atol=1e-13)


def test_what_is_left_is_orthogonal_to_the_chosen_columns():
    A, y = unit_columns(normal((12, 20), generator(0))), normal((5, 12), generator(1))
    x = recover(A, y, 4)
    assert (x != 0).sum(-1).tolist() == [4] * 5
    correlations = (y - x @ A.T) @ A
    assert (correlations.abs() * (x != 0)).max() < 1e-14 < correlations.abs().max()


def recovered_share(factor: float, *, law: str, s: int = 10, d: int = 400, n: int = 200) -> float:
    """Of n pairs (A, x), under vmap; k = factor * s * log(d/s)."""
    k = math.ceil(factor * s * math.log(d / s))
    A = torch.func.vmap(unit_columns)(normal((n, k, d), generator(s, 0)))
    values = normal((n, s), generator(s, 1))
    x = sparse(values.sign() if law == "one magnitude" else values, d, s, 2)
    found = torch.func.vmap(lambda A, y: recover(A, y, s))(A, (A @ x.unsqueeze(-1)).squeeze(-1))
    return ((found - x).norm(dim=-1) < 1e-8 * x.norm(dim=-1)).double().mean().item()


@pytest.mark.parametrize("s", [5, 20])
def test_twice_s_log_measurements_recover_gaussian_entries(s):
    """C1: at least 95 % at k = 2 s log(d/s), 400 entries; once s log(d/s) is not enough. 200 pairs: standard error 1.6 % at 95 %."""
    assert recovered_share(2, law="gaussian", s=s) >= 0.95
    assert recovered_share(1, law="gaussian", s=s) < 0.75


def test_entries_of_one_magnitude_need_three_times_s_log():
    """The steps of Adam are of this kind: C1 does not hold for them. 0.85 lies 8 standard errors below 0.95 and 4 above 0.7."""
    assert recovered_share(2, law="one magnitude") < 0.85
    assert recovered_share(3, law="one magnitude") >= 0.95


def test_zero_is_recovered_as_zero():
    """Rounds after the residual is gone must not divide by it."""
    A = unit_columns(normal((12, 20), generator(0)))
    assert not recover(A, torch.zeros(2, 12, dtype=torch.float64), 5).any()
    exact = recover(A, A.T[7:8] * 3, 5)
    torch.testing.assert_close(exact, 3 * torch.eye(20, dtype=torch.float64)[7:8], rtol=0, atol=1e-14)


def test_as_many_columns_as_measurements_solve_the_system():
    """s = k = d: the inverse, with every column taken once."""
    A, y = unit_columns(normal((6, 6), generator(5))), normal((3, 6), generator(6))
    torch.testing.assert_close(recover(A, y, 6), torch.linalg.solve(A, y.T).T, rtol=1e-9, atol=1e-12)


def test_nearly_equal_columns_keep_their_digits():
    """Two columns 1e-7 apart, all columns taken: Gram-Schmidt once would lose half of the digits of A x = y."""
    A = normal((6, 6), generator(5))
    A[:, 1] = A[:, 0] + 1e-7 * A[:, 1]
    A, y = unit_columns(A), normal((3, 6), generator(6))
    x = recover(A, y, 6)
    assert x.abs().max() > 1e6
    assert (x @ A.T - y).norm() < 1e-14 * x.norm()  # backward stable: some tens of roundings, relative to the size of x


def test_small_dtypes_are_widened_inside():
    A, y = unit_columns(normal((12, 20), generator(0))), normal((1, 12), generator(1))
    x = recover(A.bfloat16(), y.bfloat16(), 3)
    assert x.dtype == torch.bfloat16
    wide = recover(A.bfloat16().double(), y.bfloat16().double(), 3)
    torch.testing.assert_close(x.double(), wide, rtol=2**-8, atol=1e-4)  # one rounding to 8 bits at the end
