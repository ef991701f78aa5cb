"""Fits of best rates, lines over widths, intervals and regrets, against closed forms."""

import math

import numpy as np
import pytest

from sandbox.fit import Sample
from sandbox.handoff.transfer import Line, Regret, best_log_rate, capped, interval, line, mean_line, vertex

CAP = 6.0


def parabola(best: float, curvature: float = 0.3):
    return lambda rate: 2 + curvature * (math.log(rate) - math.log(best)) ** 2


@pytest.mark.parametrize("best", [0.008, 0.0101, 0.013])
def test_the_vertex_of_a_parabola_is_exact(best):
    """Rates need not be evenly spaced."""
    rates = (0.002, 0.005, 0.01, 0.02, 0.04)
    losses = dict(zip(rates, map(parabola(best), rates), strict=True))
    assert best_log_rate(losses, CAP) == pytest.approx(math.log(best), abs=1e-12)
    assert best_log_rate(dict(reversed(losses.items())), CAP) == best_log_rate(losses, CAP)


def test_a_vertex_lies_within_half_a_step_of_the_lowest_point():
    assert vertex((0, 1, 2), (1.0, 0.0, 1.0)) == 1.0
    assert vertex((0, 1, 2), (0.0, 0.0, 5.0)) == 0.5
    assert vertex((0, 1, 2), (5.0, 0.0, 0.0)) == 1.5
    assert vertex((0, 1, 2), (3.0, 3.0, 3.0)) == 1.0


def test_a_neighbour_that_diverged_counts_as_the_cap():
    finite = best_log_rate({0.01: 3.0, 0.02: 2.0, 0.04: CAP}, CAP)
    for lost in (math.inf, math.nan, 50.0):
        assert best_log_rate({0.01: 3.0, 0.02: 2.0, 0.04: lost}, CAP) == finite < math.log(0.02)
    assert capped(math.nan, CAP) == CAP and capped(1.0, CAP) == 1.0


def test_a_best_rate_at_an_end_stands_for_itself_and_none_is_refused():
    assert best_log_rate({0.01: 2.0, 0.02: 3.0, 0.04: 4.0}, CAP) == math.log(0.01)
    with pytest.raises(ValueError, match="what guessing costs"):
        best_log_rate({0.01: 7.0, 0.02: math.nan}, CAP)


def test_a_line_through_best_rates():
    best = {width: math.log(0.3 * (width / 64) ** -0.7) for width in (32, 64, 128, 256)}
    found = line(best, 64)
    assert (found.exponent, math.exp(found.at_base)) == pytest.approx((-0.7, 0.3))
    assert found.rate(512) == pytest.approx(0.3 * 8**-0.7)
    with pytest.raises(ValueError, match="2 widths"):
        line({64: 0.0}, 64)


def test_the_mean_line_is_the_geometric_mean_of_rates():
    both = mean_line([Line(-1.0, math.log(0.1), 64), Line(0.0, math.log(0.4), 64)])
    assert both.rate(64) == pytest.approx(0.2) and both.rate(256) == pytest.approx((0.1 / 4 * 0.4) ** 0.5)


def test_the_interval_is_student_s():
    """Of three values: t = 4.302653 at 97.5 % and two degrees of freedom (a table's value)."""
    low, high = interval([1.0, 2.0, 3.0])
    assert (high - 2, 2 - low) == pytest.approx((4.302653 / 3**0.5,) * 2, rel=1e-6)
    with pytest.raises(ValueError, match="at least 2"):
        interval([1.0])


def losses_at(shift: float, curvature: float, noise: np.ndarray) -> list[Sample]:
    """Paired losses of a parabola in octaves whose minimum is `shift` octaves above the predicted rate."""
    return [
        Sample(i, {key: 3 + e + curvature * (x - shift) ** 2 for key, x in (("half", -1), ("predicted", 0), ("double", 1))})
        for i, e in enumerate(noise)
    ]


@pytest.mark.parametrize("shift", [0.0, 0.4, -0.9, 1.7])
def test_the_regret_of_a_parabola_is_exact_and_common_noise_drops_out(shift):
    samples = losses_at(shift, 0.05, np.array([0.0, 0.3, -0.2, 0.1]))
    fit = Regret(CAP)(samples, "q")
    assert fit.value == pytest.approx(0.05 * shift**2, abs=1e-12)
    assert fit.se == pytest.approx(0.0, abs=1e-12) and fit.df == 3


def test_the_interval_of_a_regret_covers_it():
    """Nominal 95 % with 4 seeds, away from the minimum: over 1,000 draws within 4 standard errors (2.8 %) of it, and at the minimum,
    where the estimate is biased upwards by its own noise, not below 90 %."""
    rng, truth = np.random.default_rng(0), {0.7: 0.05 * 0.49, 0.0: 0.0}
    for shift, regret in truth.items():
        covered = 0
        for _ in range(1000):
            samples = []
            for i in range(4):
                values = {k: 3 + 0.05 * (x - shift) ** 2 + 0.004 * rng.normal() for k, x in (("half", -1), ("predicted", 0), ("double", 1))}
                samples.append(Sample(i, values))
            fit = Regret(CAP)(samples, "q")
            covered += fit.low <= regret <= fit.high
        assert covered >= 900, (shift, covered)
        assert shift == 0 or covered == pytest.approx(950, abs=28)


@pytest.mark.parametrize("key", ["half", "predicted", "double"])
def test_the_standard_error_of_a_regret_is_the_slope_of_its_value(key):
    """Noise of 1e-4 in one of the three losses: the error is that noise's times the derivative of the value by that loss, taken here by
    a central difference; the second-order part is 1e-4 of it."""
    noise = np.array([1.0, -2.0, 0.5, 0.5]) * 1e-4

    def fit(e):
        plain = losses_at(0.8, 0.05, np.zeros(4))
        return Regret(CAP)(
            [Sample(i, one.values | {key: one.values[key] + x}) for i, (one, x) in enumerate(zip(plain, e, strict=True))], "q"
        )

    derivative = (fit(np.full(4, 1e-5)).value - fit(np.full(4, -1e-5)).value) / 2e-5
    assert fit(noise).se == pytest.approx(abs(derivative) * noise.std(ddof=1) / 2, rel=1e-2)


def test_without_a_minimum_the_better_neighbour_is_what_was_lost():
    concave = [Sample(i, {"half": 4.0, "predicted": 3.9 + 0.01 * i, "double": 3.0}) for i in range(3)]
    fit = Regret(CAP)(concave, "q")
    assert fit.value == pytest.approx(0.91) and fit.se > 0


def test_a_diverged_double_is_capped_and_not_infinite():
    fit = Regret(CAP)([Sample(i, {"half": 3.1, "predicted": 3.0 + 0.001 * i, "double": math.inf}) for i in range(3)], "q")
    assert math.isfinite(fit.value) and fit.value > 0
