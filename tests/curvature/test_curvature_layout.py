"""The layout against NumPy's own reading order, and its refusals."""

import numpy as np
import pytest
import torch

from sandbox.curvature.layout import layout_of

PARAMS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(7.0), "c": torch.arange(8.0, 12.0)}


def test_flatten_reads_row_by_row_in_the_order_of_the_parameters():
    layout = layout_of(PARAMS)
    expected = np.concatenate([np.ravel(PARAMS[name].numpy(), order="C") for name in "abc"])
    vector = layout.flatten(PARAMS)
    assert vector.dtype == torch.float64
    np.testing.assert_array_equal(vector.numpy(), expected)
    assert (layout.size, layout.edges) == (11, (0, 6, 7, 11))


def test_unflatten_undoes_flatten_and_slices_agree():
    layout = layout_of(PARAMS)
    vector = layout.flatten(PARAMS)
    for name, value in layout.unflatten(vector).items():
        torch.testing.assert_close(value, PARAMS[name].double(), rtol=0, atol=0)
        torch.testing.assert_close(vector[layout.where(name)], PARAMS[name].double().reshape(-1), rtol=0, atol=0)


def test_a_choice_keeps_the_order_of_the_parameters_and_labels_count_tensors():
    layout = layout_of(PARAMS, ("c", "a"))
    assert layout.names == ("a", "c")
    assert layout.labels().tolist() == [0] * 6 + [1] * 4


@pytest.mark.parametrize("names", [("a", "z"), (), ("a", "a")], ids=["unknown", "none", "twice"])
def test_names_that_make_no_layout_are_refused(names):
    with pytest.raises(ValueError, match=r"distinct parameters, at least one of them; got .*the parameters are \['a', 'b', 'c'\]"):
        layout_of(PARAMS, names)


def test_a_tensor_outside_the_layout_has_no_slice():
    with pytest.raises(ValueError, match=r"no tensor 'b'; it has \['a', 'c'\]"):
        layout_of(PARAMS, ("a", "c")).where("b")
