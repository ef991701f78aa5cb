"""The dense Hessian against pencil and paper, against another way to differentiate, and against finite differences."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
import torch

from sandbox.curvature.hessian import dense_hessian
from sandbox.draws import generator, normal
from sandbox.problems.base import Facts, Params

N_SAMPLES = 7


@dataclass(frozen=True)
class TwoTensorQuadratic:
    """1/2 x^T A x + x_0 with x = (u row by row, v), A symmetric and full."""

    facts: Facts = Facts()

    def matrix(self) -> torch.Tensor:
        A = normal((10, 10), generator(3))
        return A + A.T

    def start(self, seed: int) -> Params:
        return {"u": normal((3, 2), generator(seed)), "v": normal((4,), generator(seed, 1))}

    def loss(self, params: Params, batch) -> torch.Tensor:
        x = torch.cat([params["u"].reshape(-1), params["v"]])
        return 0.5 * x @ self.matrix().to(x.dtype) @ x + x[0]


@dataclass(frozen=True)
class TwoLayers:
    """1/(2N) sum_n |W2 act(W1 x_n) - y_n|^2 with W1 (4, 3), W2 (2, 4)."""

    bend: float = 0.0  # act(z) = z + bend tanh(z): 0 is a linear network
    facts: Facts = Facts()

    def start(self, seed: int) -> Params:
        return {"W1": normal((4, 3), generator(seed)), "W2": normal((2, 4), generator(seed, 1))}

    def batch(self, seed: int, step: int):
        return normal((N_SAMPLES, 3), generator(seed, step, 0)), normal((N_SAMPLES, 2), generator(seed, step, 1))

    def loss(self, params: Params, batch) -> torch.Tensor:
        x, y = batch
        z = x @ params["W1"].T
        return 0.5 * ((z + self.bend * z.tanh()) @ params["W2"].T - y).square().sum() / len(x)


def test_quadratic_gives_its_matrix():
    """d^2/dx^2 of 1/2 x^T A x + x_0 is A; 1e-12: ten products of numbers of size one in float64."""
    problem = TwoTensorQuadratic()
    hessian = dense_hessian(problem, problem.start(0), None)
    A = problem.matrix().numpy()
    np.testing.assert_allclose(hessian.matrix, A, rtol=0, atol=1e-12)
    np.testing.assert_allclose(hessian.block("u", "v"), A[:6, 6:], rtol=0, atol=1e-12)
    np.testing.assert_allclose(hessian.block("v"), A[6:, 6:], rtol=0, atol=1e-12)


def test_two_linear_layers_by_hand():
    """With S = mean x x^T, h = W1 x and r = W2 h - y (all tensors read row by row):

    H_11 = (W2^T W2) kron S,  H_22 = I kron mean(h h^T),  H_21[(a,i),(k,l)] = mean(h_i x_l) W2_ak + mean(r_a x_l) delta_ik.
    """
    problem = TwoLayers()
    params, (x, y) = problem.start(0), problem.batch(0, 0)
    W1, W2 = params["W1"], params["W2"]
    h, S = x @ W1.T, x.T @ x / N_SAMPLES
    r = h @ W2.T - y
    cross = torch.einsum("ni,nl,ak->aikl", h, x, W2) + torch.einsum("na,nl,ik->aikl", r, x, torch.eye(4))
    hessian = dense_hessian(problem, params, (x, y))
    for got, expected in (
        (hessian.block("W1"), torch.kron(W2.T @ W2, S)),
        (hessian.block("W2"), torch.kron(torch.eye(2, dtype=torch.float64), h.T @ h / N_SAMPLES)),
        (hessian.block("W2", "W1"), cross.reshape(8, 12) / N_SAMPLES),
    ):
        np.testing.assert_allclose(got, expected.numpy(), rtol=0, atol=1e-12)  # sums of seven products of size one


def test_one_tensor_alone_is_its_diagonal_block():
    problem = TwoLayers(bend=1.0)
    params, batch = problem.start(1), problem.batch(1, 0)
    alone = dense_hessian(problem, params, batch, names=("W2",))
    whole = dense_hessian(problem, params, batch)
    np.testing.assert_allclose(alone.matrix, whole.block("W2"), rtol=0, atol=1e-12)
    np.testing.assert_allclose(whole.matrix, whole.matrix.T, rtol=0, atol=1e-12)  # equality of mixed derivatives


def test_agrees_with_forward_over_reverse():
    """jacfwd differentiates the gradient in forward mode: another channel than reverse over reverse."""
    problem = TwoLayers(bend=1.0)
    params, batch = problem.start(2), problem.batch(2, 0)

    def loss(flat):
        return problem.loss({"W1": flat[:12].view(4, 3), "W2": flat[12:].view(2, 4)}, batch)

    flat = torch.cat([value.reshape(-1) for value in params.values()])
    other = torch.func.jacfwd(torch.func.grad(loss))(flat)
    np.testing.assert_allclose(dense_hessian(problem, params, batch).matrix, other.numpy(), rtol=0, atol=1e-12)


def test_finite_differences_approach_it_with_order_two():
    """(g(x + e v) - g(x - e v)) / 2e = H v + O(e^2); the fitted exponent must be 2 (0.05: the e^4 term at e = 0.1)."""
    problem = TwoLayers(bend=1.0)
    params, batch = problem.start(3), problem.batch(3, 0)
    v = {name: normal(tuple(value.shape), generator(9, i)) for i, (name, value) in enumerate(params.items())}
    gradient = torch.func.grad(lambda p: problem.loss(p, batch))
    exact = dense_hessian(problem, params, batch).matrix @ np.concatenate([x.reshape(-1).numpy() for x in v.values()])
    steps, errors = (0.1, 0.05, 0.025, 0.0125), []
    for e in steps:
        up, down = (gradient({name: params[name] + s * e * v[name] for name in params}) for s in (1, -1))
        slope = torch.cat([((up[name] - down[name]) / (2 * e)).reshape(-1) for name in params])
        errors.append(np.linalg.norm(slope.numpy() - exact))
    exponent = np.polyfit(np.log(steps[1:]), np.log(errors[1:]), 1)[0]
    assert abs(exponent - 2.0) < 0.05, (exponent, errors)


def test_float32_parameters_are_lifted_to_float64():
    """The quadratic's Hessian does not depend on the point, so rounding the start to float32 must change nothing."""
    problem = TwoTensorQuadratic()
    params = {name: value.float() for name, value in problem.start(0).items()}
    hessian = dense_hessian(problem, params, None, names=("v",))
    np.testing.assert_allclose(hessian.matrix, problem.matrix().numpy()[6:, 6:], rtol=0, atol=1e-12)


