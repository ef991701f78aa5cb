"""Hessian and Gauss-Newton products against closed forms, other ways to differentiate, finite differences and curvlinops."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.sparse.linalg import eigsh
from torch import nn

from sandbox.curvature.objective import Composite, objective, supervised
from sandbox.curvature.operators import entries, gauss_newton, hessian, operator
from sandbox.draws import generator, normal

N = 10
EXACT = 1e-12  # sums of at most a few hundred products of size one in float64
SHAPES = {"W": (5, 3), "b": (5,), "V": (4, 5)}  # 40 entries


def outputs(params, batch):
    return (batch[0] @ params["W"].T + params["b"]).tanh() @ params["V"].T


NET = Composite(outputs, lambda z, batch: F.cross_entropy(z, batch[1]))
PARAMS = {name: normal(shape, generator(0, i)) for i, (name, shape) in enumerate(SHAPES.items())}
BATCH = (normal((N, 3), generator(1)), torch.randint(0, 4, (N,), generator=generator(2)))
RAGGED = [tuple(part[:7] for part in BATCH), tuple(part[7:] for part in BATCH)]
MATRICES = pytest.mark.parametrize("matrix_of", [hessian, gauss_newton])


def unflat(theta):
    return {name: part.view(SHAPES[name]) for name, part in zip(SHAPES, theta.split((15, 5, 20)), strict=True)}


def flat_point():
    return torch.cat([value.reshape(-1) for value in PARAMS.values()])


def true_hessian():
    return torch.func.hessian(lambda theta: NET(unflat(theta), BATCH))(flat_point()).numpy()


def true_gauss_newton():
    """J^T C J from the two factors themselves, J by forward mode."""
    J = torch.func.jacfwd(lambda theta: outputs(unflat(theta), BATCH).reshape(-1))(flat_point())
    z = outputs(PARAMS, BATCH).reshape(-1)
    C = torch.func.hessian(lambda z: F.cross_entropy(z.view(N, 4), BATCH[1]))(z)
    return (J.T @ C @ J).numpy()


def dense_of(matrix_of, batches, **settings):
    one = objective(NET, PARAMS, batches, **settings)
    return operator(matrix_of(one), chunk=7) @ np.eye(one.layout.size)


def test_hessian_is_that_of_torch_func():
    np.testing.assert_allclose(dense_of(hessian, [BATCH]), true_hessian(), rtol=0, atol=EXACT)


def test_gauss_newton_is_the_product_of_its_factors():
    G = dense_of(gauss_newton, [BATCH])
    np.testing.assert_allclose(G, true_gauss_newton(), rtol=0, atol=EXACT)
    assert np.abs(G - true_hessian()).max() > 0.01  # the net is not linear, so the two matrices differ


@MATRICES
def test_ragged_batches_give_the_matrix_of_the_whole_set(matrix_of):
    """7 + 3 samples: the plain mean of the two batches, 1/2 and 1/2, is far off."""
    whole = dense_of(matrix_of, [BATCH])
    np.testing.assert_allclose(dense_of(matrix_of, RAGGED), whole, rtol=0, atol=EXACT)
    assert np.abs(dense_of(matrix_of, RAGGED, weights=(1, 1)) - whole).max() > 1e-3


def test_linear_regression_by_hand():
    """1/(2N) sum |W x_n - y_n|^2 has H = G = I kron (1/N) X^T X, whatever y."""
    X, Y = normal((N, 3), generator(4)), normal((N, 2), generator(5))
    loss = Composite(lambda p, b: b[0] @ p["W"].T, lambda z, b: 0.5 * (z - b[1]).square().sum() / len(z))
    one = objective(loss, {"W": normal((2, 3), generator(6))}, [(X, Y)])
    expected = torch.kron(torch.eye(2, dtype=torch.float64), X.T @ X / N).numpy()
    for matrix in (hessian(one), gauss_newton(one)):
        np.testing.assert_allclose(operator(matrix) @ np.eye(6), expected, rtol=0, atol=EXACT)


def test_softmax_regression_by_hand():
    """Cross entropy of W x has H = G = (1/N) sum_n (diag p_n - p_n p_n^T) kron x_n x_n^T, and (1 kron u) in its kernel."""
    X, labels, W = normal((N, 3), generator(7)), BATCH[1], normal((4, 3), generator(8))
    p = (X @ W.T).softmax(1)
    bend = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    expected = (torch.einsum("nab,ni,nj->aibj", bend, X, X) / N).reshape(12, 12).numpy()
    loss = Composite(lambda params, b: b[0] @ params["W"].T, lambda z, b: F.cross_entropy(z, b[1]))
    one = objective(loss, {"W": W}, [(X, labels)])
    for matrix in (hessian(one), gauss_newton(one)):
        np.testing.assert_allclose(operator(matrix) @ np.eye(12), expected, rtol=0, atol=EXACT)
        np.testing.assert_allclose(operator(matrix) @ np.tile([1.0, -2.0, 0.5], 4), 0.0, rtol=0, atol=EXACT)


def test_finite_differences_of_the_gradient_approach_the_product_with_order_two():
    """(g(t + e v) - g(t - e v)) / 2e = H v + O(e^2); 0.05 is the e^4 term at e = 0.05."""
    v, theta = normal((40,), generator(9)), flat_point()
    gradient = torch.func.grad(lambda t: NET(unflat(t), BATCH))
    Hv = operator(hessian(objective(NET, PARAMS, RAGGED))) @ v.numpy()
    steps = (0.05, 0.025, 0.0125)
    errors = [np.linalg.norm(((gradient(theta + e * v) - gradient(theta - e * v)) / (2 * e)).numpy() - Hv) for e in steps]
    assert abs(np.polyfit(np.log(steps), np.log(errors), 1)[0] - 2.0) < 0.05, errors


@MATRICES
def test_float32_agrees_with_float64_to_its_rounding(matrix_of):
    one = objective(NET, {name: value.float() for name, value in PARAMS.items()}, RAGGED, dtype=torch.float32)
    narrow = operator(matrix_of(one))
    found = narrow @ np.eye(40)
    assert narrow.dtype == found.dtype == np.float32
    np.testing.assert_allclose(found, dense_of(matrix_of, [BATCH]), rtol=0, atol=2e-5)  # 40-term sums, 6e-8 each, amplified by tanh''
    assert np.abs(found - dense_of(matrix_of, [BATCH])).max() > 1e-9  # it did not run in float64


CHOICES = [("V", "W"), ("b", None), (("b", "V"), np.array([3, 39, 0])), (np.arange(5, 9), "V")]


@MATRICES
@pytest.mark.parametrize(("rows", "columns"), CHOICES, ids=["tensor-tensor", "tensor-all", "two-part", "part-tensor"])
def test_sub_blocks_are_cut_out_of_the_whole(matrix_of, rows, columns):
    matrix = matrix_of(objective(NET, PARAMS, RAGGED))
    where = {"W": list(range(15)), "b": list(range(15, 20)), "V": list(range(20, 40)), ("b", "V"): list(range(15, 40))}
    here, there = (where.get(c, list(range(40))) if not isinstance(c, np.ndarray) else list(c) for c in (rows, columns))
    block = operator(matrix, rows=rows, columns=columns, chunk=2)
    expected = (true_hessian() if matrix_of is hessian else true_gauss_newton())[np.ix_(here, there)]
    assert block.shape == expected.shape
    np.testing.assert_allclose(block @ np.eye(len(there)), expected, rtol=0, atol=EXACT)
    np.testing.assert_allclose(block.T @ np.eye(len(here)), expected.T, rtol=0, atol=EXACT)
    np.testing.assert_allclose(block @ np.ones(len(there)), expected.sum(1), rtol=0, atol=10 * EXACT)
    np.testing.assert_allclose(block.T @ np.ones(len(here)), expected.sum(0), rtol=0, atol=10 * EXACT)


def test_named_tensors_alone_give_their_diagonal_block():
    np.testing.assert_allclose(dense_of(hessian, [BATCH], names=("V", "b")), true_hessian()[15:, 15:], rtol=0, atol=EXACT)


def test_eigsh_of_scipy_applies():
    one = objective(NET, PARAMS, RAGGED)
    top = eigsh(operator(hessian(one)), 3, which="LA", v0=np.ones(40), return_eigenvectors=False)
    np.testing.assert_allclose(np.sort(top), np.linalg.eigvalsh(true_hessian())[-3:], rtol=0, atol=1e-10)  # ARPACK at machine precision


@pytest.mark.parametrize("wrong", [np.array([0, 0]), np.array([40]), np.array([-1]), np.array([0.5]), np.array([], int), ("b", "b"), ()])
def test_entries_that_make_no_block_are_refused(wrong):
    with pytest.raises(ValueError, match=r"distinct entries in 0\.\.39, at least one of them, got"):
        entries(objective(NET, PARAMS, [BATCH]).layout, wrong)


def test_a_chunk_of_none_is_refused():
    with pytest.raises(ValueError, match="chunk must be >= 1 vectors at a time, got 0"):
        operator(hessian(objective(NET, PARAMS, [BATCH])), chunk=0)


def test_gauss_newton_of_a_loss_without_a_seam_is_refused():
    with pytest.raises(ValueError, match=r"where outputs end .* Composite\(outputs, criterion\), got function"):
        gauss_newton(objective(lambda p, b: NET(p, b), PARAMS, [BATCH]))


def test_agrees_with_curvlinops_on_ragged_batches():
    """An independent library (3.0.1), ragged batches and all."""
    curvlinops = pytest.importorskip("curvlinops")
    net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)).double()
    params = dict(net.named_parameters())
    one = objective(supervised(net, F.cross_entropy), params, RAGGED)
    for matrix_of, theirs in ((hessian, curvlinops.HessianLinearOperator), (gauss_newton, curvlinops.GGNLinearOperator)):
        other = theirs(net, nn.CrossEntropyLoss(), list(params.values()), RAGGED) @ torch.eye(44, dtype=torch.float64)
        np.testing.assert_allclose(operator(matrix_of(one)) @ np.eye(44), other.detach().numpy(), rtol=0, atol=EXACT)
