"""Intervals against scipy and against simulated coverage; the ratio against Fieller's exact interval; what divergence does."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from sandbox.fit import (
    Mean,
    PairedDifference,
    Range,
    RatioOfMeans,
    Sample,
    column,
    contraction_factor,
    plateau,
    slope,
)


def samples(**columns):
    return [Sample(seed, dict(zip(columns, row, strict=True))) for seed, row in enumerate(zip(*columns.values(), strict=True))]


def test_mean_is_the_t_interval_of_scipy():
    x = [1.0, 2.5, 3.0, 7.0, -1.0]
    fit = Mean("x")(samples(x=x), "q")
    low, high = stats.t.interval(0.95, 4, loc=np.mean(x), scale=stats.sem(x))
    assert (fit.low, fit.high) == pytest.approx((low, high), rel=1e-12)  # two routes to the same float64 formula
    assert (fit.value, fit.df, fit.level, fit.quantity) == (pytest.approx(2.5, rel=1e-15), 4, 0.95, "q")


def test_by_hand_with_two_seeds():
    """x = 0, 2: mean 1, sd sqrt 2, se 1; t at 0.975 with one degree of freedom is tan(0.475 pi)."""
    fit = Mean("x")(samples(x=[0.0, 2.0]), "q")
    assert fit.se == pytest.approx(1.0, rel=1e-15)
    assert fit.high == pytest.approx(1 + math.tan(0.475 * math.pi), rel=1e-9)  # the quantile is found by iteration


def test_another_level_changes_the_width_alone():
    fit = Mean("x")(samples(x=[0.0, 1.0, 5.0]), "q")
    wide = fit.at_level(0.99)
    assert wide.half_width / fit.half_width == pytest.approx(stats.t.ppf(0.995, 2) / stats.t.ppf(0.975, 2), rel=1e-12)
    assert replace(wide, level=0.95) == fit


def coverage(make, estimator, truth, runs=2000):
    hits = 0
    for run in range(runs):
        fit = estimator(make(np.random.default_rng(run)), "q")
        hits += fit.low <= truth <= fit.high
    return hits / runs


# 2000 runs at 95 %: standard deviation of the share is 0.0049, so 0.02 is four of them
def test_mean_covers_the_truth_in_95_percent():
    assert abs(coverage(lambda g: samples(x=g.normal(3.0, 2.0, 5)), Mean("x"), 3.0) - 0.95) < 0.02


def test_paired_difference_covers_although_the_pair_shares_a_large_part():
    def make(g):
        common = g.normal(0, 100.0, 6)
        return samples(a=common + g.normal(1.0, 1.0, 6), b=common)

    assert abs(coverage(make, PairedDifference("a", "b"), 1.0) - 0.95) < 0.02


def test_paired_difference_is_first_minus_second_and_cancels_what_is_shared():
    fit = PairedDifference("a", "b")(samples(a=[101.0, 1002.0], b=[100.0, 1000.0]), "q")
    assert (fit.value, fit.least, fit.most) == (1.5, 1.0, 2.0)
    assert fit.se == pytest.approx(0.5, rel=1e-15)


def test_ratio_is_of_means_and_not_the_mean_of_ratios():
    fit = RatioOfMeans("a", "b")(samples(a=[1.0, 9.0], b=[1.0, 3.0]), "q")
    assert fit.value == 2.5  # 10 / 4; the mean of 1 and 3 would be 2
    assert (fit.least, fit.most) == (1.0, 3.0)


def test_ratio_interval_agrees_with_fiellers_exact_one():
    """Fieller: all rho with |mean(a - rho b)| <= t sd(a - rho b) / sqrt n. With a denominator that is sure to 1 %, the first-order
    interval differs from it by a relative t^2 cv^2 / n, here under 1 %."""
    g = np.random.default_rng(0)
    b = g.normal(10.0, 0.3, 20)
    a = 0.7 * b + g.normal(0, 0.5, 20)
    fit = RatioOfMeans("a", "b")(samples(a=a, b=b), "q")
    t = stats.t.ppf(0.975, 19)

    def excess(rho):
        d = a - rho * b
        return abs(d.mean()) - t * d.std(ddof=1) / math.sqrt(20)

    from scipy.optimize import brentq

    low, high = brentq(excess, fit.value - 0.5, fit.value), brentq(excess, fit.value, fit.value + 0.5)
    assert fit.low == pytest.approx(low, abs=0.01 * fit.half_width)
    assert fit.high == pytest.approx(high, abs=0.01 * fit.half_width)


def test_ratio_covers_the_truth_in_95_percent():
    def make(g):
        b = g.normal(10.0, 1.0, 12)
        return samples(a=2.0 * b + g.normal(0, 1.0, 12), b=b)

    assert abs(coverage(make, RatioOfMeans("a", "b"), 2.0) - 0.95) < 0.02


def test_ratio_of_a_negative_denominator_keeps_its_sign_and_a_positive_error():
    up, down = (RatioOfMeans("a", "b")(samples(a=[1.0, 2.0], b=[s * 4.0, s * 5.0]), "q") for s in (1, -1))
    assert down.value == -up.value and down.se == pytest.approx(up.se, rel=1e-15) and down.low < down.high


def test_ratio_with_mean_zero_below_is_refused():
    with pytest.raises(ValueError, match=r"denominator that is not 0; the mean of 'b' is 0\.0"):
        RatioOfMeans("a", "b")(samples(a=[1.0, 2.0], b=[-1.0, 1.0]), "q")


def test_range_is_least_and_most_and_needs_no_spread():
    fit = Range("x")(samples(x=[3.0, 1.0, 2.0]), "q")
    assert (fit.value, fit.low, fit.high, fit.df, fit.half_width) == (2.0, 1.0, 3.0, 0, 0.0)
    assert Range("x")(samples(x=[4]), "q").low == 4
    assert fit.at_level(0.999).low == 1.0  # no statistics, so no level widens it


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("estimator", [Mean("a"), Range("a"), PairedDifference("a", "b"), RatioOfMeans("a", "b")])
def test_one_seed_that_is_not_finite_diverges_whichever_estimator(estimator, bad):
    assert estimator(samples(a=[1.0, bad, 2.0], b=[1.0, 2.0, 3.0]), "q").diverged
    assert not estimator(samples(a=[1.0, 1.5, 2.0], b=[1.0, 2.0, 3.0]), "q").diverged


@pytest.mark.parametrize("estimator", [PairedDifference("a", "b"), RatioOfMeans("a", "b")])
def test_both_sides_infinite_is_divergence_too(estimator):
    assert estimator(samples(a=[1.0, math.inf], b=[1.0, math.inf]), "q").diverged


def test_one_seed_has_no_interval():
    with pytest.raises(ValueError, match=r"at least 2 of them, got 1 for 'q'; use Range"):
        Mean("x")(samples(x=[1.0]), "q")


def test_a_missing_value_is_named_with_its_seeds():
    with pytest.raises(ValueError, match=r"needs the value 'y'; missing for seeds \[1\] of 2 samples"):
        column([Sample(0, {"y": 1}), Sample(1, {"x": 1})], "y")
    with pytest.raises(ValueError, match="of 0 samples"):
        column([], "y")


def test_p_beyond_is_the_one_sided_t_test_of_scipy():
    x = [1.0, 2.0, 4.0, 4.5]
    fit = Mean("x")(samples(x=x), "q")
    for edge, side in ((1.5, "greater"), (6.0, "less")):
        assert fit.p_beyond(edge) == pytest.approx(stats.ttest_1samp(x, edge, alternative=side).pvalue, rel=1e-12)


def test_p_beyond_without_spread_or_without_statistics():
    same = Mean("x")(samples(x=[2.0, 2.0]), "q")
    assert (same.p_beyond(1.0), same.p_beyond(2.0)) == (0.25, 1.0)  # a sign test of two values on one side
    assert Range("x")(samples(x=[2.0]), "q").p_beyond(2.0) == 0.0


@pytest.mark.parametrize("n", [2, 5, 6, 20])
@pytest.mark.parametrize("estimator", [Mean("a"), PairedDifference("a", "b"), RatioOfMeans("a", "b")])
def test_n_equal_samples_have_the_p_of_a_sign_test(estimator, n):
    """scipy's exact binomial test of n successes in n; 0.1 / 0.3 and sums of 0.1 round, and count as equal all the same."""
    fit = estimator(samples(a=[0.1] * n, b=[0.3] * n), "q")
    assert fit.all_equal and fit.low == fit.high == fit.value
    assert fit.p_beyond(9.0) == pytest.approx(stats.binomtest(n, n, 0.5, alternative="greater").pvalue, rel=1e-12)


