"""Every bound: exact numbers, its own name, a digest that follows the formula; and values worked out by hand."""

import importlib
import math
import time
from dataclasses import replace
from pathlib import Path

import pytest
import sympy

from sandbox.theory import (
    adalomo,
    adam_mini,
    adam_mini_steps,
    factorisation,
    gradient_descent,
    gradient_descent_convex,
    projections_golore,
    rso,
    rso_gaussian,
    wavelet,
)
from sandbox.theory.base import Bound, OutOfScope

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path.stem for path in (ROOT / "sandbox/theory").glob("[a-z]*.py"))
MODULES = [importlib.import_module(f"sandbox.theory.{stem}") for stem in FILES]
BOUNDS = tuple({id(bound): bound for module in MODULES for bound in vars(module).values() if isinstance(bound, Bound)}.values())
each_bound = pytest.mark.parametrize("bound", BOUNDS, ids=lambda b: b.name)
IN = {"t": 0.5, "gram_defect": 0.0}
SIZES = {"m": 16.0, "r": 4.0, "L": 2.0}
WORKED = (  # bound, constants, value by hand
    (gradient_descent.loss_factor, {"mu": 1.0, "L": 10.0, "lr": 0.19}, 0.81),
    (gradient_descent.loss_factor, {"mu": 1.0, "L": 10.0, "lr": 0.1}, 0.81),
    (gradient_descent.distance_factor, {"mu": 1.0, "L": 10.0, "lr": 0.19}, 0.9),
    (gradient_descent.best_distance_factor, {"mu": 1.0, "L": 3.0}, 0.5),
    (gradient_descent.gradient_sum, {"L": 2.0, "lr": 0.5}, 4.0),
    (rso.exact_constant, IN, 3.6),
    (rso.exact_constant, {**IN, "t": 1.0}, 8 / 3),
    (rso.exact_constant, {**IN, "t": math.sqrt(3) - 1e-12}, 4 / math.sqrt(3)),
    (rso.argmin_constant, {**IN, "t": 20.0}, 2 * 441 / 440),
    (rso.any_sampling_constant, {"t": 0.5}, 3.6),
    (rso.recalled_constant, IN, 18.0),
    (rso.inexact_constant, IN, 6.0),
    (rso.weighted_inexact_constant, {**IN, "a": 1.0}, 6.0),
    (rso.weighted_inexact_constant, {**IN, "a": 2.0}, 30 / 7),
    (rso.weighted_inexact_constant, {**IN, "a": 3.0}, 4.0),
    (rso.inexact_floor, {**IN, **SIZES, "eps": 0.1}, 6 * 8 * 0.1),
    (rso.recalled_floor, {**IN, **SIZES, "eps": 0.1}, 18 * 8 * 0.1),
    (rso.loss_factor, {**IN, **SIZES, "mu": 2.0}, 1 - 5 / 36),
    (rso.loss_factor, {**IN, **SIZES, "mu": 0.5}, 1 - 5 / 144),
    (rso.worst_case_slowdown, {"m": 96.0, "r": 6.0}, 16.0),
    (rso.effective_rank_slowdown, {"m": 96.0, "r": 6.0, "L": 1.0, "trace_H": 5.146}, 1.857666667),
    (rso_gaussian.stable_aspect, {"t": 0.5}, 3 - 2 * math.sqrt(2)),
    (factorisation.error, {"S": 3.0, "information": 0.25}, 0.75),
    (factorisation.error_limit, {"S": 3.0, "entropy": 0.5}, 1.5),
    (factorisation.sampling_error, {"N": 2.0}, 1 - 0.5772156649015329),  # psi(2) - log 1
    (adalomo.step_rms, {"lr": 0.1, "d": 1.0, "eps2": 1e-3, "rms": 0.02}, 0.002),
    (adalomo.step_rms, {"lr": 0.1, "d": 2.0, "eps2": 1e-3, "rms": 0.0}, 2e-4),
    (adalomo.step_entry, {"lr": 0.1, "d": 1.0, "eps2": 1e-3, "rms": 0.02, "size": 25.0}, 0.01),
    (adalomo.growth, {"eps2": 1e-3, "rms": 2.0, "lr_sum": 1.0}, 2 * math.e),
    (adalomo.movement, {"eps2": 1e-3, "rms": 1.0, "lr_sum": 0.3045}, math.exp(0.3045) - 1),
    (adam_mini.single_rate, {"kappa": 5000.0}, 4999 / 5001),
    (adam_mini.blockwise_rate, {"kappa_block": 3.0}, 0.5),
    (adam_mini.noise_floor, {"lr": 0.1, "noise_trace": 2.0}, 0.05),
    (adam_mini.noise_floor_ratio, {"block_sum": 3.0, "entry_sum": 2.0}, 1.5),
    (adam_mini.first_step_cosine, {}, 0.7978845608028654),
)
REFUSED = (  # bound, constants, the condition that fails
    (gradient_descent.loss_factor, {"mu": 1.0, "L": 10.0, "lr": 0.25}, "L.lr < 2"),
    (gradient_descent.loss_factor, {"mu": 11.0, "L": 10.0, "lr": 0.1}, "L >= mu|mu <= L"),
    (gradient_descent.gradient_sum, {"L": 1.0, "lr": -0.1}, "lr > 0"),
    (rso.exact_constant, {"t": 1.8, "gram_defect": 0.0}, "t <= sqrt"),
    (rso.exact_constant, {"t": 0.5, "gram_defect": 0.5}, "gram_defect < 1/1000000000"),
    (rso.recalled_constant, {"t": 0.6, "gram_defect": 0.0}, "Abs"),
    (rso.weighted_inexact_constant, {**IN, "a": 0.6}, "a"),  # needs a > (1+t)/(2+t) = 0.6
    (rso.inexact_floor, {**IN, "m": 4.0, "r": 16.0, "L": 2.0, "eps": 0.1}, "m >= r|r <= m"),
    (rso_gaussian.factor, {"t": 0.5, "c": 1.5}, "c <= 1"),
    (adam_mini.noise_floor_ratio, {"block_sum": 1.0, "entry_sum": 2.0}, "block_sum"),
    (wavelet.centred_share, {"level": 2, "n": 6}, r"Mod\(n, 2\*\*level\), 0\), and 2 == 0 is false"),  # a block of two is left over
    (wavelet.centred_share, {"level": 2, "n": 6.0}, "and 2 == 0 is false"),
)


