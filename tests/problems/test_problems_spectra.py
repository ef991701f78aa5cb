"""Spectra against their closed forms."""

import math

import pytest

from sandbox.problems.spectra import (
    GROUPS,
    dealt,
    log_spaced,
    log_uniform,
    low_rank_plus_floor,
    power_law,
    three_groups,
)


def test_log_spaced_has_equal_ratios_and_exact_ends():
    values = log_spaced(5, low=0.5, high=8.0)
    assert values == pytest.approx((0.5, 1.0, 2.0, 4.0, 8.0), rel=1e-14)
    assert values[0] == 0.5 and values[-1] == 8.0


def test_log_uniform_is_uniform_in_the_logarithm():
    """The mean of U[0, 1] over 2000 draws has standard deviation 0.0065, the share below 1/4 has 0.0097: 4 sigma."""
    values = log_uniform(2002, low=1e-3, high=10.0, seed=1)
    u = [math.log(v / 1e-3) / math.log(1e4) for v in values[1:-1]]
    assert values == tuple(sorted(values)) and values[0] == 1e-3 and values[-1] == 10.0
    assert abs(sum(u) / len(u) - 0.5) < 0.026
    assert abs(sum(x < 0.25 for x in u) / len(u) - 0.25) < 0.039


def test_log_uniform_depends_on_its_seed_and_on_nothing_else():
    assert log_uniform(9, low=1.0, high=2.0, seed=1) == log_uniform(9, low=1.0, high=2.0, seed=1)
    assert log_uniform(9, low=1.0, high=2.0, seed=1) != log_uniform(9, low=1.0, high=2.0, seed=2)


def test_power_law():
    assert power_law(4, exponent=2.0, top=8.0) == (0.5, 8 / 9, 2.0, 8.0)


def test_low_rank_plus_floor():
    assert low_rank_plus_floor(5, rank=2, top=3.0, floor=0.1) == (0.1, 0.1, 0.1, 3.0, 3.0)


def test_three_groups_hold_both_ends_of_their_group():
    assert three_groups(3) == GROUPS
    assert [(block[0], block[-1], len(block)) for block in three_groups(10)] == [
        (1, 3, 10),
        (99, 101, 10),
        (4998, 5000, 10),
    ]
    assert three_groups(6)[0] == (1.0, 1.0, 2.0, 2.0, 3.0, 3.0)


def test_dealing_keeps_sizes_and_eigenvalues_and_mixes_every_block():
    blocks = (*three_groups(6), (7.0,))
    mixed = dealt(blocks)
    assert [len(b) for b in mixed] == [6, 6, 6, 1]
    assert sorted(sum(mixed, ())) == sorted(sum(blocks, ()))
    assert all(max(b) / min(b) > 1000 for b in mixed[:3])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: log_spaced(1, low=1.0, high=2.0), "d >= 2 and 0 < low <= high < inf, got d=1, low=1.0, high=2.0"),
        (lambda: log_uniform(3, low=0.0, high=2.0), "got d=3, low=0.0"),
        (lambda: power_law(0, exponent=1.0), "d >= 1 and top > 0, got d=0"),
        (lambda: low_rank_plus_floor(3, rank=4, top=1.0, floor=0.0), "got rank=4, d=3"),
        (lambda: three_groups(2), "size >= 3, so that it holds both ends of its group, got 2"),
    ],
)
def test_refuses_impossible_sizes(call, message):
    with pytest.raises(ValueError, match=message):
        call()