def test_a_ratio_that_is_the_same_on_every_seed_is_equal_samples():
    """a = b / 3 with b all different: the residuals are rounding, 1e-17, and no measure of certainty."""
    fit = RatioOfMeans("a", "b")(samples(a=[0.1, 0.2, 0.7], b=[0.3, 0.6, 2.1]), "q")
    assert fit.all_equal and fit.p_beyond(1.0) == 0.125
    assert not RatioOfMeans("a", "b")(samples(a=[0.1, 0.2, 0.701], b=[0.3, 0.6, 2.1]), "q").all_equal


@pytest.mark.parametrize("estimator", [PairedDifference("a", "b"), RatioOfMeans("a", "b")])
@pytest.mark.parametrize("lost", [math.inf, -math.inf, math.nan])
def test_the_sign_says_which_side_of_a_comparison_diverged(estimator, lost):
    fine, gone = [1.0, 2.0, 4.0], [1.0, lost, 4.0]
    assert estimator(samples(a=gone, b=fine), "q").value == math.inf
    assert estimator(samples(a=fine, b=gone), "q").value == -math.inf
    assert estimator(samples(a=gone, b=gone), "q").value == math.inf  # ours diverged, whatever the baseline did
    assert estimator(samples(a=[lost, 1.0, 1.0], b=gone), "q").value == math.inf
    assert estimator(samples(a=fine, b=fine[::-1]), "q").baseline == "b" and Mean("a")(samples(a=fine), "q").baseline == ""


