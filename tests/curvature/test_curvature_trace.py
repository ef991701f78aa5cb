"""Traces and norms against exact matrices, exact cases, closed variances, and curvlinops on the same draws.

z-scores use the standard error that the estimates themselves scatter with; 4 of them happen by chance once in 16,000.
"""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import aslinearoperator

from sandbox.curvature.probes import signs
from sandbox.curvature.trace import hutch_plus_plus, hutchinson, squared_frobenius, xtrace
from sandbox.draws import generator, normal

N = 40
ESTIMATORS = {
    "hutchinson": lambda H, seed: hutchinson(H, n_probes=18, seed=seed),
    "hutch_plus_plus": lambda H, seed: hutch_plus_plus(H, n_sketch=6, n_probes=6, seed=seed),
    "xtrace": lambda H, seed: xtrace(H, n_probes=9, seed=seed),
    "xtrace, 3 runs": lambda H, seed: xtrace(H, n_probes=3, n_runs=3, seed=seed),
}
each_estimator = pytest.mark.parametrize("estimate", ESTIMATORS.values(), ids=ESTIMATORS)


def with_eigenvalues(values: np.ndarray) -> np.ndarray:
    Q = np.linalg.qr(normal((len(values), len(values)), generator(11)).numpy())[0]
    return (Q * values) @ Q.T


FLAT = with_eigenvalues(normal((N,), generator(1)).numpy())  # both signs, no eigenvalue stands out
STEEP = with_eigenvalues(10.0 * 0.8 ** np.arange(N))  # the first ten carry 99 % of the squares


def low_rank(rank: int) -> np.ndarray:
    return with_eigenvalues(np.concatenate((np.array([3.0, -2.0, 1.0, 0.5])[:rank], np.zeros(N - rank))))


