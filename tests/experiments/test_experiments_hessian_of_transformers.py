"""The grid of transformer Hessians: its numbers against whole matrices, and cuts that are wrong on purpose."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sandbox.curvature.block_mass import block_mass
from sandbox.curvature.hessian import dense_hessian
from sandbox.measures import transformer_hessians
from sandbox.models.partitions import Partition
from sandbox.optimizers.adam import Adam
from sandbox.run import run


@pytest.fixture(scope="module")
def grid():
    """What both files measure, the first and the one on fresh seeds."""
    return transformer_hessians


@pytest.fixture(scope="module")
def small(grid):
    return grid.Setting(vocabs=(4,), width=8, points=(0.0, 1.0), steps=30, tokens=64, n_probes=400)


@pytest.fixture(scope="module")
def measured(grid, small):
    return grid.values(small, 3)


@pytest.fixture(scope="module")
def whole(grid, small):
    """The model after training, and its whole Hessian in float64."""
    problem = grid.problem_of(small, 4)
    params = grid.snapshots(problem, small, 3)[1.0]
    batch = replace(problem, batch_size=4).batch(3, 30)
    return problem, params, dense_hessian(problem, params, batch)


def test_masses_are_those_of_the_whole_matrix(grid, measured, whole):
    problem, _, hessian = whole
    cuts = grid.cuts_of(problem)
    for name, role in problem.roles.items():
        titles = {**dict.fromkeys(grid.HEADS + grid.MATRICES, ("cut", "column")), **dict.fromkeys(grid.TABLES, ("cut",))}.get(role.kind, ())
        for title in titles:
            exact = block_mass(hessian.block(name), cuts[title].labels[name])
            found = measured[f"4 100% {role.kind} {title} mass"]
            assert found == pytest.approx(exact, rel=1e-3), (name, title)  # float32 second derivatives; tables are small here


def test_a_column_is_what_one_input_is_weighted_by(grid, whole):
    """Of value (8, 8): by output neuron whole rows, by input whole columns."""
    problem, _, _ = whole
    cuts = grid.cuts_of(problem)
    name = next(name for name, role in problem.roles.items() if role.kind == "value")
    rows, columns = (cuts[title].labels[name].reshape(8, 8) for title in ("cut", "column"))
    assert torch.equal(rows, rows[:, :1].expand(8, 8)) and rows[:, 0].unique().numel() == 8
    assert torch.equal(columns, columns[:1].expand(8, 8)) and columns[0].unique().numel() == 8


def test_the_share_inside_tensors_is_within_its_error(measured, whole):
    _, _, hessian = whole
    exact = block_mass(hessian.matrix, hessian.layout.labels())
    assert abs(measured["4 100% tensors"] - exact) < 5 * measured["4 100% tensors error"]  # 5 standard errors
    assert measured["4 100% tensors error"] < 0.1 * exact


def test_heads_that_are_cut_in_the_wrong_place_hold_less(grid, whole):
    """The planted fault: every head begins half a head too low."""
    problem, _, hessian = whole
    cut = grid.cuts_of(problem)["cut"]
    name = next(name for name, role in problem.roles.items() if role.kind == "query")
    shifted = Partition({name: cut.labels[name].roll(1, 0)})  # heads of 2 rows
    right, wrong = (block_mass(hessian.block(name), each.labels[name]) for each in (cut, shifted))
    assert wrong < right - 0.2


def test_the_worst_over_kinds_and_vocabularies_is_reported(grid):
    found = {
        f"{v} 100% {kind} cut {what}": 1.0
        for v in (8, 64)
        for kind in grid.HEADS + grid.MATRICES + grid.TABLES
        for what in ("mass", "null")
    }
    found |= {f"{v} 100% tensors": 0.5 for v in (8, 64)} | {"64 100% key cut mass": 0.3, "8 100% value cut null": 1.25}
    found |= grid.worst(found, "8 100%") | grid.worst(found, "64 100%")
    every = grid.over_vocabularies(found, grid.Setting(vocabs=(8, 64), points=(1.0,)))
    assert (found["8 100% heads"], found["64 100% heads"], every["100% heads"]) == (1.0, 0.3, 0.3)
    assert every["100% value lack"] == 0.25 and every["100% ffn_in lack"] == 0.0


def test_points_of_training_are_what_they_say(grid, small):
    problem = grid.problem_of(small, 4)
    kept = grid.snapshots(problem, small, 3)
    start = problem.start(3)
    assert kept.keys() == {0.0, 1.0}
    assert all(torch.equal(kept[0.0][name], w) for name, w in start.items())
    assert np.mean([float((kept[1.0][name] - w).abs().max()) for name, w in start.items()]) > 1e-3  # 30 steps of 3e-3
    final = run(problem, Adam(small.lr), steps=small.steps, seed=3).final
    assert all(np.array_equal(kept[1.0][name], w) for name, w in final.items())