@pytest.mark.parametrize("estimator", [Mean("a"), Range("a")])
@pytest.mark.parametrize("x, value", [([1, -math.inf], -math.inf), ([math.inf, -math.inf], math.inf), ([1, math.nan], math.inf)])
def test_infinity_keeps_its_sign(estimator, x, value):
    assert estimator(samples(a=x), "q").value == value


def test_slope_of_a_line_and_of_scipy():
    assert slope([0, 1, 2], [5, 3, 1]) == -2.0
    x, y = [0.0, 1.0, 3.0, 4.0], [1.0, 2.0, 2.0, 5.0]
    assert slope(x, y) == pytest.approx(stats.linregress(x, y).slope, rel=1e-12)


def test_contraction_factor_of_a_geometric_sequence_and_its_window():
    gap = [100.0, 50.0] + [3.0 * 0.8**k for k in range(10)]
    assert contraction_factor(gap, (2, 12)) == pytest.approx(0.8, rel=1e-12)
    assert contraction_factor([4.0, 1.0], (0, 2)) == 0.25  # one step
    with pytest.raises(ValueError, match=r"positive gaps, got 1\.0 at step 0 and 0\.0 at step 1"):
        contraction_factor([1.0, 0.0], (0, 2))


@pytest.mark.parametrize("window", [(0, 1), (1, 1), (2, 1), (0, 4), (-2, 1)])
def test_a_window_of_fewer_than_two_steps_is_refused(window):
    with pytest.raises(ValueError, match=rf"a window of at least 2 steps within 0\.\.3, got \({window[0]}, {window[1]}\)"):
        contraction_factor([4.0, 2.0, 1.0], window)


def test_plateau_is_the_mean_of_the_tail():
    assert plateau([9.0, 9.0, 1.0, 3.0]) == 2.0
    assert plateau([9.0, 9.0, 1.0, 3.0], share=0.25) == 3.0
    assert plateau([5.0], share=0.01) == 5.0
