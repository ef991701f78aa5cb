"""What the entries for a problem refuse, each in one sentence that names the fault: by `dense_hessian` and by `hessian_operator` alike."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sandbox.curvature.block_mass import block_mass
from sandbox.curvature.dense import plan
from sandbox.curvature.hessian import curvature_of, dense_hessian
from sandbox.curvature.products import extreme_eigenvalues, hessian_operator
from sandbox.draws import generator, normal
from sandbox.models.partitions import from_indices
from sandbox.problems.base import Facts, Params

BATCH = (normal((6, 4), generator(61)), torch.tensor([0, 1, 2, 0, 1, 2]))
ENTRIES = pytest.mark.parametrize("entry", [dense_hessian, hessian_operator, lambda *a, **s: extreme_eigenvalues(*a, 1, **s)])


@dataclass(frozen=True)
class OfModule:
    """Cross entropy of a module; its parameters are those of the module, frozen ones and all."""

    model: nn.Module
    reduction: str = "mean"
    facts: Facts = Facts()

    def start(self, seed: int = 0) -> Params:
        return dict(self.model.named_parameters())

    def loss(self, params: Params, batch) -> Tensor:
        return F.cross_entropy(torch.func.functional_call(self.model, params, (batch[0],)), batch[1], reduction=self.reduction)


def net(middle: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), middle, nn.Linear(5, 3)).double()


class Spare(nn.Module):
    """Has a tensor that its loss does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.spare = nn.Linear(4, 3).double(), nn.Parameter(torch.ones(2, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)


@ENTRIES
@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (OfModule(net(nn.Dropout(0.5))), r"new random numbers in \['bernoulli_'\] \(dropout\?\): call model.eval\(\) first"),
        (OfModule(net(nn.BatchNorm1d(5))), r"must not depend on its batch, but \['native_batch_norm'\] runs in training mode"),
        (OfModule(net(nn.Tanh()), "none"), r"one finite real number \(0-dim\), got shape \(6,\) of torch.float64; take its mean"),
        (OfModule(Spare()), r"no batch of 1 uses \['spare'\]: their rows would be 0; leave them out of names \(of --tensors"),
        (OfModule(net(nn.Tanh()).half()), r"need float32 or float64, .* lift the model by .float\(\) or .double\(\) first"),
    ],
    ids=["dropout", "batch statistics", "not a number", "unused", "half precision"],
)
def test_a_loss_without_a_hessian_is_refused(entry, problem, sentence):
    with pytest.raises(ValueError, match=sentence):
        entry(problem, problem.start(), BATCH)


@ENTRIES
def test_the_same_module_in_eval_mode_passes(entry):
    """Dropout is then the identity, so the Hessian is that of the module without it."""
    whole, plain = (net(nn.Sequential(middle, nn.BatchNorm1d(5))).eval() for middle in (nn.Dropout(0.5), nn.Identity()))
    plain.load_state_dict(whole.state_dict())
    entry(OfModule(whole), OfModule(whole).start(), BATCH)
    found, wanted = (dense_hessian(problem, problem.start(), BATCH).matrix for problem in (OfModule(whole), OfModule(plain)))
    assert abs(wanted).max() > 0 and abs(found - wanted).max() < 1e-14 * abs(wanted).max()  # the same operations


@ENTRIES
def test_frozen_tensors_are_left_out_and_refused_by_name(entry):
    problem = OfModule(net(nn.Tanh()))
    problem.model[0].weight.requires_grad_(False)
    with pytest.raises(ValueError, match=r"\['0.weight'\] are frozen \(requires_grad=False\) beside 3 that are not; unfreeze them"):
        entry(problem, problem.start(), BATCH, names=("0.weight", "2.bias"))
    assert dense_hessian(problem, problem.start(), BATCH).layout.names == ("0.bias", "2.weight", "2.bias")


@ENTRIES
def test_tied_weights_count_once(entry):
    """A module lists a tied tensor once: 1/2 (x a)^2 + 1/2 (x a)^2 has twice the Hessian; a dict that lists it twice is refused."""
    shared = nn.Parameter(torch.ones(3, dtype=torch.float64))
    x = normal((5, 3), generator(62))

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = self.second = shared

        def forward(self, x: Tensor) -> Tensor:
            return 0.5 * ((x @ self.first).square() + (x @ self.second).square()).sum()

    @dataclass(frozen=True)
    class Sum:
        facts: Facts = Facts()

        def loss(self, params: Params, batch: Tensor) -> Tensor:
            return torch.func.functional_call(Tied(), params, (batch,))

    H = dense_hessian(Sum(), dict(Tied().named_parameters()), x)
    assert H.layout.names == ("first",)
    torch.testing.assert_close(torch.from_numpy(H.matrix), 2 * x.T @ x, rtol=0, atol=1e-12)  # five products of size one
    with pytest.raises(ValueError, match=r"'first' and 'second' are one tensor of 3 entries \(tied weights\): keep one of the names"):
        entry(Sum(), {"first": shared, "second": shared}, x)


def test_a_matrix_that_memory_does_not_hold_is_refused_with_the_size_that_would(monkeypatch):
    """43 numbers a row. Room for graph, one row at a time and 30^2 * 8 = 7,200 bytes, which nine tenths of the free memory must hold."""
    problem, said = OfModule(net(nn.Tanh())), []
    work = plan(curvature_of(problem, problem.start(), BATCH), chunk=1).work
    for room, refused in ((7_200, True), (43 * 43 * 8, False)):
        monkeypatch.setattr("sandbox.curvature.dense.free_bytes", lambda room=room: -(-10 * (work + room) // 9) + 1)
        if refused:
            with pytest.raises(
                ValueError, match=r"43 x 43 matrix in float64 takes 14,792 bytes, .* fit; 30 x 30 would: take fewer tensors"
            ):
                dense_hessian(problem, problem.start(), BATCH, say=said.append)
            assert [progress.done for progress in said] == [0]
        else:
            assert dense_hessian(problem, problem.start(), BATCH).matrix.shape == (43, 43)


def test_a_partition_that_overlaps_is_refused():
    shapes = {"w": (2, 3)}
    with pytest.raises(ValueError, match="entry 3 of 'w' lies in more than one block"):
        from_indices({"w": [[0, 1, 2, 3], [3, 4, 5]]}, shapes)
    labels = from_indices({"w": [[0, 1, 2], [3, 4, 5]]}, shapes).labels["w"]
    with pytest.raises(ValueError, match="one label for each of its 7 rows, got 6 labels"):
        block_mass(torch.eye(7, dtype=torch.float64).numpy(), labels)