@dataclass(frozen=True)
class Lazy:
    """1/2 x^T A x whose A is built when the loss is first asked for, and kept."""

    facts: Facts = Facts()

    @cached_property
    def matrix(self) -> torch.Tensor:
        return TwoTensorQuadratic().matrix() * 2.0

    def loss(self, params: Params, batch) -> torch.Tensor:
        return 0.5 * params["x"] @ self.matrix @ params["x"]


def test_constants_built_on_first_use_stay_usable():
    """The loss first runs inside a transform; what it keeps must not be a wrapper that dies with the transform."""
    problem = Lazy()
    hessian = dense_hessian(problem, {"x": torch.ones(10, dtype=torch.float64)}, None)
    np.testing.assert_allclose(hessian.matrix, problem.matrix.numpy(), rtol=0, atol=1e-12)


def test_a_matrix_that_is_too_large_is_refused_before_the_work(monkeypatch):
    """1,000 bytes free, 900 of them to use: less than the graph takes; 800 would be the matrix alone."""
    monkeypatch.setattr("sandbox.curvature.dense.free_bytes", lambda: 1_000)
    with pytest.raises(ValueError, match=r"10 x 10 matrix in float64 takes 800 bytes, 10 products .* 900 bytes may be used: it does not"):
        dense_hessian(TwoTensorQuadratic(), TwoTensorQuadratic().start(0), None)


def test_progress_is_told():
    said = []
    dense_hessian(TwoTensorQuadratic(), TwoTensorQuadratic().start(0), None, say=lambda progress: said.append(progress.done))
    assert said == [0, 10]  # tensors of 6 and 4 entries go together


def test_float32_runs_in_float32():
    """Of the quadratic nothing is lost but the rounding of A, 6e-8, and of ten products."""
    found = dense_hessian(TwoTensorQuadratic(), TwoTensorQuadratic().start(0), None, dtype=torch.float32).matrix
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, TwoTensorQuadratic().matrix().numpy(), rtol=0, atol=1e-6)
