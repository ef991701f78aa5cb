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
from sandbox.curvature.operators import WORKING, hessian
from sandbox.curvature.parts import Cost
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


def counted(dtype=torch.float64):
    """A cost that can be added up by hand: 100 bytes of graph, 10 a row, beside 3 vectors of 30 numbers a row."""
    return replace(matrix_in(dtype), cost=Cost(100, 10))


def test_the_plan_is_said_before_the_work_and_then_every_chunk():
    said = []
    dense(counted(), chunk=12, limit=20_000, say=lambda progress: said.append((progress.done, str(progress))))
    assert said[0] == (
        0,
        "a dense 30 x 30 matrix in float64 takes 7,200 bytes, 30 products and for 12 of them at a time up to 8,860 bytes; "
        "20,000 bytes may be used",
    )  # 8 * 30^2; 100 + 12 (10 + 3 * 8 * 30)
    assert [text for _, text in said[1:]] == [f"{k} of 30 products" for k in (12, 20, 30)]  # tensors of 20 and 10
    said.clear()
    dense(counted(), rows="v", chunk=4, say=lambda progress: said.append(progress.done))
    assert said == [0, 4, 8, 10]


@pytest.mark.parametrize(("dtype", "work", "fits"), [(torch.float64, 1_560, 15), (torch.float32, 840, 22)])
def test_a_matrix_that_does_not_fit_is_refused_with_the_size_that_would(dtype, work, fits):
    """2,000 bytes beside the work: 15^2 * 8 = 1,800 and 22^2 * 4 = 1,936 fit, 16^2 * 8 = 2,048 and 23^2 * 4 = 2,116 do not."""
    matrix, said, limit = counted(dtype), [], work + 2_000
    assert plan(matrix, chunk=2).work == work
    with pytest.raises(ValueError, match=rf"30 x 30 matrix .* {limit:,} bytes may be used: it does not fit; {fits} x {fits} would: take"):
        dense(matrix, chunk=2, limit=limit, say=said.append)
    assert len(said) == 1


def test_a_chunk_is_as_long_as_memory_allows():
    """730 bytes a row (10 + 3 * 8 * 30) and 7,300 for matrix and graph."""
    assert plan(counted(), limit=100_000).chunk == 30
    assert plan(counted(), limit=7_300 + 5 * 730 + 729).chunk == 5
    plan(counted(), limit=7_300 + 730).check()
    with pytest.raises(ValueError, match="1 of them at a time up to 830 bytes; 8,029 bytes may be used: it does not fit; 29 x 29 would"):
        plan(counted(), limit=7_300 + 729).check()


def test_a_chunk_is_no_longer_than_what_caches_hold():
    assert replace(counted(), cost=Cost(0, WORKING // 10)).chunk == 10
    assert replace(counted(), cost=Cost(0, 2 * WORKING)).chunk == 1
    assert replace(counted(), cost=Cost(0, 0)).chunk == 64


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