@each_bound
def test_holds_exact_numbers_a_source_and_a_proof_that_exists(bound):
    assert not sympy.Tuple(bound.value, *bound.requires).atoms(sympy.Float)
    assert bound.source and bound.quantity and bound.kind in ("exact", "upper", "lower")
    assert not bound.proof or (ROOT / bound.proof).is_file()


def test_names_and_formulas_are_not_confused():
    assert len({bound.name for bound in BOUNDS}) == len(BOUNDS)
    assert all(bound.name.split(".")[0] in FILES for bound in BOUNDS)


@each_bound
def test_the_digest_follows_the_formula_and_its_conditions(bound):
    assert replace(bound, value=bound.value + 1).digest != bound.digest
    assert replace(bound, requires=(*bound.requires, sympy.Symbol("extra") > 0)).digest != bound.digest
    assert replace(bound, source="another").digest == bound.digest


@pytest.mark.parametrize(("bound", "constants", "value"), WORKED, ids=lambda x: getattr(x, "name", None))
def test_value_by_hand(bound, constants, value):
    assert bound.at(**constants) == pytest.approx(value, rel=1e-9)  # the hand values have ten digits


@pytest.mark.parametrize(("bound", "constants", "condition"), REFUSED, ids=lambda x: getattr(x, "name", None))
def test_out_of_scope_names_the_condition(bound, constants, condition):
    with pytest.raises(OutOfScope, match=rf"{bound.name} requires .*({condition})"):
        bound.at(**constants)


def test_missing_and_unknown_constants_are_named():
    with pytest.raises(ValueError, match=r"needs the constants \['gram_defect', 't'\], got \['eta'\]"):
        rso.exact_constant.at(eta=0.5)


def test_the_paper_s_constants_are_looser_by_five_and_by_three():
    assert rso.recalled_constant.at(**IN) / rso.exact_constant.at(**IN) == pytest.approx(5.0, rel=1e-12)
    assert rso.recalled_constant.at(**IN) / rso.inexact_constant.at(**IN) == pytest.approx(3.0, rel=1e-12)


def test_out_of_scope_shows_both_sides_of_the_condition_as_numbers():
    with pytest.raises(OutOfScope, match=r"weighted_inexact_constant requires .*, and 1 > 1\.5 is false, given .*a"):
        rso.weighted_inexact_constant.at(**IN, a=0.4)


LARGE = 10**6
SPECIAL = (  # bound, its constants beside a size, that size, and the first terms of the asymptotic series at LARGE
    (factorisation.sampling_error, {}, "N", 1 / LARGE - 1 / (3 * LARGE**2)),  # digamma(x + 1) - log x = 1/(2x) - 1/(12 x^2) + ..
    (adam_mini_steps.turned_first_step_mean, {}, "d", 2 / math.pi * (1 + 1 / (2 * LARGE))),
    (projections_golore.i3s_growth, {"move": 0.5, "sigma": 1.0}, "r", math.log(LARGE) + 0.5772156649015329 + 1 / (2 * LARGE)),
)


@pytest.mark.parametrize(("bound", "others", "size", "series"), SPECIAL, ids=lambda x: getattr(x, "name", None))
def test_a_large_integer_takes_no_longer_than_a_small_one(bound, others, size, series):
    start = time.perf_counter()
    value = bound.at(**others, **{size: LARGE})
    assert time.perf_counter() - start < 1.0  # milliseconds, where a sum of a million fractions takes minutes
    assert value == pytest.approx(series, rel=1e-11, abs=0)  # the next terms are of relative order 1 / LARGE^2 = 1e-12
    for small in (1, 2, 7, 30):
        by_name = {symbol: {**others, size: small}[symbol.name] for symbol in bound.value.free_symbols}
        assert bound.at(**others, **{size: small}) == pytest.approx(float(bound.value.subs(by_name)), rel=1e-14, abs=0)  # the exact value


def test_a_difference_of_large_terms_keeps_its_digits():
    """digamma(x + 1) - log x at x = 5e11: both are 27, the difference is 1e-12, and floats of 16 digits would leave three."""
    assert factorisation.sampling_error.at(N=1e12) == pytest.approx(1e-12, rel=1e-11, abs=0)


def test_a_limit_that_is_no_real_number_is_an_error():
    with pytest.raises(ValueError, match=r"any_gradient is .*, which is no real number at .*'K': 1\.3"):
        gradient_descent_convex.any_gradient.at(L=1.0, lr=1.9, K=1.3, R=1.0)  # (1 - t)^2K of a negative 1 - t


def test_an_even_power_of_a_negative_number_is_no_complex_number():
    assert gradient_descent_convex.any_gradient.at(L=1.0, lr=1.9, K=3, R=1.0) == pytest.approx(0.9**6, rel=1e-12)
