"""The checker is checked: it must refuse what is false, what is inexact and what is empty."""

import pytest
import sympy

from sandbox.theory.certificate import Certificate, Identity, Refuted, counterexample, is_zero, refuse_floats, root, smooth_gap

x, y = sympy.symbols("x y", real=True)


def test_is_zero_tells_an_identity_from_a_near_miss():
    assert is_zero((x + y) ** 2 / (x - y) - (x**2 + 2 * x * y + y**2) / (x - y))
    assert not is_zero((x + y) ** 2 - x**2 - sympy.Rational(1999999, 1000000) * x * y - y**2)


def test_floats_are_refused_wherever_they_hide():
    with pytest.raises(ValueError, match=r"exact numbers, got the floats \[0.1666"):
        is_zero(x * 0.5 - x / 3)
    with pytest.raises(ValueError, match="exact numbers"):
        counterexample(x, (x > 0.1,))
    refuse_floats(sympy.Rational(1, 2) * x)


def test_a_true_sign_has_no_counterexample_and_a_false_one_has():
    assert counterexample(x**2 - 2 * x * y + y**2, ()) is None
    assert counterexample(x**2 - 3 * x * y + y**2, ()) is not None
    assert counterexample(1 / (x - 1), (x > 1,)) is None
    assert counterexample(1 / (x - 1), (x > 0,)) is not None


def test_each_kind_of_relation_cuts_the_domain_where_it_says():
    for relation in (x > 1, x >= 1):
        assert counterexample(x - 1, (relation,)) is None and counterexample(1 - x, (relation,)) is not None
    for relation in (x < 1, x <= 1):
        assert counterexample(1 - x, (relation,)) is None and counterexample(x - 1, (relation,)) is not None
    empty = "the domain .* is empty"
    for strict, weak in ((x > 1, x <= 1), (x < 1, x >= 1)):
        with pytest.raises(ValueError, match=empty):
            counterexample(x, (strict, weak))
    assert counterexample(x, (x >= 1, x <= 1)) is None  # the point 1 belongs to both weak sides


def test_square_roots_of_rationals_are_exact():
    assert counterexample(3 - x**2, (x > 0, x <= sympy.sqrt(3))) is None
    assert counterexample(3 - x**2, (x > 0, x <= sympy.sqrt(3) + sympy.Rational(1, 10**6))) is not None


def test_positive_symbols_count_as_positive():
    p = sympy.Symbol("p", positive=True)
    assert counterexample(p, ()) is None and counterexample(x, ()) is not None


def test_an_empty_domain_proves_nothing():
    with pytest.raises(ValueError, match="empty, so a proof on it would say nothing"):
        counterexample(-x, (x > 1, x < 0))
    with pytest.raises(ValueError, match="empty"):
        counterexample(-x, (sympy.Integer(1) > sympy.Integer(2),))


def test_only_polynomials_are_asked():
    with pytest.raises(ValueError, match="polynomials only, got exp"):
        counterexample(sympy.exp(x), ())


@pytest.mark.parametrize("curvature", [-1, 0, 1])
def test_the_smooth_gap_holds_on_quadratics_within_L_and_fails_beyond(curvature):
    """For f = k x^2 / 2 with |k| <= L the gap is -(L^2 - k^2) (x - y)^2 / (4 L)."""

    def gap(k, L):
        return smooth_gap((x, k * x, k * x**2 / 2), (y, k * y, k * y**2 / 2), L)

    L = sympy.Integer(2)
    assert is_zero(gap(curvature, L) + sympy.Rational(4 - curvature**2, 8) * (x - y) ** 2)
    assert is_zero(gap(2, L)) and gap(3, L).subs({x: 1, y: 0}) > 0


def test_a_point_is_never_empty_so_that_it_reads_as_found():
    assert counterexample(sympy.Integer(-1), ()) and counterexample(sympy.Integer(1), ()) is None


def test_a_root_on_the_domain_is_found_and_none_is_proved():
    assert root(x**2 - 2, (x > 0,)) is not None and root(x**2 - 2, (x > 2,)) is None
    assert root(x**2 + y**2, ()) is not None and root(x**2 + y**2 + 1, ()) is None


def test_a_multiplier_must_be_finite_all_over_the_domain():
    """1/x pays for y <= 0 while x > 0; where the domain reaches x = 0 it says nothing."""
    good = Certificate("pole", claim=-y / x, hypotheses=((1 / x, y),), domain=(x > 0,))
    good.check()
    with pytest.raises(Refuted, match="finite on"):
        Certificate("pole", claim=-y / x, hypotheses=((1 / x, y),), domain=(x >= 0,)).check()


def test_a_pole_of_the_multiplier_alone_is_refused():
    """0 y <= 0 at x = 0 for every y, and -y >= 0 does not follow: claim and hypothesis are polynomials, the multiplier is not finite."""
    Certificate("pole", claim=-y, hypotheses=((1 / x, x * y),), domain=(x > 0,)).check()
    with pytest.raises(Refuted, match="1/x must be >= 0 and finite on"):
        Certificate("pole", claim=-y, hypotheses=((1 / x, x * y),), domain=(x >= 0,)).check()


POLED = {  # at x = 0, which is on the domain, the sum says nothing; the second and the third are false there
    "claim": Certificate("poled", claim=1 / x, squares=((x, 1 / x),), domain=(x >= 0,)),
    "hypothesis": Certificate("poled", claim=-y, hypotheses=((x, y / x),), domain=(x >= 0,)),
    "form": Certificate("poled", claim=sympy.Integer(-1), squares=((-(x**2), 1 / x),), domain=(x >= 0, x <= 0)),
}


@pytest.mark.parametrize("where", POLED)
def test_what_a_sum_is_made_of_must_be_finite_too(where):
    with pytest.raises(Refuted, match="must be finite on"):
        POLED[where].check()


def test_symbols_of_one_name_with_other_assumptions_are_no_two_variables():
    """z3 knows names alone: a real x would be taken for the positive one."""
    for expr, domain in ((x, (sympy.Symbol("x", positive=True) >= 1,)), (x + sympy.Symbol("x", positive=True), ())):
        with pytest.raises(ValueError, match="symbols of one name must have the same assumptions, got x"):
            counterexample(expr, domain)


def test_a_number_without_symbols_must_be_nonnegative_too():
    with pytest.raises(Refuted, match="must be >= 0"):
        Certificate("negative", claim=-(x**2), squares=((sympy.Integer(-1), x),), vectors=(x,)).check()


def test_an_identity_with_a_float_or_a_difference_is_refused():
    Identity("fine", (x**2 - 1) / (x - 1), x + 1).check()
    with pytest.raises(Refuted, match="off: .* differ by x"):
        Identity("off", 2 * x, x).check()
    with pytest.raises(ValueError, match="exact numbers"):
        Identity("float", x * 0.5, x / 2).check()
