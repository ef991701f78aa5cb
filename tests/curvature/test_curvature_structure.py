"""The report on problems whose Hessian is known, and on a tiny transformer; the picture against its definition."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from sandbox.curvature.hessian import Hessian, dense_hessian
from sandbox.curvature.layout import Layout
from sandbox.curvature.structure import heat_map, report, share_of_tensors, within
from sandbox.draws import generator, normal
from sandbox.models.cuts import adam_mini
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import initial, roles_of, shapes_of, skeleton
from sandbox.models.llama import LlamaConfig
from sandbox.models.partitions import Partition, from_blocks, random_like
from sandbox.problems.base import Facts, Params


@dataclass(frozen=True)
class LinearRegression:
    """1/(2N) |X W^T - Y|^2: H = I_out kron X^T X / N, block diagonal by rows of W (3, 4) and by nothing else."""

    facts: Facts = Facts()

    def start(self, seed: int) -> Params:
        return {"W": normal((3, 4), generator(seed))}

    def loss(self, params: Params, batch) -> torch.Tensor:
        return 0.5 * (batch @ params["W"].T - 1.0).square().sum() / len(batch)


@dataclass(frozen=True)
class Tokens:
    """Next-token loss of a tiny transformer on drawn tokens."""

    model: GPTConfig | LlamaConfig
    facts: Facts = Facts()

    def start(self, seed: int) -> Params:
        return initial(self.model, seed, torch.float64)

    def batch(self, seed: int, step: int) -> torch.Tensor:
        return torch.randint(0, self.model.vocab, (8, self.model.context + 1), generator=generator(seed, step))

    def loss(self, params: Params, batch) -> torch.Tensor:
        logits = torch.func.functional_call(skeleton(self.model), params, (batch[:, :-1],))
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())


def cuts(model) -> dict[str, Partition]:
    own = from_blocks(adam_mini(roles_of(model), shapes_of(model)), shapes_of(model))
    return {"adam-mini": own, "random": random_like(own, 0)}


def test_rows_of_a_linear_regression_hold_everything():
    problem, X = LinearRegression(), normal((9, 4), generator(1))
    rows, columns = torch.arange(3).view(3, 1).expand(3, 4), torch.arange(4).expand(3, 4)
    by_row, by_column = report(problem, problem.start(0), X, {"rows": Partition({"W": rows}), "columns": Partition({"W": columns})})
    S = (X.T @ X / 9).numpy()
    assert (by_row.partition, by_row.name, by_row.n_blocks) == ("rows", "W", 3)
    assert by_row.mass == pytest.approx(1.0, abs=1e-13)  # one rounding per sum
    assert by_column.mass == pytest.approx(np.square(np.diag(S)).sum() / np.square(S).sum(), rel=1e-12)
    assert by_column.excess < 0.0  # the diagonal is all that columns hold, chance holds more


@pytest.mark.parametrize(
    "model",
    [
        GPTConfig(vocab=5, width=8, layers=1, heads=2, context=4, ffn=8),
        LlamaConfig(vocab=5, width=8, layers=1, heads=2, kv_heads=1, context=4, ffn=8),
    ],
    ids=["gpt", "llama"],
)
def test_report_of_a_transformer_agrees_with_its_whole_hessian(model):
    """Tensor by tensor, or cut out of the full matrix: the same rows to 1e-9 (sums over some 10^4 entries of mixed size)."""
    problem = Tokens(model)
    params, batch = problem.start(0), problem.batch(0, 0)
    whole, partitions = dense_hessian(problem, params, batch), cuts(model)
    np.testing.assert_allclose(whole.matrix, whole.matrix.T, rtol=0, atol=1e-12)  # mixed derivatives are equal
    names = [name for name in params if name.endswith(("query.weight", "value.weight", "embedding.weight"))]
    alone, cut = report(problem, params, batch, partitions, names=names), within(whole, partitions)
    assert [(row.name, row.partition) for row in alone] == [(name, title) for name in names for title in partitions]
    for row in alone:
        other = next(x for x in cut if (x.name, x.partition) == (row.name, row.partition))
        assert (row.mass, row.null) == pytest.approx((other.mass, other.null), rel=1e-9)
    assert 0.0 < share_of_tensors(whole) < 1.0


def test_heads_of_a_query_are_blocks_at_a_small_start():
    """At a start near 0 the heads of a query act through separate scores, so nearly all mass lies inside heads, and chance leaves
    about half (dossier 3.4 measured .998 at this start; 0.9 asks for the effect, not for the number).
    """
    problem = Tokens(GPTConfig(vocab=8, width=8, layers=1, heads=2, context=8, ffn=8))
    params, batch = problem.start(0), problem.batch(0, 0)
    mini, random = report(problem, params, batch, cuts(problem.model), names=("blocks.0.attention.query.weight",))
    assert mini.n_blocks == random.n_blocks == 2
    assert mini.mass > 0.9 and mini.excess > 0.8
    assert abs(random.excess) < 0.3
    assert mini.null == random.null  # the same sizes


def test_share_of_tensors_by_hand():
    matrix = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0], [2.0, 0.0, 3.0]])
    assert share_of_tensors(Hessian(matrix, Layout(("a", "b"), ((2,), (1,))))) == pytest.approx(11 / 19, rel=1e-15)


def picture() -> Hessian:
    matrix = normal((10, 10), generator(2)).numpy()
    return Hessian(matrix, Layout(("a", "b"), ((2, 2), (6,))))


@pytest.mark.parametrize("pool", ["max", "mean"])
def test_heat_map_pools_the_absolute_values(pool):
    """Pixels of a 10 x 10 matrix at 4 a side start at rows 0, 2, 5, 7."""
    shown, matrix, first = heat_map(picture(), size=4, pool=pool), np.abs(picture().matrix), (0, 2, 5, 7, 10)
    for i in range(4):
        for j in range(4):
            part = matrix[first[i] : first[i + 1], first[j] : first[j + 1]]
            assert shown.values[i, j] == pytest.approx(getattr(part, pool)(), rel=1e-13)
    assert shown.edges == pytest.approx((0.0, 1.6, 4.0))  # tensor b starts at row 4 of 10
    assert shown.names == ("a", "b")


def test_a_small_heat_map_is_the_matrix_itself():
    shown = heat_map(picture())
    np.testing.assert_array_equal(shown.values, np.abs(picture().matrix))
    assert shown.edges == (0.0, 4.0, 10.0)


def test_refusals():
    with pytest.raises(ValueError, match="size >= 1 and pool 'max' or 'mean', got size 0 and pool 'max'"):
        heat_map(picture(), size=0)
    with pytest.raises(ValueError, match="got size 4 and pool 'sum'"):
        heat_map(picture(), size=4, pool="sum")
    with pytest.raises(ValueError, match="'short' must cut every tensor of the Hessian, but has no 'a'; it cuts \\['b'\\]"):
        within(picture(), {"short": Partition({"b": torch.zeros(6, dtype=torch.long)})})