def errors(estimate, H: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the trace and stated standard errors over n seeds."""
    found = [estimate(aslinearoperator(H), seed) for seed in range(n)]
    return np.array([e.value for e in found]) - np.trace(H), np.array([e.standard_error for e in found])


@each_estimator
@pytest.mark.parametrize("H", [FLAT, STEEP], ids=["flat", "steep"])
def test_unbiased_at_the_stated_price(estimate, H):
    off, _ = errors(estimate, H, 300)
    z = off.mean() / (off.std(ddof=1) / 300**0.5)
    assert abs(z) < 4.0, z
    assert estimate(aslinearoperator(H), 0).n_products == 18


@pytest.mark.parametrize("name", ["hutchinson", "hutch_plus_plus", "xtrace, 3 runs"])
@pytest.mark.parametrize("H", [FLAT, STEEP], ids=["flat", "steep"])
def test_standard_errors_of_independent_samples_are_right_on_average(name, H):
    """Mean of se^2 = variance of the value; over 300 seeds the ratio of the two scatters by at most 15 % (heavy tails included)."""
    off, stated = errors(ESTIMATORS[name], H, 300)
    assert np.mean(np.square(stated)) / off.var() == pytest.approx(1.0, abs=0.5)


def test_one_xtrace_run_is_too_sure_of_itself_where_few_eigenvalues_carry_the_norm():
    """As the module says: stated against true error at 0.8^i and 10 probes is near 2/3, and the runs repair it (test above)."""
    off, stated = errors(lambda H, seed: xtrace(H, n_probes=10, seed=seed), STEEP, 300)
    assert 0.55 < np.mean(np.square(stated)) ** 0.5 / off.std() < 0.8


def test_intervals_cover():
    """300 intervals at 95 %: 285 expected, standard deviation 3.8; 4 of them below is 270."""
    off, stated = errors(ESTIMATORS["hutchinson"], FLAT, 300)
    found = [hutchinson(aslinearoperator(FLAT), n_probes=18, seed=seed).interval() for seed in range(300)]
    holds = sum(low <= np.trace(FLAT) <= high for low, high in found)
    assert 270 <= holds < 300
    assert found[0][1] - found[0][0] == pytest.approx(2 * 2.1098 * stated[0], rel=1e-4)  # t table: 17 degrees, two-sided 95 %


def test_variance_of_hutchinson_with_signs():
    """2 (|H|_F^2 - sum_i H_ii^2) per probe; a variance from 4000 samples is known to about 3 %."""
    off, _ = errors(lambda H, seed: hutchinson(H, n_probes=2, seed=seed), FLAT, 2000)
    assert 2 * off.var() == pytest.approx(2 * (np.square(FLAT).sum() - np.square(np.diag(FLAT)).sum()), rel=0.15)


def test_diagonal_matrices_have_no_variance():
    """z_i^2 = 1, so z^T H z is the trace for every z."""
    found = hutchinson(aslinearoperator(np.diag(np.arange(float(N)))), n_probes=3)
    assert (found.value, found.standard_error) == (N * (N - 1) / 2, 0.0)  # sums of integers, exact


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_low_rank_is_exact_from_the_stated_size_on_and_not_before(rank):
    H = low_rank(rank)
    operator, trace = aslinearoperator(H), np.trace(H)
    for n_probes in range(max(2, rank + 1), 9):
        assert xtrace(operator, n_probes=n_probes).value == pytest.approx(trace, abs=1e-11)
        assert xtrace(operator, n_probes=n_probes).standard_error < 1e-11
        assert hutch_plus_plus(operator, n_sketch=n_probes - 1, n_probes=2).value == pytest.approx(trace, abs=1e-11)
    if rank > 1:
        assert abs(xtrace(operator, n_probes=rank).value - trace) > 0.01
        assert abs(hutch_plus_plus(operator, n_sketch=rank - 1, n_probes=2).value - trace) > 0.01
    assert xtrace(operator, n_probes=8).n_products == 8 + rank  # the range of the sketch has no more columns than H has rank


def test_rows_of_zeros_are_no_singular_case():
    """Dead units, tokens that no batch holds: the sketch is exactly singular, of rank 2, since 8 pairs of signs are not all parallel."""
    found = xtrace(aslinearoperator(np.diag([5.0, -2.0] + [0.0] * (N - 2))), n_probes=9)
    assert found.value == pytest.approx(3.0, abs=1e-13) and found.n_products == 11


def test_a_zero_matrix_has_trace_zero():
    for estimate in ESTIMATORS.values():
        assert estimate(aslinearoperator(np.zeros((N, N))), 0).value == 0.0


def test_the_sketch_pays_on_a_steep_spectrum_only():
    """18 products each; a spread from 300 values is known to 4 %, and the gaps asked for are 10 % or more."""
    spread = {name: {k: errors(e, H, 300)[0].std() for k, e in ESTIMATORS.items()} for name, H in (("flat", FLAT), ("steep", STEEP))}
    assert spread["steep"]["xtrace"] < 0.9 * spread["steep"]["hutch_plus_plus"] < 0.9 * spread["steep"]["hutchinson"]
    assert spread["flat"]["hutch_plus_plus"] > 1.1 * spread["flat"]["hutchinson"]


def test_squared_norm_is_unbiased_with_the_closed_variance():
    found = [squared_frobenius(aslinearoperator(FLAT), n_probes=2, seed=seed) for seed in range(2000)]
    off = np.array([e.value for e in found]) - np.square(FLAT).sum()
    square = FLAT @ FLAT
    assert abs(off.mean() / (off.std() / 2000**0.5)) < 4.0
    assert 2 * off.var() == pytest.approx(2 * (np.square(square).sum() - np.square(np.diag(square)).sum()), rel=0.15)  # as above


def test_squared_norm_of_a_reflection_is_exact():
    """|H z|^2 = |z|^2 = n for an orthogonal H."""
    u = normal((N, 1), generator(3)).numpy()
    found = squared_frobenius(aslinearoperator(np.eye(N) - 2.0 * u @ u.T / np.square(u).sum()), n_probes=3)
    assert found.value == pytest.approx(N, rel=1e-13) and found.standard_error < 1e-12 * N


def test_the_chunk_changes_no_more_than_rounding():
    for estimate in (hutchinson, squared_frobenius, xtrace):
        one, seven = (estimate(aslinearoperator(STEEP), n_probes=10, chunk=chunk) for chunk in (1, 7))
        assert one.value == pytest.approx(seven.value, rel=1e-11) and one.n_products == seven.n_products


def test_agrees_with_curvlinops_on_the_same_draws(monkeypatch):
    """The peer draws its columns one after another; it is given ours. 1e-10: two orders of summation, one inverse."""
    curvlinops = pytest.importorskip("curvlinops")
    from curvlinops.norm import hutchinson as norm_module
    from curvlinops.trace import epperly2024xtrace, meyer2020hutch
    from curvlinops.trace import hutchinson as trace_module

    def same_draws(module):
        columns = iter(signs(N, range(12), 0).T)
        monkeypatch.setattr(module, "random_vector", lambda *_: torch.from_numpy(next(columns).copy()))

    H, operator = torch.from_numpy(STEEP), aslinearoperator(STEEP)
    for module, theirs, ours in (
        (trace_module, lambda: curvlinops.hutchinson_trace(H, 12), hutchinson(operator, n_probes=12)),
        (meyer2020hutch, lambda: curvlinops.hutchpp_trace(H, 18), hutch_plus_plus(operator, n_sketch=6, n_probes=6)),
        (epperly2024xtrace, lambda: curvlinops.xtrace(H, 24), xtrace(operator, n_probes=12)),
        (norm_module, lambda: curvlinops.hutchinson_squared_fro(H, 12), squared_frobenius(operator, n_probes=12)),
    ):
        same_draws(module)
        assert ours.value == pytest.approx(float(theirs()), rel=1e-10)


def test_takes_the_hessian_of_another_library():
    """Tanh network of 53 parameters in 3 ragged batches, through curvlinops' SciPy export; exact values from its own columns."""
    curvlinops = pytest.importorskip("curvlinops")
    net = torch.nn.Sequential(torch.nn.Linear(3, 6), torch.nn.Tanh(), torch.nn.Linear(6, 4, bias=False), torch.nn.Linear(4, 1)).double()
    with torch.no_grad():
        for index, p in enumerate(net.parameters()):
            p.copy_(normal(tuple(p.shape), generator(41, index)))
    data = [(normal((n, 3), generator(42, n)), normal((n, 1), generator(43, n))) for n in (7, 5, 2)]
    theirs = curvlinops.HessianLinearOperator(net, torch.nn.MSELoss(), list(net.parameters()), data).to_scipy()
    exact = theirs @ np.eye(theirs.shape[0])
    for found, truth in (
        (hutchinson(theirs, n_probes=32), np.trace(exact)),
        (hutch_plus_plus(theirs, n_sketch=8, n_probes=16), np.trace(exact)),
        (xtrace(theirs, n_probes=4, n_runs=8), np.trace(exact)),
        (squared_frobenius(theirs, n_probes=32), np.square(exact).sum()),
    ):
        assert abs(found.value - truth) < 5.0 * found.standard_error < 2.5 * abs(truth)  # t with 7 degrees: 1 in 600 beyond 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda H: hutchinson(H, n_probes=1), "n_probes >= 2, got 1"),
        (lambda H: squared_frobenius(H, n_probes=0), "n_probes >= 2, got 0"),
        (lambda H: xtrace(H, n_probes=1), "n_probes >= 2, got 1"),
        (lambda H: xtrace(H, n_probes=2, n_runs=0), "n_runs >= 1, got 0"),
        (lambda H: hutch_plus_plus(H, n_sketch=0, n_probes=2), "n_sketch >= 1, got 0"),
        (lambda H: hutchinson(H, n_probes=2, chunk=0), "chunk >= 1, got 0"),
        (lambda H: xtrace(H, n_probes=2, chunk=0), "chunk >= 1, got 0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call(aslinearoperator(FLAT))
