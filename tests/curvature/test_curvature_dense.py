"""The streamed matrix against the operator and a closed form; its memory, said, refused and measured."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sandbox.curvature.dense import dense, free_bytes, plan
from sandbox.curvature.objective import objective
from sandbox.curvature.operators import hessian
from sandbox.draws import generator, normal

A = normal((30, 30), generator(0))
A = A + A.T
PARAMS = {"u": normal((4, 5), generator(1)), "v": normal((10,), generator(2))}


def quadratic(params, batch):
    x = torch.cat([params["u"].reshape(-1), params["v"]])
    return 0.5 * x @ A.to(x.dtype) @ x


def matrix_in(dtype=torch.float64):
    return hessian(objective(quadratic, PARAMS, [None], dtype=dtype))


@pytest.mark.parametrize("chunk", [1, 7, 30, 1000])
def test_quadratic_gives_its_matrix(chunk):
    np.testing.assert_allclose(dense(matrix_in(), chunk=chunk), A.numpy(), rtol=0, atol=1e-13)  # one product per entry


def test_both_ways_of_filling_agree_on_ragged_batches():
    """By halves, tensor by tensor, and by whole rows: other graphs of the same function, with a tensor that bends another."""

    def loss(p, batch):
        return ((batch @ p["W"].T + p["b"]).tanh() @ p["v"]).square().mean()

    params = {name: normal(shape, generator(5, i)) for i, (name, shape) in enumerate({"W": (4, 3), "b": (4,), "v": (4,)}.items())}
    X = normal((9, 3), generator(6))
    matrix = hessian(objective(loss, params, [X[:5], X[5:8], X[8:]]))
    whole = matrix.apply(np.eye(20))
    np.testing.assert_allclose(dense(matrix, chunk=3), whole, rtol=0, atol=1e-13)  # sums of nine products of size one
    np.testing.assert_allclose(dense(replace(matrix, strip=None), chunk=3), whole, rtol=0, atol=1e-13)


def test_float32_gives_float32():
    H = dense(matrix_in(torch.float32))
    assert H.dtype == np.float32
    np.testing.assert_allclose(H, A.numpy(), rtol=1e-6, atol=0)  # rounding of A itself, 6e-8


@pytest.mark.parametrize("flipped", [(0, 1), (1, 0)], ids=["wide", "tall"])
def test_sub_blocks_by_their_shorter_side(flipped):
    """Wide blocks go by rows, tall ones by columns; both must come out the right way round."""
    choice = [np.array([22, 3, 29]), "u"]
    index = [np.array([22, 3, 29]), np.arange(20)]
    first, second = flipped
    block = dense(matrix_in(), rows=choice[first], columns=choice[second], chunk=2)
    np.testing.assert_allclose(block, A.numpy()[np.ix_(index[first], index[second])], rtol=0, atol=1e-13)
    assert plan(matrix_in(), rows=choice[first], columns=choice[second]).rows == len(index[first])


def test_the_plan_is_said_before_the_work():
    said = []
    dense(matrix_in(), chunk=2, limit=10_000, say=said.append)
    assert said == ["a dense 30 x 30 matrix in float64 takes 8,160 bytes and 30 products; 10,000 bytes may be used"]  # 8 (30^2 + 2*2*30)


@pytest.mark.parametrize(("dtype", "fits"), [(torch.float64, 15), (torch.float32, 22)])
def test_a_matrix_that_does_not_fit_is_refused_with_the_size_that_would(dtype, fits):
    """2,000 bytes: 15^2 * 8 = 1,800 and 22^2 * 4 = 1,936 fit, 16^2 * 8 = 2,048 and 23^2 * 4 = 2,116 do not."""
    matrix, said = matrix_in(dtype), []
    with pytest.raises(ValueError, match=rf"30 x 30 matrix .* 2,000 bytes may be used: it does not fit; {fits} x {fits} would: take fewer"):
        dense(matrix, limit=2_000, say=said.append)
    assert len(said) == 1


def test_free_memory_is_that_of_a_machine():
    assert 10**7 < free_bytes() < 10**14


CODE = """
import torch
from pathlib import Path
from sandbox.curvature.dense import dense
from sandbox.curvature.objective import objective
from sandbox.curvature.operators import hessian
torch.set_num_threads(1)
def now(line):
    return int(Path("/proc/self/status").read_text().split(line)[1].split()[0]) * 1024
matrix = hessian(objective(lambda p, b: p["x"].cos().sum(), {"x": torch.zeros(5000)}, [None], dtype=torch.float32))
matrix.apply(torch.eye(32, 5000).numpy())
Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts from here
before = now("VmRSS:")
H = dense(matrix)
most = now("VmHWM:")
assert (H.diagonal() == -1).all() and (H != 0).sum() == 5000
print((most - before) / H.nbytes)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the high-water mark is read from Linux's /proc")
def test_one_copy_of_the_matrix_is_in_memory():
    """100 MB of matrix: the high-water mark rises by that and what the allocator keeps (some 10 MB); a second copy makes it 2."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", CODE], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 0.9 < float(done.stdout) < 1.4
