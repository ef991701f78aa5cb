"""Hessian-vector products against the dense matrix, a closed-form spectrum and, where installed, against curvlinops."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from sandbox.curvature.hessian import dense_hessian
from sandbox.curvature.products import extreme_eigenvalues, hessian_operator
from sandbox.draws import generator, normal
from sandbox.problems.base import Facts, Params


@dataclass(frozen=True)
class Net:
    """Cross entropy of a small tanh network; an indefinite Hessian of 5 * 3 + 5 + 4 * 5 = 40 rows."""

    facts: Facts = Facts()

    def start(self, seed: int) -> Params:
        shapes = {"W": (5, 3), "b": (5,), "V": (4, 5)}
        return {name: normal(shape, generator(seed, i)) for i, (name, shape) in enumerate(shapes.items())}

    def batch(self, seed: int, step: int):
        labels = torch.randint(0, 4, (12,), generator=generator(seed, step, 1))
        return normal((12, 3), generator(seed, step, 0)), labels

    def loss(self, params: Params, batch) -> torch.Tensor:
        x, y = batch
        logits = (x @ params["W"].T + params["b"]).tanh() @ params["V"].T
        return torch.nn.functional.cross_entropy(logits, y)


@dataclass(frozen=True)
class Diagonal:
    """1/2 sum_i lambda_i x_i^2 with lambda = -3, -1, 1, ..., 2 d - 5."""

    d: int = 60
    facts: Facts = Facts()

    @property
    def spectrum(self) -> np.ndarray:
        return np.arange(self.d) * 2.0 - 3.0

    def start(self, seed: int) -> Params:
        return {"x": normal((self.d,), generator(seed))}

    def loss(self, params: Params, batch) -> torch.Tensor:
        return 0.5 * (torch.from_numpy(self.spectrum) * params["x"] ** 2).sum()


def test_operator_multiplies_as_the_matrix_does():
    """Vector, transpose and several columns; 1e-12: sums of forty products of size one."""
    problem = Net()
    params, batch = problem.start(0), problem.batch(0, 0)
    H = dense_hessian(problem, params, batch).matrix
    operator = hessian_operator(problem, params, batch)
    V = normal((40, 3), generator(5)).numpy()
    np.testing.assert_allclose(operator @ V, H @ V, rtol=0, atol=1e-12)
    np.testing.assert_allclose(operator @ V[:, 0], H @ V[:, 0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(operator.T @ V[:, 1], H.T @ V[:, 1], rtol=0, atol=1e-12)


def test_operator_of_named_tensors_is_the_block():
    problem = Net()
    params, batch = problem.start(0), problem.batch(0, 0)
    block = dense_hessian(problem, params, batch).block("V")
    np.testing.assert_allclose(hessian_operator(problem, params, batch, names=("V",)) @ np.eye(20), block, rtol=0, atol=1e-12)


def test_extremes_of_a_known_spectrum():
    """ARPACK runs to machine precision; 1e-9 is that times the spread of 120 and the 60 rows, with room."""
    problem = Diagonal()
    ends = extreme_eigenvalues(problem, problem.start(0), None, 3)
    np.testing.assert_allclose(ends.smallest, problem.spectrum[:3], rtol=0, atol=1e-9)
    np.testing.assert_allclose(ends.largest, problem.spectrum[-3:], rtol=0, atol=1e-9)


def test_extremes_agree_with_the_dense_eigenvalues_of_a_net():
    problem = Net()
    params, batch = problem.start(1), problem.batch(1, 0)
    exact = np.linalg.eigvalsh(dense_hessian(problem, params, batch).matrix)
    ends = extreme_eigenvalues(problem, params, batch, 2)
    np.testing.assert_allclose(ends.smallest + ends.largest, [*exact[:2], *exact[-2:]], rtol=0, atol=1e-10)


def test_the_start_vector_is_seeded():
    problem = Net()
    params, batch = problem.start(1), problem.batch(1, 0)
    assert extreme_eigenvalues(problem, params, batch, 2) == extreme_eigenvalues(problem, params, batch, 2)


@pytest.mark.parametrize("k", [0, 60])
def test_a_count_that_lanczos_cannot_give_is_refused(k):
    with pytest.raises(ValueError, match=f"1 <= k < n and an end .* got k = {k}, n = 60, .* take a smaller k"):
        extreme_eigenvalues(Diagonal(), Diagonal().start(0), None, k)


def test_agrees_with_curvlinops():
    """An independent library with its own differentiation (reverse mode over a module); 1e-12 as above."""
    curvlinops = pytest.importorskip("curvlinops")
    problem = Net()
    params, (x, y) = problem.start(2), problem.batch(2, 0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 4, bias=False)).double()
    with torch.no_grad():
        for ours, theirs in zip(params.values(), net.parameters(), strict=True):
            theirs.copy_(ours)
    other = curvlinops.HessianLinearOperator(net, torch.nn.CrossEntropyLoss(), list(net.parameters()), [(x, y)])
    theirs = (other @ torch.eye(40, dtype=torch.float64)).detach().numpy()
    np.testing.assert_allclose(hessian_operator(problem, params, (x, y)) @ np.eye(40), theirs, rtol=0, atol=1e-12)
