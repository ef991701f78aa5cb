"""Averages against their definitions, and in the mixed precision that ensembles make."""

import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.averages import mean, rms, towards


def test_mean_is_the_sum_over_the_count():
    x = torch.tensor([[1.0, 2.0, 6.0], [0.0, 4.0, 5.0]])
    assert mean(x) == 3.0
    assert mean(x, 0).tolist() == [0.5, 3.0, 5.5]
    assert mean(x, -1).tolist() == [3.0, 3.0]


def test_rms_of_a_three_four_pair():
    assert rms(torch.tensor([3.0, 4.0, 0.0, 0.0])) == 2.5


def test_towards_goes_the_weighted_part_of_the_way():
    old, new = normal((3,), generator(0)), normal((3,), generator(1))
    torch.testing.assert_close(towards(old, new, 0.25), 0.75 * old + 0.25 * new, rtol=1e-14, atol=1e-16)


def test_a_float64_weight_leaves_a_float32_average_in_float32():
    """torch's lerp refuses the pair; numbers of an ensemble are float64 beside float32 tensors."""
    old, new = torch.zeros(3), torch.ones(3)
    moved = towards(old, new, torch.tensor(0.1, dtype=torch.float64))
    assert moved.dtype == torch.float32
    assert torch.equal(moved, towards(old, new, 0.1))
