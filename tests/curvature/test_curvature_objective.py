"""Weights of ragged batches, and parameters that cannot be differentiated in or would count twice."""

import pytest
import torch
import torch.nn.functional as F

from sandbox.curvature.objective import cast, objective, samples, supervised
from sandbox.curvature.operators import hessian, operator
from sandbox.draws import generator, normal
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build

A = {"w": torch.ones(3)}


def square(params, batch):
    return (batch * params["w"]).square().mean()


def test_weights_are_shares_of_samples():
    one = objective(square, A, [torch.ones(7, 3), torch.ones(3, 3), torch.ones(10, 3)])
    assert one.weights == (0.35, 0.15, 0.5)
    assert objective(square, A, [torch.ones(7, 3)] * 2, weights=(3, 1)).weights == (0.75, 0.25)


def test_samples_are_counted_in_the_first_tensor():
    assert samples({"mask": None, "x": (1.5, torch.ones(4, 2)), "y": torch.ones(9)}) == 4
    assert samples((torch.tensor(1.0), None)) is None


def test_batches_follow_the_dtype_and_labels_stay():
    moved = cast({"x": [torch.ones(2, dtype=torch.float16)], "y": (torch.ones(2, dtype=torch.int64), "tag", None)}, torch.float64)
    assert moved["x"][0].dtype == torch.float64
    assert moved["y"][0].dtype == torch.int64
    assert moved["y"][1:] == ("tag", None)


@pytest.mark.parametrize("weights", [None, (1, 0), (1,), (1, float("nan")), (1, float("inf"))])
def test_weights_that_make_no_mean_are_refused(weights):
    with pytest.raises(ValueError, match=r"one positive weight for each, got 2 batches and the weights \[.*give weights="):
        objective(square, A, [torch.ones(2, 3), "no tensor"], weights=weights)


def test_no_batch_is_refused_and_one_needs_no_samples():
    with pytest.raises(ValueError, match="at least one batch .*, got 0 batches"):
        objective(square, A, [])
    assert objective(square, A, [None]).weights == (1.0,)


@pytest.mark.parametrize("narrow", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused(narrow):
    with pytest.raises(ValueError, match=rf"need float32 or float64, got dtype=torch.float64 and .*'w': {narrow}.*\.float\(\)"):
        objective(square, {"w": torch.ones(3, dtype=narrow)}, [torch.ones(2, 3)])
    with pytest.raises(ValueError, match=f"got dtype={narrow} and wide parameters"):
        objective(square, A, [torch.ones(2, 3)], dtype=narrow)


def test_frozen_tensors_stay_fixed_and_are_refused_by_name():
    model = torch.nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    loss, batch = supervised(model, F.mse_loss), [(torch.ones(4, 3), torch.ones(4, 2))]
    assert objective(loss, dict(model.named_parameters()), batch).layout.names == ("weight",)
    with pytest.raises(ValueError, match=r"but \['bias'\] are frozen \(requires_grad=False\) beside 1 that are not"):
        objective(loss, dict(model.named_parameters()), batch, names=("weight", "bias"))


def test_whole_numbers_stay_as_they_are_and_are_refused_by_name():
    """A quantised weight, first in the order, beside a trained one; a buffer follows the floating ones; alone, it is refused."""

    class Quantised(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.codes = torch.nn.Parameter(torch.tensor([3, -2], dtype=torch.int8), requires_grad=False)
            self.scale = torch.nn.Parameter(torch.ones(2))
            self.register_buffer("shift", torch.full((2,), 0.5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.codes * self.scale + self.shift

    model, batch = Quantised(), [(torch.ones(4, 2), torch.zeros(4, 2))]
    params = dict(model.named_parameters())
    one = objective(supervised(model, F.mse_loss), params, batch)
    assert one.layout.names == ("scale",) and one.fixed["codes"].dtype == torch.int8
    assert float(one.part(one.batches[0])(one.at)) == (3.5**2 + 1.5**2) / 2
    assert objective(supervised(model, F.mse_loss), {k: p.detach() for k, p in params.items()}, batch).layout.names == ("scale",)
    for names, given in ((("codes",), params), (None, {"codes": params["codes"]})):
        with pytest.raises(
            ValueError, match=r"real floating numbers, but \{'codes': torch.int8\} .*leave them out of names \(of --tensors"
        ):
            objective(supervised(model, F.mse_loss), given, batch, names=names)


def test_a_tied_tensor_counts_once():
    """The product of the tied GPT along E must be the derivative of ALL its uses: central differences through the module."""
    model = build(GPTConfig(5, width=4, layers=1, heads=2, context=3, init="lecun"), seed=0, dtype=torch.float64)
    tokens = torch.randint(0, 5, (4, 3), generator=generator(1))

    def criterion(z, y):
        return F.cross_entropy(z.flatten(0, 1), y.flatten())

    one = objective(
        supervised(model, criterion), dict(model.named_parameters()), [(tokens, tokens.roll(1, 1))], names=("embedding.weight",)
    )
    v, e = normal((5, 4), generator(2)), 1e-5
    slopes = []
    for sign in (1, -1):
        with torch.no_grad():
            model.embedding.weight += sign * e * v
        loss = criterion(model(tokens), tokens.roll(1, 1))
        slopes.append(torch.autograd.grad(loss, model.embedding.weight)[0])
        with torch.no_grad():
            model.embedding.weight -= sign * e * v
    expected = ((slopes[0] - slopes[1]) / (2 * e)).reshape(-1).numpy()
    found = operator(hessian(one)) @ v.reshape(-1).numpy()
    assert (
        abs(found - expected).max() < 1e-6 * abs(expected).max() + 1e-9
    )  # e^2 = 1e-10 and 1e-16 / e = 1e-11, with room for LayerNorm's bends


def test_one_tensor_under_two_names_is_refused():
    model = build(GPTConfig(5, width=4, layers=1, heads=2, context=3), seed=0)
    twice = dict(model.named_parameters(remove_duplicate=False))
    with pytest.raises(ValueError, match=r"'embedding.weight' and 'head.weight' are one tensor of 20 entries \(tied weights\)"):
        objective(square, twice, [torch.ones(2, 3)])
